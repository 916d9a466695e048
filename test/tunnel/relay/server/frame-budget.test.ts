import { expect, test } from 'vitest';
import { frameTypes } from '../../../../src/tunnel/relay/protocol/frames.ts';
import { createFrameBudget, type FrameBudget } from '../../../../src/tunnel/relay/server/frame-budget.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';

/** How many frames of this length pass in a row, of at most 100,000. */
function passing(budget: FrameBudget, length: number, type: number = frameTypes.data): number {
  for (let count = 0; count < 100_000; count += 1) if (budget.objectTo(type, length) !== undefined) return count;
  return Infinity;
}

test('frames with content cost nothing', () => {
  const budget = createFrameBudget(createFakeClock());
  expect([passing(budget, 64), passing(budget, 65_536)]).toEqual([Infinity, Infinity]);
});

test.each([0, 1, 63])('20,000 frames of %i bytes at once, then 10,000 a second', (length) => {
  const clock = createFakeClock();
  const budget = createFrameBudget(clock);
  expect(passing(budget, length)).toBe(20_000);
  expect(budget.objectTo(frameTypes.data, length)).toBe('too many frames with little or no content');
  clock.advance(1_000);
  expect(passing(budget, length)).toBe(10_000);
  clock.advance(60_000);
  expect(passing(budget, length)).toBe(20_000);
});

test('each request pays for the short frames of its response, beyond what time gives', () => {
  const budget = createFrameBudget(createFakeClock());
  passing(budget, 0);
  for (let count = 0; count < 100; count += 1) budget.onRequest();
  expect(passing(budget, 0)).toBe(400);
});

test('1 MiB of heads at once, then 256 KiB a second, and 1 KiB for each request', () => {
  const clock = createFakeClock();
  const budget = createFrameBudget(clock);
  expect(passing(budget, 64 * 1024, frameTypes.head)).toBe(16);
  expect(budget.objectTo(frameTypes.head, 64 * 1024)).toBe('too many bytes of heads');
  clock.advance(1_000);
  expect(passing(budget, 64 * 1024, frameTypes.head)).toBe(4);
  for (let count = 0; count < 64; count += 1) budget.onRequest();
  expect(passing(budget, 64 * 1024, frameTypes.head)).toBe(1);
});
