import { describe, expect, test } from 'vitest';
import { OutgoingPosts, type OutgoingPost } from '../../../../src/bridge/upstream/http/outgoing-posts.ts';
import type { RequestId, RpcMessage } from '../../../../src/mcp/json-rpc.ts';
import { createFakeClock, type FakeClock } from '../../../harness/fake-clock.ts';
import { notification, request, response } from '../../messages.ts';

interface World {
  readonly posts: OutgoingPosts;
  readonly clock: FakeClock;
  /** What the queue may do now; a notification with the method `close` closes it. */
  readonly state: { isOpen: boolean; room: number };
  /** Ids and methods, in the order in which they were sent. */
  readonly sent: RequestId[];
  readonly released: RequestId[];
  /** Whose exchange has not sent a byte. */
  readonly unsent: Set<RequestId>;
  add(...messages: RpcMessage[]): OutgoingPost[];
  untaken(): RequestId[];
}

const nameOf = ({ message }: Pick<OutgoingPost, 'message'>): RequestId =>
  'id' in message ? message.id : message.method;

function world(isOpen: boolean, room: number): World {
  const clock = createFakeClock();
  const state = { isOpen, room };
  const sent: RequestId[] = [];
  const released: RequestId[] = [];
  const unsent = new Set<RequestId>();
  const posts = new OutgoingPosts({
    clock,
    isOpen: () => state.isOpen,
    hasRoomForRequest: () => state.room > 0,
    post(outgoing) {
      const { message } = outgoing;
      const name = nameOf(outgoing);
      if (message.kind === 'request') state.room--;
      if (name === 'close') state.isOpen = false;
      sent.push(name);
      const outcome = new Promise<never>(() => {});
      posts.started(outgoing, { outcome, isUnsent: () => unsent.has(name), abort() {} });
    },
  });
  return {
    posts,
    clock,
    state,
    sent,
    released,
    unsent,
    add: (...messages) =>
      messages.map((message) => {
        const accepted = posts.accept(message);
        if (accepted === undefined) throw new Error('not accepted');
        const outgoing = {
          ...accepted,
          release() {
            accepted.release();
            released.push(nameOf(accepted));
          },
        };
        posts.enqueue(outgoing);
        return outgoing;
      }),
    untaken: () => posts.untaken().map(nameOf),
  };
}

describe('the queue', () => {
  test('is kept in order until it is open', () => {
    const { posts, state, sent, add, untaken } = world(false, 10);
    add(request(1), notification('n'), request(2), response('a'));
    posts.drain();
    expect([sent, untaken()]).toEqual([[], [1, 'n', 2, 'a']]);
    state.isOpen = true;
    posts.drain();
    expect([sent, untaken()]).toEqual([[1, 'n', 2, 'a'], []]);
  });

  test('stops at the message that closes it', () => {
    const { posts, sent, add, untaken } = world(true, 10);
    add(request(1), notification('close'), request(2));
    posts.drain();
    expect([sent, untaken()]).toEqual([[1, 'close'], [2]]);
  });

  test('requests wait for room, in order, and block nothing else', () => {
    const { posts, state, sent, add, untaken } = world(true, 1);
    add(request(1), request(2), notification('n'), request(3), response('a'));
    posts.drain();
    expect([sent, untaken()]).toEqual([
      [1, 'n', 'a'],
      [2, 3],
    ]);
    add(request(4));
    state.room = 2;
    posts.drain();
    expect([sent, untaken()]).toEqual([[1, 'n', 'a', 2, 3], [4]]);
  });

  test('a ping does not wait for room, but until the queue is open', () => {
    const { posts, state, sent, add, untaken } = world(true, 0);
    add(request(1), request(2, 'ping'));
    posts.drain();
    expect([sent, untaken()]).toEqual([[2], [1]]);
    state.isOpen = false;
    add(request(3, 'ping'));
    posts.drain();
    expect([sent, untaken()]).toEqual([[2], [1, 3]]);
  });
});

