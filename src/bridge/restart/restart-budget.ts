import type { Clock } from '../../platform/clock.ts';
import type { UpstreamEnd } from '../upstream/upstream.ts';

/**
 * A server that ends this often within the time has a fault that another start will not cure. A bad request that kills it
 * now and then, or a developer who restarts it by hand, stays below.
 */
const maxEnds = 5;
const endsWithinMs = 60_000;

/** Clients give up a call after a minute (the official SDKs' default), so longer attempts would be for nobody. */
const giveUpAfterMs = 60_000;

/** Decides when to stop starting a server anew: when it ends again and again, or does not come back for too long. */
export class RestartBudget {
  readonly #clock: Clock;
  #ends: number[] = [];
  #usableUntil: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#usableUntil = clock.now();
  }

  /**
   * Tell it of each end.
   * @param wasUsable whether a client could use that connection, as against an attempt that came to nothing.
   * @returns why there should be no further attempt, or undefined.
   */
  spend(end: UpstreamEnd, wasUsable: boolean): string | undefined {
    const now = this.#clock.now();
    if (wasUsable) this.#usableUntil = now;
    // Who cannot be reached, or has another in its place that answers, is on its way: that takes as long as it takes.
    const isEnd = end.code !== 'upstream_unreachable' && end.code !== 'upstream_refused';
    this.#ends = this.#ends.filter((at) => now - at < endsWithinMs);
    if (wasUsable || isEnd) this.#ends.push(now);
    if (this.#ends.length >= maxEnds) {
      const what = isEnd && end.code !== 'upstream_session_lost' ? 'the server ended' : 'the connection was lost';
      return `${what} ${maxEnds} times within a minute, the last time: ${end.reason}`;
    }
    if (this.remainingMs() > (end.retryAfterMs ?? 0)) return undefined;
    const triedS = Math.round((now - this.#usableUntil) / 1000);
    return `the server did not come back, it was tried for ${triedS} s, the last time: ${end.reason}`;
  }

  /** How long attempts may still go on, in milliseconds. */
  remainingMs(): number {
    return this.#usableUntil + giveUpAfterMs - this.#clock.now();
  }
}
