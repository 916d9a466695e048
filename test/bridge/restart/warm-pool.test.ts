import { describe, expect, test } from 'vitest';
import { createWarmPool, type WarmPool } from '../../../src/bridge/restart/warm-pool.ts';
import type { Upstream, UpstreamEnd } from '../../../src/bridge/upstream/upstream.ts';
import type { RpcMessage } from '../../../src/mcp/json-rpc.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';
import { agreement, initialize } from '../messages.ts';

interface SparesWorld {
  readonly warmPool: WarmPool;
  readonly made: FakeUpstream[];
  readonly wanted: (() => boolean)[];
  readonly clock: FakeClock;
  readonly warnings: string[];
}

function world(count = 1, refill?: boolean, mayKeep?: () => boolean): SparesWorld {
  const made: FakeUpstream[] = [];
  const wanted: (() => boolean)[] = [];
  const warnings: string[] = [];
  const clock = createFakeClock();
  const warmPool = createWarmPool({
    create(isWanted) {
      const upstream = createFakeUpstream();
      made.push(upstream);
      wanted.push(isWanted);
      return upstream;
    },
    count,
    ...(refill === undefined ? {} : { refill }),
    ...(mayKeep === undefined ? {} : { mayKeep }),
    clock,
    random: () => 1,
    onWarning: (warning) => warnings.push(warning),
  });
  return { warmPool, made, wanted, clock, warnings };
}

function use(upstream: Upstream): { messages: RpcMessage[]; ends: UpstreamEnd[]; lost: UpstreamEnd[] } {
  const messages: RpcMessage[] = [];
  const ends: UpstreamEnd[] = [];
  const lost: UpstreamEnd[] = [];
  upstream.start({
    onMessage: (message) => messages.push(message),
    onLost: (end) => lost.push(end),
    onClose: (end) => ends.push(end),
  });
  return { messages, ends, lost };
}

/** A world whose idle servers have died so often that no more are kept. */
function stopped(): SparesWorld {
  const given = world(1);
  given.warmPool.begin();
  for (let i = 0; i < 3; i++) {
    given.made.at(-1)?.die();
    given.clock.advance(30_000);
  }
  expect([given.made.length, given.warmPool.ready]).toEqual([3, 0]);
  return given;
}

