import { describe, expect, test } from 'vitest';
import { SharedIds, type SharedCall } from '../../../src/bridge/shared/ids.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';

interface World {
  readonly ids: SharedIds<string>;
  readonly clock: FakeClock;
  /** Opens a call and returns the id at the server. */
  readonly call: (owner: string | undefined, clientId: number) => number;
  /** Ids and outcomes, in order. */
  readonly outcomes: [number, boolean][];
}

function world(): World {
  const clock = createFakeClock();
  const ids = new SharedIds<string>(clock);
  const outcomes: [number, boolean][] = [];
  function call(owner: string | undefined, clientId: number): number {
    const id = ids.next();
    const onOutcome = (failed: boolean): void => void outcomes.push([id, failed]);
    ids.open({ id, owner, clientId, method: 'm', writtenId: String(clientId), onOutcome });
    return id;
  }
  return { ids, clock, call, outcomes };
}

const idOf = (call: SharedCall<string> | undefined): number | undefined => call?.id;

test('a client that uses an id twice can still cancel the later call', () => {
  const { ids, call } = world();
  const [first, second] = [call('a', 1), call('a', 1)];
  expect(idOf(ids.settle(first, false))).toBe(first);
  expect(idOf(ids.cancel('a', 1))).toBe(second);
});

test('only numbers that were given out are known', () => {
  const { ids, call } = world();
  const id = call('a', 1);
  for (const unknown of [String(id), id + 1, null, undefined]) {
    expect([ids.find(unknown), ids.trace(unknown), ids.settle(unknown, false)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  }
});

describe('the outcome is told once', () => {
  test('with the answer', () => {
    const { ids, call, outcomes } = world();
    const [a, b] = [call('a', 1), call('a', 2)];
    ids.settle(a, false);
    ids.settle(a, true);
    ids.settle(b, true);
    expect(outcomes).toEqual([
      [a, false],
      [b, true],
    ]);
  });

  test('of a cancelled call with its late answer, or when it is forgotten', () => {
    const { ids, call, outcomes } = world();
    const cancelled = Array.from({ length: 1001 }, (_, n) => call('a', n));
    for (const n of cancelled.keys()) ids.cancel('a', n);
    expect(outcomes).toEqual([[cancelled[0], true]]);
    expect([idOf(ids.trace(cancelled[0])), idOf(ids.trace(cancelled[1]))]).toEqual([undefined, cancelled[1]]);
    ids.settle(cancelled[1], false);
    expect(outcomes).toHaveLength(2);
  });

  test('of everything that does not survive a loss', () => {
    const { ids, call, outcomes } = world();
    const [survivor, lost, cancelled] = [call('a', 1), call('b', 1), call('b', 2)];
    ids.cancel('b', 2);
    ids.forget(new Set([survivor]));
    expect(outcomes).toEqual([
      [lost, true],
      [cancelled, true],
    ]);
    expect([lost, cancelled].map((id) => ids.trace(id))).toEqual([undefined, undefined]);
    expect([...ids.active()]).toEqual(['a']);
    expect(idOf(ids.cancel('a', 1))).toBe(survivor);
  });
});

describe('active are', () => {
  test('those who have calls in flight, and not we ourselves', () => {
    const { ids, call } = world();
    const ours = call(undefined, 1);
    call('a', 1);
    call('b', 1);
    ids.settle(ours, false);
    expect([...ids.active()]).toEqual(['a', 'b']);
  });

  test('for a while those who were answered', () => {
    const { ids, call, clock } = world();
    const a = call('a', 1);
    call('b', 1);
    ids.settle(a, false);
    clock.advance(9999);
    expect([...ids.active()]).toEqual(['b', 'a']);
    clock.advance(1);
    expect([...ids.active()]).toEqual(['b']);
  });

  test('for a while those whose calls were cancelled, or who have left', () => {
    const { ids, call, clock } = world();
    call('a', 1);
    const ofB = call('b', 1);
    ids.cancel('a', 1);
    clock.advance(6000);
    ids.release('b');
    expect([...ids.active()]).toEqual(['a', 'b']);
    clock.advance(4000);
    expect([...ids.active()]).toEqual(['b']);
    clock.advance(6000);
    ids.settle(ofB, false);
    expect([...ids.active()]).toEqual([]);
  });

  test('for a while those who have said something, from the last time on', () => {
    const { ids, clock } = world();
    ids.touch('a');
    ids.touch('b');
    clock.advance(6000);
    ids.touch('a');
    clock.advance(4000);
    expect([...ids.active()]).toEqual(['a']);
    clock.advance(6000);
    expect([...ids.active()]).toEqual([]);
  });

  test('nobody who has left without a call', () => {
    const { ids } = world();
    expect([ids.release('a'), [...ids.active()]]).toEqual([[], []]);
  });
});

test('the calls of a client that has left belong to nobody', () => {
  const { ids, call } = world();
  const id = call('a', 1);
  expect(ids.release('a').map(idOf)).toEqual([id]);
  expect([ids.find(id), ids.trace(id)?.owner, ids.cancel('a', 1)]).toEqual([undefined, undefined, undefined]);
  expect(ids.settle(id, false)?.owner).toBeUndefined();
});
