import type { Clock } from '../../clock.ts';
import { systemClock } from '../../clock.ts';

/**
 * nghttp2 ends a connection whose client resets more than 1000 streams at once or 33 per second for long (its defence
 * against CVE-2023-44487). For the agent the relay is that client: without a budget, anybody who opens and drops
 * requests quickly could cut an agent off. Both numbers stay below nghttp2's.
 */
const burst = 900;
const perSecond = 30;

export interface ResetBudget {
  /** Runs `reset` now, or later when the budget is used up; in order. */
  spend(reset: () => void): void;
  close(): void;
}

export function createResetBudget(clock: Clock = systemClock): ResetBudget {
  let tokens = burst;
  let filledAt = clock.now();
  let cancel: (() => void) | undefined;
  const waiting: Array<() => void> = [];

  const refill = (): void => {
    const now = clock.now();
    // The wall clock may be set back.
    tokens = Math.min(burst, tokens + (Math.max(0, now - filledAt) * perSecond) / 1000);
    filledAt = now;
  };

  const run = (): void => {
    cancel = undefined;
    refill();
    const due = waiting.splice(0, Math.floor(tokens));
    tokens -= due.length;
    for (const reset of due) reset();
    if (waiting.length > 0) cancel = clock.after(1000 / perSecond, run);
  };

  return {
    spend(reset) {
      waiting.push(reset);
      if (cancel === undefined) run();
    },
    close() {
      cancel?.();
      waiting.length = 0;
    },
  };
}