describe('spares', () => {
  test('are started, unread, sent nothing, and as many as were asked for', () => {
    const { warmPool, made, wanted } = world(2);
    expect([made.length, warmPool.ready]).toEqual([0, 0]);
    warmPool.begin();
    warmPool.begin();
    expect(made.map(({ started, paused, sent }) => [started, paused, sent])).toEqual([
      [true, true, []],
      [true, true, []],
    ]);
    expect([warmPool.ready, wanted.map((isWanted) => isWanted())]).toEqual([2, [false, false]]);
  });

  test('are taken oldest first, and read from the start of their taker on', () => {
    const { warmPool, made, wanted } = world(2);
    warmPool.begin();
    const upstream = warmPool.take();
    expect([made[0]?.paused, wanted[0]?.()]).toEqual([true, false]);
    const { messages, ends, lost } = use(upstream);
    expect([made[0]?.paused, wanted[0]?.(), made[1]?.paused, wanted[1]?.()]).toEqual([false, true, true, false]);
    expect(upstream.send(initialize)).toBe(true);
    made[0]?.say(agreement());
    made[0]?.lose();
    made[0]?.die();
    expect([messages.length, lost.length, ends.length, made[0]?.sent.length]).toEqual([1, 1, 1, 1]);
  });

  test('are followed by another, but only when the client that took one has had its turn', () => {
    const { warmPool, made, clock } = world(2);
    warmPool.begin();
    use(warmPool.take());
    use(warmPool.take());
    clock.advance(49);
    expect([made.length, warmPool.ready, clock.pending]).toEqual([2, 0, 1]);
    clock.advance(1);
    expect([made.length, warmPool.ready, clock.pending]).toEqual([4, 2, 0]);
  });

  test('are not followed by others where that is not wanted, but one that died unused is replaced', () => {
    const { warmPool, made, clock } = world(2, false);
    warmPool.begin();
    made[1]?.die();
    clock.advance(0);
    expect([made.length, warmPool.ready]).toEqual([3, 2]);
    use(warmPool.take());
    made[0]?.say(agreement());
    clock.advance(60_000);
    expect([made.length, warmPool.ready]).toEqual([3, 1]);
    use(warmPool.take());
    use(warmPool.take());
    made[2]?.die();
    clock.advance(60_000);
    expect([made.length, warmPool.ready, clock.pending]).toEqual([4, 0, 0]);
  });

  test('that are not there yet are replaced by new ones, not yet started', () => {
    const { warmPool, made, wanted } = world(1);
    warmPool.begin();
    warmPool.take();
    warmPool.take();
    expect([made.map(({ started }) => started), wanted[1]?.()]).toEqual([[true, false], true]);
  });

  test('that have not begun, or are not asked for, are never started', () => {
    for (const [{ warmPool, made, clock }, begins] of [
      [world(1), false],
      [world(0), true],
    ] as const) {
      if (begins) warmPool.begin();
      use(warmPool.take());
      made[0]?.say(agreement());
      expect([made.length, warmPool.ready, clock.pending]).toEqual([1, 0, 0]);
    }
  });

  test('are started when they may be, and not before', () => {
    let may = false;
    const { warmPool, made, clock } = world(1, undefined, () => may);
    warmPool.begin();
    warmPool.refill();
    clock.advance(60_000);
    expect(made).toHaveLength(0);
    may = true;
    warmPool.refill();
    warmPool.refill();
    clock.advance(49);
    expect(made).toHaveLength(0);
    clock.advance(1);
    expect([made.length, warmPool.ready, clock.pending]).toEqual([1, 1, 0]);
    may = false;
    use(warmPool.take());
    clock.advance(60_000);
    expect(made).toHaveLength(1);
  });

  test('that may no more be started when their time has come are not', () => {
    let may = true;
    const { warmPool, made, clock } = world(1, undefined, () => may);
    warmPool.begin();
    use(warmPool.take());
    may = false;
    clock.advance(60_000);
    expect([made.length, clock.pending]).toEqual([1, 0]);
  });

  test('can be ended, and come again', async () => {
    const { warmPool, made, clock } = world(2);
    warmPool.begin();
    warmPool.dismiss();
    await new Promise(setImmediate);
    expect([made.map(({ closeCalls }) => closeCalls), warmPool.ready]).toEqual([[1, 1], 0]);
    warmPool.refill();
    clock.advance(50);
    expect([made.length, warmPool.ready]).toEqual([4, 2]);
  });

  test('that end between being taken and being started tell their taker so', async () => {
    const { warmPool, made } = world(1);
    warmPool.begin();
    const upstream = warmPool.take();
    made[0]?.die({ exitCode: 5 });
    const { ends } = use(upstream);
    expect(ends).toEqual([]);
    await Promise.resolve();
    expect(ends).toMatchObject([{ exitCode: 5, isUnused: true, untaken: [] }]);
  });

  test('that end before they have said anything give back what they were sent', () => {
    const { warmPool, made } = world(1);
    warmPool.begin();
    const upstream = warmPool.take();
    const { ends } = use(upstream);
    upstream.send(initialize);
    made[0]?.die();
    expect(ends).toMatchObject([{ isUnused: true, untaken: [initialize] }]);
  });

  test('that do not read are ended, and give back what they were sent', async () => {
    const { warmPool, made } = world(1);
    warmPool.begin();
    const upstream = warmPool.take();
    const { ends } = use(upstream);
    if (made[0] !== undefined) made[0].accepting = false;
    expect(upstream.send(initialize)).toBe(true);
    await new Promise(setImmediate);
    expect(ends).toMatchObject([{ isUnused: true, untaken: [initialize] }]);
  });

  test.each(['it has said something', 'it was sent more than one message', 'its taker has ended it'])(
    'that end are lost when %s',
    async (what) => {
      const { warmPool, made } = world(1);
      warmPool.begin();
      const upstream = warmPool.take();
      const { ends } = use(upstream);
      upstream.send(initialize);
      if (what === 'it has said something') made[0]?.say(agreement());
      if (what === 'it was sent more than one message') upstream.send(initialize);
      if (what === 'its taker has ended it') await upstream.close();
      else made[0]?.die();
      expect(ends).toHaveLength(1);
      expect(ends[0]).not.toHaveProperty('isUnused');
    },
  );
});

