import { expect, test } from 'vitest';
import { Backoff } from '../../src/platform/backoff.ts';
import { createFakeClock } from '../harness/fake-clock.ts';

test('the first retry is at once, the next ones are random up to 250 ms doubled, at most 30 s', () => {
  const backoff = new Backoff(createFakeClock(), () => 1);
  expect(Array.from({ length: 10 }, () => backoff.next())).toEqual([
    0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000,
  ]);
});

test('full jitter: the wait is anything from nothing on', () => {
  const values = [0, 0.5];
  const backoff = new Backoff(createFakeClock(), () => values.shift() ?? 1);
  expect([backoff.next(), backoff.next(), backoff.next()]).toEqual([0, 0, 500]);
});

test('a link that lived 10 s starts anew, a shorter one does not', () => {
  const clock = createFakeClock();
  const backoff = new Backoff(clock, () => 1);
  expect([backoff.next(), backoff.next(), backoff.next()]).toEqual([0, 500, 1000]);
  backoff.connected();
  clock.advance(9999);
  expect(backoff.next()).toBe(2000);
  backoff.connected();
  clock.advance(10_000);
  expect(backoff.next()).toBe(0);
});

test('after a reset the next attempt is the first one again; a limit replaces the 30 s', () => {
  const backoff = new Backoff(createFakeClock(), () => 1);
  expect([backoff.next(), backoff.next()]).toEqual([0, 500]);
  backoff.reset();
  expect([0, 1, 2, 3, 4].map(() => backoff.next(0, 2_000))).toEqual([0, 500, 1000, 2000, 2000]);
  expect(backoff.next()).toBe(8000);
});

test("the relay's retryAfterMs is the least", () => {
  const backoff = new Backoff(createFakeClock(), () => 1);
  expect([backoff.next(3000), backoff.next(3000), backoff.next(100)]).toEqual([3000, 3000, 1000]);
});

test('many failures do not overflow', () => {
  const backoff = new Backoff(createFakeClock(), () => 1);
  const waits = Array.from({ length: 5000 }, () => backoff.next());
  expect(waits.at(-1)).toBe(30_000);
});

test('a relay cannot ask for more than ten minutes, nor for a timer that overflows', () => {
  expect(new Backoff(undefined, () => 0).next(2 ** 50)).toBe(600_000);
});
