import { systemClock, type Clock } from './clock.ts';

/** First step of the exponential back-off, in milliseconds. */
const baseDelayMs = 250;
/** Longest wait between two attempts, in milliseconds: about as long as a user waits before restarting. */
const maxDelayMs = 30_000;
/** Longest wait that a relay can ask for, in milliseconds; beyond 2^31 a timer of Node's would fire at once. */
const maxRetryAfterMs: number = 10 * 60 * 1000;
/** How long a connection must last to count as stable, in milliseconds; a shorter one counts as a failure. */
const stableAfterMs = 10_000;

export class Backoff {
  readonly #clock: Clock;
  readonly #random: () => number;
  #attempts = 0;
  #connectedAt: number | undefined;

  /** @param random returns 0 to 1 as Math.random does. */
  constructor(clock: Clock = systemClock, random: () => number = Math.random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** To be called when a connection is up. */
  connected(): void {
    this.#connectedAt = this.#clock.now();
  }

  /** The next attempt is the first one again. */
  reset(): void {
    this.#attempts = 0;
  }

  /**
   * Milliseconds to wait before the next attempt: 0 for the first one after a stable link, then
   * random(0, min(30 s, 250 ms * 2^n)), "full jitter", so that the agents of a restarted relay do not reconnect at once.
   * `retryAfterMs` from the relay is the least it returns, up to ten minutes.
   * @param limitMs replaces the 30 s.
   */
  next(retryAfterMs = 0, limitMs: number = maxDelayMs): number {
    const wasStable = this.#connectedAt !== undefined && this.#clock.now() - this.#connectedAt >= stableAfterMs;
    if (wasStable) this.reset();
    this.#connectedAt = undefined;
    const maxMs = Math.min(limitMs, baseDelayMs * 2 ** this.#attempts);
    const delayMs = this.#attempts === 0 ? 0 : this.#random() * maxMs;
    this.#attempts += 1;
    return Math.max(delayMs, Math.min(retryAfterMs, maxRetryAfterMs));
  }
}
