import type { Clock } from '../../src/platform/clock.ts';

export interface FakeClock extends Clock {
  /** Moves time on, running what becomes due, in order. */
  advance(ms: number): void;
  /** Moves time on at once, as sleep does: what became due runs late. */
  jump(ms: number): void;
  /** Sets the time back; timers wait as long as they would have. */
  setBack(ms: number): void;
  /** Timers that wait. */
  readonly pending: number;
}

export function createFakeClock(): FakeClock {
  let time = 1_000_000;
  let timers: Array<{ at: number; run: () => void }> = [];
  const runUntil = (limit: number): void => {
    for (;;) {
      const [next] = timers.filter((timer) => timer.at <= limit).toSorted((a, b) => a.at - b.at);
      if (next === undefined) return;
      timers = timers.filter((timer) => timer !== next);
      time = Math.max(time, next.at);
      next.run();
    }
  };
  return {
    now: () => time,
    after(delayMs, run) {
      const timer = { at: time + delayMs, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    advance(ms) {
      const limit = time + ms;
      runUntil(limit);
      time = limit;
    },
    jump(ms) {
      time += ms;
      runUntil(time);
    },
    setBack(ms) {
      time -= ms;
      for (const timer of timers) timer.at -= ms;
    },
    get pending() {
      return timers.length;
    },
  };
}
