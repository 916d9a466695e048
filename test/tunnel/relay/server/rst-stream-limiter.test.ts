import { expect, test } from 'vitest';
import { createRstStreamLimiter } from '../../../../src/tunnel/relay/server/rst-stream-limiter.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';

test('900 at once, then 30 a second, in order', () => {
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

test('900 at once after an idle minute, too', () => {
  const clock = createFakeClock();
  const budget = createRstStreamLimiter(clock);
  const done: number[] = [];
  clock.advance(60_000);
  for (let index = 0; index < 2000; index += 1) budget.spend(() => done.push(index) > 0);
  expect(done).toHaveLength(900);
  budget.close();
});

test('what there is nothing left to reset of costs nothing', () => {
  const clock = createFakeClock();
  const budget = createRstStreamLimiter(clock);
  let done = 0;
  for (let index = 0; index < 5000; index += 1) budget.spend(() => (done += 1) > 4000);
  expect(done).toBe(4900);
  budget.close();
});

test('close forgets what waits and leaves no timer', () => {
  const clock = createFakeClock();
  const budget = createRstStreamLimiter(clock);
  for (let index = 0; index < 1000; index += 1) budget.spend(() => true);
  budget.close();
  expect(clock.pending).toBe(0);
});