describe('a request is withdrawn', () => {
  test.each([
    ['from the closed queue', false],
    ['while it waits for room', true],
  ])('%s: it is released and never sent', (_what, isOpen) => {
    const { posts, state, sent, released, add, untaken } = world(isOpen, 0);
    const [, second] = add(request(1), request(2), request(3));
    posts.drain();
    expect(posts.withdraw(2)).toBe(second);
    expect([released, untaken()]).toEqual([[2], [1, 3]]);
    Object.assign(state, { isOpen: true, room: 10 });
    posts.drain();
    expect([sent, released]).toEqual([[1, 3], [2]]);
  });

  test('while it waits for its retry', () => {
    const { posts, clock, sent, released, add } = world(true, 10);
    const [first, second] = add(request(1), request(2));
    posts.drain();
    if (first === undefined || second === undefined) throw new Error('unreachable');
    posts.retry(first, 100);
    posts.retry(second, 100);
    expect(posts.withdraw(1)).toBe(first);
    expect([released, posts.isUnderWay(first), clock.pending]).toEqual([[1], false, 1]);
    clock.advance(100);
    expect(sent).toEqual([1, 2, 2]);
    expect(posts.withdraw(2)).toBeUndefined();
  });

  test('once', () => {
    const { posts, released, add } = world(false, 0);
    const [only] = add(request(1));
    expect([posts.withdraw(1), posts.withdraw(1)]).toEqual([only, undefined]);
    expect(released).toEqual([1]);
  });

  test('and nothing else that has its id, or one that looks like it', () => {
    const { posts, released, add, untaken } = world(false, 0);
    add(response(1), request('1'), notification('n'));
    expect(posts.withdraw(1)).toBeUndefined();
    expect([released, untaken()]).toEqual([[], [1, '1', 'n']]);
  });

  test('not when it has been sent', () => {
    const { posts, released, add } = world(true, 10);
    add(request(1));
    posts.drain();
    expect(posts.withdraw(1)).toBeUndefined();
    expect(released).toEqual([]);
  });
});

describe('what is under way', () => {
  test('is there until it is settled, which releases it', () => {
    const { posts, released, add } = world(true, 10);
    const [only] = add(request(1));
    if (only === undefined) throw new Error('unreachable');
    expect(posts.isUnderWay(only)).toBe(false);
    posts.drain();
    expect([posts.isUnderWay(only), posts.isAllUntaken()]).toEqual([true, false]);
    posts.settle(only);
    expect([posts.isUnderWay(only), posts.isAllUntaken(), released]).toEqual([false, true, [1]]);
  });

  test('is sent again after the delay, and untaken until then', () => {
    const { posts, clock, sent, add, untaken } = world(true, 10);
    const [only] = add(request(1));
    if (only === undefined) throw new Error('unreachable');
    posts.drain();
    posts.retry(only, 100);
    expect([untaken(), posts.isAllUntaken(), only.tries]).toEqual([[1], true, 1]);
    clock.advance(99);
    expect(sent).toEqual([1]);
    clock.advance(1);
    expect([sent, untaken(), posts.isAllUntaken(), only.tries]).toEqual([[1, 1], [], false, 2]);
  });

  test('is not sent again when retries are cancelled, but remains untaken', () => {
    const { posts, clock, sent, add, untaken } = world(true, 10);
    const [only] = add(request(1));
    if (only === undefined) throw new Error('unreachable');
    posts.drain();
    posts.retry(only, 100);
    posts.cancelRetries();
    expect(clock.pending).toBe(0);
    expect([sent, untaken(), posts.isUnderWay(only)]).toEqual([[1], [1], true]);
  });

  test('is untaken without a byte sent, in order with what is queued', () => {
    const { posts, state, unsent, add, untaken } = world(true, 2);
    add(request(1), request(2), request(3), notification('close'), notification('n'));
    posts.drain();
    state.room = 1;
    unsent.add(2);
    expect(untaken()).toEqual([2, 3, 'n']);
  });
});

describe('the end', () => {
  test('forgets what is queued, under way or due for a retry', () => {
    const { posts, clock, state, sent, add, untaken } = world(true, 2);
    const [first] = add(request(1), request(2), request(3), notification('close'), request(4));
    if (first === undefined) throw new Error('unreachable');
    posts.drain();
    posts.retry(first, 100);
    posts.end();
    expect([posts.isUnderWay(first), untaken(), clock.pending]).toEqual([false, [], 0]);
    Object.assign(state, { isOpen: true, room: 10 });
    posts.drain();
    expect(sent).toEqual([1, 2, 'close']);
  });

  test('accepts nothing and calls back whoever waits to write', () => {
    const { posts, add } = world(false, 0);
    add(notification('x'.repeat(1024 * 1024)));
    let released = 0;
    posts.window.whenWritable(() => released++);
    expect([posts.window.isWritable(), released]).toEqual([false, 0]);
    posts.end();
    expect([posts.window.isWritable(), released, posts.accept(request(1))]).toEqual([true, 1, undefined]);
  });
});
