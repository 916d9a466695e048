import { expect, test } from 'vitest';
import { Turns } from '../../src/expose/turns.ts';
import { createDeferred } from '../../src/platform/deferred.ts';
import { collectGarbage } from '../harness/collect-garbage.ts';

const never = new AbortController().signal;

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('tasks run one at a time, in order, and the result is theirs', async () => {
  const turns = new Turns();
  const begun: number[] = [];
  const tasks = [1, 2, 3].map((number) => ({ number, end: createDeferred<number>() }));
  const results = tasks.map(({ number, end }) =>
    turns.take(() => {
      begun.push(number);
      return end.promise;
    }, never),
  );
  await settled();
  expect(begun).toEqual([1]);
  tasks[0]?.end.resolve(10);
  // Nobody overtakes those that wait, in none of the microtasks in which the turn passes.
  const late: Promise<unknown>[] = [];
  const comeLater = (times: number): void => {
    late.push(turns.take(async () => begun.push(4), new AbortController().signal));
    if (times > 1) queueMicrotask(() => comeLater(times - 1));
  };
  comeLater(10);
  await settled();
  expect(begun).toEqual([1, 2]);
  tasks[1]?.end.reject(new Error('failed'));
  await expect(results[1]).rejects.toThrow('failed');
  await settled();
  expect(begun).toEqual([1, 2, 3]);
  tasks[2]?.end.resolve(30);
  expect(await Promise.all([results[0], results[2]])).toEqual([10, 30]);
  await Promise.all(late);
  expect(begun).toEqual([1, 2, 3, ...Array<number>(10).fill(4)]);
});

test('owners take turns, however many tasks one of them has', async () => {
  const turns = new Turns();
  const order: string[] = [];
  const take = (owner: string, number: number): Promise<unknown> =>
    turns.take(async () => order.push(owner + number), never, owner);
  await Promise.all([take('a', 1), take('a', 2), take('a', 3), take('b', 1), take('b', 2), take('c', 1)]);
  expect(order).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2']);
});

test('one that leaves before its turn never runs, and holds up nobody', async () => {
  const turns = new Turns();
  const first = createDeferred<string>();
  const taken = turns.take(() => first.promise, never);
  const leaving = new AbortController();
  const left = turns.take(() => Promise.reject(new Error('it has run')), leaving.signal);
  const next = turns.take(async () => 'next', never);
  leaving.abort();
  expect(await left).toBeUndefined();
  expect(await turns.take(() => Promise.reject(new Error('it has run')), leaving.signal)).toBeUndefined();
  first.resolve('first');
  expect(await taken).toBe('first');
  expect(await next).toBe('next');
  expect(await turns.take(async () => 'later', never)).toBe('later');
});

test('what has left is not kept while others wait', async () => {
  const turns = new Turns();
  const first = createDeferred<void>();
  const taken = turns.take(() => first.promise, never);
  const leave = async (): Promise<WeakRef<object>> => {
    const large = { content: 'x' };
    const leaving = new AbortController();
    const left = turns.take(async () => large, leaving.signal);
    leaving.abort();
    await left;
    return new WeakRef(large);
  };
  const ref = await leave();
  await settled();
  collectGarbage();
  expect(ref.deref()).toBeUndefined();
  first.resolve();
  await taken;
});
