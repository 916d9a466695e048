import { describe, expect, test } from 'vitest';
import { createPostQueue, type PostQueue } from '../../../../src/bridge/upstream/http/post-queue.ts';
import type { OutgoingPost } from '../../../../src/bridge/upstream/http/outgoing-post.ts';
import type { RequestId, RpcMessage } from '../../../../src/mcp/json-rpc.ts';
import { notification, request, response } from '../../messages.ts';

interface World {
  /** What the line is told when it asks. */
  readonly way: { isOpen: boolean; room: number };
  readonly line: PostQueue<OutgoingPost>;
  /** Ids and methods, in the order in which they went. */
  readonly sent: RequestId[];
  readonly released: RequestId[];
  add(...messages: RpcMessage[]): void;
  waiting(): RequestId[];
}

const nameOf = (message: RpcMessage): RequestId => ('id' in message ? message.id : message.method);

function world(isOpen: boolean, room: number): World {
  const way = { isOpen, room };
  const sent: RequestId[] = [];
  const released: RequestId[] = [];
  const line = createPostQueue<OutgoingPost>({
    isOpen: () => way.isOpen,
    hasRoomForRequest: () => way.room > 0,
    post({ message }) {
      if (message.kind === 'request') way.room--;
      sent.push(nameOf(message));
    },
  });
  return {
    way,
    line,
    sent,
    released,
    add(...messages) {
      for (const [order, message] of messages.entries()) {
        const release = (): void => void released.push(nameOf(message));
        line.add({ message, order, release, untaken: false });
      }
    },
    waiting: () => line.waiting().map(({ message }) => nameOf(message)),
  };
}

describe('the line', () => {
  test('is kept in order until the way is open', () => {
    const { way, line, sent, add, waiting } = world(false, 10);
    add(request(1), notification('n'), request(2), response('a'));
    line.drain();
    expect([sent, waiting()]).toEqual([[], [1, 'n', 2, 'a']]);
    way.isOpen = true;
    line.drain();
    expect([sent, waiting()]).toEqual([[1, 'n', 2, 'a'], []]);
  });

  test('stops at the message that closes the way', () => {
    const way = { isOpen: true };
    const sent: RequestId[] = [];
    const line = createPostQueue<OutgoingPost>({
      isOpen: () => way.isOpen,
      hasRoomForRequest: () => true,
      post({ message }) {
        sent.push(nameOf(message));
        way.isOpen = message.kind !== 'notification';
      },
    });
    for (const [order, message] of [request(1), notification('n'), request(2)].entries()) {
      line.add({ message, order, release() {}, untaken: false });
    }
    line.drain();
    expect(sent).toEqual([1, 'n']);
  });

  test('requests wait for room, in order, and hold up nothing else', () => {
    const { way, line, sent, add, waiting } = world(true, 1);
    add(request(1), request(2), notification('n'), request(3), response('a'));
    line.drain();
    expect([sent, waiting()]).toEqual([
      [1, 'n', 'a'],
      [2, 3],
    ]);
    add(request(4));
    way.room = 2;
    line.drain();
    expect([sent, waiting()]).toEqual([[1, 'n', 'a', 2, 3], [4]]);
  });

  test('a ping waits for no room, but for the way', () => {
    const { way, line, sent, add, waiting } = world(true, 0);
    add(request(1), request(2, 'ping'));
    line.drain();
    expect([sent, waiting()]).toEqual([[2], [1]]);
    way.isOpen = false;
    add(request(3, 'ping'));
    line.drain();
    expect([sent, waiting()]).toEqual([[2], [1, 3]]);
  });

  test('is empty when it was cleared', () => {
    const { way, line, sent, add, waiting } = world(true, 0);
    add(request(1));
    line.drain();
    add(request(2));
    line.clear();
    way.room = 2;
    line.drain();
    expect([sent, waiting()]).toEqual([[], []]);
  });
});

describe('a request is withdrawn', () => {
  test.each([
    ['that waits for the way', false],
    ['that waits for room', true],
  ])('%s: it is released and never goes', (_what, isOpen) => {
    const { way, line, sent, released, add, waiting } = world(isOpen, 0);
    add(request(1), request(2), request(3));
    line.drain();
    expect(line.withdraw(2)).toBe(true);
    expect([released, waiting()]).toEqual([[2], [1, 3]]);
    Object.assign(way, { isOpen: true, room: 10 });
    line.drain();
    expect([sent, released]).toEqual([[1, 3], [2]]);
  });

  test('once', () => {
    const { line, released, add } = world(false, 0);
    add(request(1));
    expect([line.withdraw(1), line.withdraw(1)]).toEqual([true, false]);
    expect(released).toEqual([1]);
  });

  test('and nothing else that has its id, or one that looks like it', () => {
    const { line, released, add, waiting } = world(false, 0);
    add(response(1), request('1'), notification('n'));
    expect(line.withdraw(1)).toBe(false);
    expect([released, waiting()]).toEqual([[], [1, '1', 'n']]);
  });

  test('not when it has gone', () => {
    const { line, released, add } = world(true, 10);
    add(request(1));
    line.drain();
    expect(line.withdraw(1)).toBe(false);
    expect(released).toEqual([]);
  });
});
