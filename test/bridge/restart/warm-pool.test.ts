import { describe, expect, test } from 'vitest';
import { agreement } from '../messages.ts';
import { managedWorld, use, type ManagedWorld } from './managed-world.ts';

const world = (count = 1, isRefilled = true, mayKeep?: () => boolean): ManagedWorld =>
  managedWorld({ count, isRefilled, ...(mayKeep === undefined ? {} : { mayKeep }) });

/** A world whose idle servers have died so often that no more are kept. */
function stopped(): ManagedWorld {
  const given = world(1);
  given.warmPool.begin();
  for (let i = 0; i < 3; i++) {
    given.made.at(-1)?.die();
    given.clock.advance(30_000);
  }
  expect([given.made.length, given.warmPool.ready]).toEqual([3, 0]);
  return given;
}

describe('idle servers', () => {
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

  test('are followed by another, but only when the client that took one has had its turn', () => {
    const { warmPool, take, made, clock } = world(2);
    warmPool.begin();
    use(take());
    use(take());
    clock.advance(49);
    expect([made.length, warmPool.ready, clock.pending]).toEqual([2, 0, 1]);
    clock.advance(1);
    expect([made.length, warmPool.ready, clock.pending]).toEqual([4, 2, 0]);
  });

  test('are not followed by others where that is not wanted, but one that died unused is replaced', () => {
    const { warmPool, take, made, clock } = world(2, false);
    warmPool.begin();
    made[1]?.die();
    clock.advance(0);
    expect([made.length, warmPool.ready]).toEqual([3, 2]);
    use(take());
    made[0]?.say(agreement());
    clock.advance(60_000);
    expect([made.length, warmPool.ready]).toEqual([3, 1]);
    use(take());
    use(take());
    made[2]?.die();
    clock.advance(60_000);
    expect([made.length, warmPool.ready, clock.pending]).toEqual([4, 0, 0]);
  });

  test('that are not there yet are replaced by new ones, not yet started', () => {
    const { warmPool, take, made, wanted } = world(1);
    warmPool.begin();
    take();
    const fresh = take();
    expect(made.map(({ started }) => started)).toEqual([true, false]);
    use(fresh);
    expect(wanted.map((isWanted) => isWanted())).toEqual([false, true]);
  });

  test('that have not begun, or are not asked for, are never started', () => {
    for (const [{ warmPool, take, made, clock }, begins] of [
      [world(1), false],
      [world(0), true],
    ] as const) {
      if (begins) warmPool.begin();
      use(take());
      made[0]?.say(agreement());
      expect([made.length, warmPool.ready, clock.pending]).toEqual([1, 0, 0]);
    }
  });

  test('are started when they may be, and not before', () => {
    let may = false;
    const { warmPool, take, made, clock } = world(1, undefined, () => may);
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
    use(take());
    clock.advance(60_000);
    expect(made).toHaveLength(1);
  });

  test('that may no more be started when their time has come are not', () => {
    let may = true;
    const { warmPool, take, made, clock } = world(1, undefined, () => may);
    warmPool.begin();
    use(take());
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
});

describe('an idle server that dies before it is used', () => {
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
    expect(warnings).toEqual(['3 idle servers exited, the last one: three; no idle servers are started now']);
  });

  test('is replaced again when a server has lived for a client', () => {
    const { warmPool, take, made, clock } = stopped();
    const { messages } = use(take());
    clock.advance(30_000);
    expect(made).toHaveLength(4);
    made[3]?.say(agreement());
    clock.advance(50);
    expect([messages.length, made.length, warmPool.ready]).toEqual([1, 5, 1]);
  });

  test('stays away when the server that a client got has died, too', () => {
    const { take, made, clock } = stopped();
    use(take());
    made[3]?.die();
    clock.advance(60_000);
    expect([made.length, clock.pending]).toEqual([4, 0]);
  });

  test('does not count when others have been used in between', () => {
    const { warmPool, take, made, clock, warnings } = world(1);
    warmPool.begin();
    for (let round = 0; round < 6; round++) {
      made.at(-1)?.die();
      clock.advance(30_000);
      use(take());
      made.at(-1)?.say(agreement());
      clock.advance(30_000);
    }
    expect([warnings, warmPool.ready]).toEqual([[], 1]);
  });
});

describe('closing', () => {
  test('ends the idle servers, waits for them, and starts no more', async () => {
    const { warmPool, coexistence, take, made, clock, warnings } = world(2);
    warmPool.begin();
    const open = made[1]?.holdEnd();
    use(take());
    let done = false;
    warmPool.close();
    const closing = coexistence.allEnded().then(() => (done = true));
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

  test('waits for what an idle server that died has left behind', async () => {
    const { warmPool, coexistence, made } = world(1);
    warmPool.begin();
    const open = made[0]?.holdEnd();
    made[0]?.die();
    let done = false;
    warmPool.close();
    const closing = coexistence.allEnded().then(() => (done = true));
    await new Promise(setImmediate);
    expect(done).toBe(false);
    open?.();
    await closing;
  });

  test('before the beginning does nothing', () => {
    const { warmPool, made } = world(1);
    warmPool.close();
    warmPool.begin();
    expect(made).toEqual([]);
  });
});
