import type { Clock } from './clock.ts';
import { systemClock } from './clock.ts';

/** First step of the exponential back-off, in milliseconds. */
const baseDelayMs = 250;
/** Longest wait between two attempts, in milliseconds: what a person waits for before restarting by hand. */
const maxDelayMs = 30_000;
/** Longest wait that a relay can ask for, in milliseconds; beyond 2^31 a timer of Node's would fire at once. */
const maxRetryAfterMs: number = 10 * 60 * 1000;
/** A link that lived this long was a good one; a shorter life is a failure that only looked like a success. */
const stableAfterMs = 10_000;

export interface Backoff {
  /** Tell it when a link came up. */
  connected(): void;
  /**
   * Milliseconds to wait before the next attempt: 0 for the first one after a stable link, then
   * random(0, min(30 s, 250 ms * 2^n)), "full jitter", so that the agents of a restarted relay do not come back in step.
   * `retryAfterMs` from the relay is the least it returns, up to ten minutes.
   */
  next(retryAfterMs?: number): number;
}

/** `random` returns 0 to 1 as Math.random does. */
export function createBackoff(options: { random?: () => number; clock?: Clock } = {}): Backoff {
  const random = options.random ?? Math.random;
  const clock = options.clock ?? systemClock;
  let attempts = 0;
  let connectedAt: number | undefined;
  return {
    connected() {
      connectedAt = clock.now();
    },
    next(retryAfterMs = 0) {
      if (connectedAt !== undefined && clock.now() - connectedAt >= stableAfterMs) attempts = 0;
      connectedAt = undefined;
      const delayMs = attempts === 0 ? 0 : random() * Math.min(maxDelayMs, baseDelayMs * 2 ** attempts);
      attempts += 1;
      return Math.max(delayMs, Math.min(retryAfterMs, maxRetryAfterMs));
    },
  };
}
