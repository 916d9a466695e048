import { expect, test } from 'vitest';
import { createFrameBudget, createRstStreamLimiter } from '../../../../src/tunnel/relay/server/http2-limits.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';

const headers = (length: number) => ({ type: 1, flags: 4, length, errorCode: 0 });
const acknowledgement = { type: 4, flags: 1, length: 0, errorCode: 0 };
const ping = { type: 6, flags: 0, length: 8, errorCode: 0 };

/** How many of these frames pass in a row, of at most 100,000. */
function passing(budget: ReturnType<typeof createFrameBudget>, frame: ReturnType<typeof headers>): number {
  for (let count = 0; count < 100_000; count += 1) if (budget.objectTo(frame) !== undefined) return count;
  return Infinity;
}

test('a megabyte of header bytes at once, a quarter of one per second, a kilobyte per request', () => {
  const clock = createFakeClock();
  const budget = createFrameBudget(clock);
  budget.objectTo(acknowledgement);
  expect(passing(budget, headers(16_384 - 256))).toBe(64);
  clock.advance(1_000);
  expect(passing(budget, headers(16_384 - 256))).toBe(16);
  for (let count = 0; count < 100; count += 1) budget.onRequest();
  expect(passing(budget, headers(768))).toBe(100);
});

test('64 header blocks before our settings are acknowledged, however long that takes', () => {
  const clock = createFakeClock();
  const budget = createFrameBudget(clock);
  expect(passing(budget, headers(10))).toBe(64);
  clock.advance(60_000);
  expect(budget.objectTo(headers(10))).toBe('the HTTP/2 settings were not acknowledged');
});

test('bodies cost nothing, frames with little or no content do', () => {
  const budget = createFrameBudget(createFakeClock());
  expect(passing(budget, { type: 0, flags: 0, length: 64, errorCode: 0 })).toBe(Infinity);
  expect(passing(budget, ping)).toBe(20_000);
  for (const length of [0, 1, 63]) {
    for (const flags of [0, 1]) expect(budget.objectTo({ type: 0, flags, length, errorCode: 0 })).toBeDefined();
  }
  expect(budget.objectTo({ type: 0, flags: 8, length: 20, errorCode: 0 })).toBe(
    'too many frames with little or no content',
  );
});

test('900 resets at once, then 30 a second, in order', () => {
  const clock = createFakeClock();
  const budget = createRstStreamLimiter(clock);
  const done: number[] = [];
  for (let index = 0; index < 1000; index += 1) budget.spend(() => done.push(index) > 0);
  expect(done).toHaveLength(900);
  clock.advance(1000);
  expect(done.length).toBeGreaterThanOrEqual(928);
  expect(done.length).toBeLessThanOrEqual(931);
  clock.advance(5000);
  expect(done).toEqual(Array.from({ length: 1000 }, (_, index) => index));
  expect(clock.pending).toBe(0);
});

test('900 resets at once after an idle minute, too', () => {
  const clock = createFakeClock();
  const budget = createRstStreamLimiter(clock);
  const done: number[] = [];
  clock.advance(60_000);
  for (let index = 0; index < 2000; index += 1) budget.spend(() => done.push(index) > 0);
  expect(done).toHaveLength(900);
  budget.close();
});

test('a reset with nothing left to reset costs nothing', () => {
  const clock = createFakeClock();
  const budget = createRstStreamLimiter(clock);
  let done = 0;
  for (let index = 0; index < 5000; index += 1) budget.spend(() => (done += 1) > 4000);
  expect(done).toBe(4900);
  budget.close();
});

test('close forgets the resets that wait and leaves no timer', () => {
  const clock = createFakeClock();
  const budget = createRstStreamLimiter(clock);
  for (let index = 0; index < 1000; index += 1) budget.spend(() => true);
  budget.close();
  expect(clock.pending).toBe(0);
});
