import { expect, test } from 'vitest';
import { createForwardClock } from '../../src/platform/clock.ts';
import { createFakeClock } from '../harness/fake-clock.ts';

test('a clock that never goes back stands still when the other one is set back, and goes on with it', () => {
  const clock = createFakeClock();
  const forward = createForwardClock(clock);
  const start = forward.now();
  clock.advance(1000);
  expect(forward.now()).toBe(start + 1000);
  clock.setBack(500_000);
  expect(forward.now()).toBe(start + 1000);
  clock.advance(2000);
  expect(forward.now()).toBe(start + 3000);
  clock.setBack(1);
  clock.jump(86_400_000);
  expect(forward.now()).toBe(start + 3000 + 86_400_000 - 1);
});

test('its timers are those of the other one', () => {
  const clock = createFakeClock();
  let calls = 0;
  const forward = createForwardClock(clock);
  forward.after(10, () => calls++);
  forward.after(10, () => calls++)();
  clock.advance(10);
  expect([calls, clock.pending]).toEqual([1, 0]);
});