describe('a spare that dies before it is used', () => {
  test('is replaced at once after a long life, then later and later', () => {
    const { warmPool, made, clock } = world(1);
    warmPool.begin();
    clock.advance(10_000);
    made[0]?.die();
    expect([warmPool.ready, made[0]?.closeCalls]).toEqual([0, 1]);
    clock.advance(0);
    expect(made).toHaveLength(2);
    made[1]?.die();
    clock.advance(499);
    expect(made).toHaveLength(2);
    clock.advance(1);
    expect([made.length, warmPool.ready]).toEqual([3, 1]);
  });

  test('the third time in a row is not, and the user is told once', () => {
    const { warmPool, made, clock, warnings } = world(2);
    warmPool.begin();
    for (const reason of ['one', 'two', 'three', 'four']) {
      made.at(-1)?.die({ reason });
      clock.advance(30_000);
    }
    expect([made.length, warmPool.ready, clock.pending]).toEqual([4, 1, 0]);
    expect(warnings).toEqual([
      '3 servers that were started ahead ended unused, the last one: three; none is started ahead now',
    ]);
  });

  test('is replaced again when a server has lived for a client', () => {
    const { warmPool, made, clock } = stopped();
    const { messages } = use(warmPool.take());
    clock.advance(30_000);
    expect(made).toHaveLength(4);
    made[3]?.say(agreement());
    clock.advance(50);
    expect([messages.length, made.length, warmPool.ready]).toEqual([1, 5, 1]);
  });

  test('stays away when the server that a client got has died, too', () => {
    const { warmPool, made, clock } = stopped();
    use(warmPool.take());
    made[3]?.die();
    clock.advance(60_000);
    expect([made.length, clock.pending]).toEqual([4, 0]);
  });

  test('does not count when others have been used in between', () => {
    const { warmPool, made, clock, warnings } = world(1);
    warmPool.begin();
    for (let round = 0; round < 6; round++) {
      made.at(-1)?.die();
      clock.advance(30_000);
      use(warmPool.take());
      made.at(-1)?.say(agreement());
      clock.advance(30_000);
    }
    expect([warnings, warmPool.ready]).toEqual([[], 1]);
  });
});

describe('closing', () => {
  test('ends the spares, waits for them, and starts no more', async () => {
    const { warmPool, made, clock, warnings } = world(2);
    warmPool.begin();
    const open = made[1]?.holdEnd();
    use(warmPool.take());
    let done = false;
    const closing = warmPool.close().then(() => (done = true));
    await new Promise(setImmediate);
    expect(done).toBe(false);
    open?.();
    await closing;
    clock.advance(60_000);
    warmPool.begin();
    warmPool.take();
    clock.advance(60_000);
    expect([made.map(({ closeCalls }) => closeCalls), clock.pending, warnings]).toEqual([[0, 1], 0, []]);
  });

  test('waits for what a spare that died has left behind', async () => {
    const { warmPool, made } = world(1);
    warmPool.begin();
    const open = made[0]?.holdEnd();
    made[0]?.die();
    let done = false;
    const closing = warmPool.close().then(() => (done = true));
    await new Promise(setImmediate);
    expect(done).toBe(false);
    open?.();
    await closing;
  });

  test('before the beginning does nothing', async () => {
    const { warmPool, made } = world(1);
    await warmPool.close();
    warmPool.begin();
    expect(made).toEqual([]);
  });
});
