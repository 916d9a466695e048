import type { Clock } from '../../../platform/clock.ts';
import { systemClock } from '../../../platform/clock.ts';
import { createTokenBucket } from '../../../platform/token-bucket.ts';

/**
 * nghttp2 ends a connection whose client resets more than 1000 streams at once or 33 per second for long (its defence
 * against CVE-2023-44487). For the agent the relay is that client: without a budget, anybody who opens and drops
 * requests quickly could cut an agent off. Both numbers stay below nghttp2's.
 */
const burst = 900;
const perSecond = 30;

export interface RstStreamLimiter {
  /** Runs `reset` now, or later when the budget is used up; in order. It returns false where nothing was left to reset. */
  spend(reset: () => boolean): void;
  close(): void;
}

export function createRstStreamLimiter(clock: Clock = systemClock): RstStreamLimiter {
  const bucket = createTokenBucket({ burst, perSecond, clock });
  let cancel: (() => void) | undefined;
  const waiting = new Set<() => boolean>();

  const run = (): void => {
    cancel = undefined;
    for (const reset of waiting) {
      if (!bucket.take(1)) {
        cancel = clock.after(1000 / perSecond, run);
        return;
      }
      waiting.delete(reset);
      if (!reset()) bucket.add(1);
    }
  };

  return {
    spend(reset) {
      waiting.add(reset);
      if (cancel === undefined) run();
    },
    close() {
      cancel?.();
      waiting.clear();
    },
  };
}
