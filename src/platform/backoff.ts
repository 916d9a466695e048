import { systemClock, type Clock } from './clock.ts';

/** First step of the exponential back-off, in milliseconds. */
const baseDelayMs = 250;
/** Longest wait between two attempts, in milliseconds: about as long as a user waits before restarting. */
const maxDelayMs = 30_000;
/** Longest wait that a relay can ask for, in milliseconds; beyond 2^31 a timer of Node's would fire at once. */
const maxRetryAfterMs: number = 10 * 60 * 1000;
/** How long a connection must last to count as stable, in milliseconds; a shorter one counts as a failure. */
const stableAfterMs = 10_000;

export interface Backoff {
  /** To be called when a connection is up. */
  connected(): void;
  /**
   * Milliseconds to wait before the next attempt: 0 for the first one after a stable link, then
   * random(0, min(30 s, 250 ms * 2^n)), "full jitter", so that the agents of a restarted relay do not reconnect at once.
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
