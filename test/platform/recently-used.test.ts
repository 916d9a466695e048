import { expect, test } from 'vitest';
import { RecentlyUsed } from '../../src/platform/recently-used.ts';

test('each key has one value, which is created when it is first used', () => {
  let created = 0;
  const table = new RecentlyUsed(2, () => ({ number: ++created }));
  expect(['a', 'b', 'a'].map((key) => table.at(key).number)).toEqual([1, 2, 1]);
  expect(table.size).toBe(2);
});

test('a full table forgets the key that was used least recently', () => {
  let created = 0;
  const table = new RecentlyUsed(2, () => ++created);
  for (const key of ['a', 'b', 'a', 'c']) table.at(key);
  expect(table.size).toBe(2);
  expect([table.at('a'), table.at('c'), table.at('b')]).toEqual([1, 3, 4]);
});
