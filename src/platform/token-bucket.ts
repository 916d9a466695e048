import { systemClock, type Clock } from './clock.ts';

/** A rate limit: an amount at once (the burst), and an amount per second. */
export interface TokenBucket {
  /** Takes `amount` if available; otherwise takes nothing and returns false. */
  take(amount: number): boolean;
  /** Adds to the available amount, up to the burst. */
  add(amount: number): void;
}

export interface TokenBucketOptions {
  readonly burst: number;
  readonly perSecond: number;
  readonly clock?: Clock;
}

export function createTokenBucket({ burst, perSecond, clock = systemClock }: TokenBucketOptions): TokenBucket {
  let tokens = burst;
  let filledAt = clock.now();
  return {
    take(amount) {
      const now = clock.now();
      // The wall clock may be set back.
      tokens = Math.min(burst, tokens + (Math.max(0, now - filledAt) * perSecond) / 1000);
      filledAt = now;
      if (tokens < amount) return false;
      tokens -= amount;
      return true;
    },
    add(amount) {
      tokens = Math.min(burst, tokens + amount);
    },
  };
}
