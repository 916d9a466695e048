import { systemClock, type Clock } from '../platform/clock.ts';
import { networkOf } from '../platform/net/addresses.ts';
import { RecentlyUsed } from '../platform/recently-used.ts';
import { createTokenBucket, type TokenBucket } from '../platform/token-bucket.ts';

/** Wrong tokens from one network that are answered as such. */
const guessesPerMinute = 10;

/** Networks that are told apart, about 500 bytes each; a network that was forgotten starts anew. */
export const maxGuessingNetworks = 10_000;

const minuteMs = 60_000;

interface Guesses {
  readonly budget: TokenBucket;
  /** Start of the current minute, in milliseconds since 1970. */
  since: number;
  count: number;
  /** In the minute before. */
  previous: number;
}

/** Wrong tokens from a network; undefined for clients whose address is not known. */
export interface Guessing {
  readonly network: string | undefined;
  /** Within a minute. */
  readonly count: number;
}

/**
 * Limits how often a network (an IPv4 address or an IPv6 /64) may guess. It counts wrong tokens only, so that nobody can lock
 * out the holder of a right one. Clients whose address is not known count as one network.
 */
export class GuessLimit {
  readonly #clock: Clock;
  readonly #onGuessing: (guessing: Guessing) => void;
  readonly #networks: RecentlyUsed<Guesses>;
  #reportedAt = -Infinity;

  /** @param onGuessing called at most once a minute, if there are more wrong tokens than are answered as such. */
  constructor(onGuessing: (guessing: Guessing) => void, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#onGuessing = onGuessing;
    this.#networks = new RecentlyUsed(maxGuessingNetworks, () => ({
      budget: createTokenBucket({ burst: guessesPerMinute, perSecond: guessesPerMinute / 60, clock }),
      since: clock.now(),
      count: 0,
      previous: 0,
    }));
  }

  /** Networks in the table. */
  get size(): number {
    return this.#networks.size;
  }

  /** Counts a wrong token. @returns 0, or after how many seconds to try again. */
  count(address: string | undefined): number {
    const network = address === undefined ? undefined : networkOf(address);
    const guesses = this.#networks.at(network ?? '');
    const now = this.#clock.now();
    const elapsedMs = now - guesses.since;
    if (elapsedMs >= minuteMs) {
      guesses.previous = elapsedMs < 2 * minuteMs ? guesses.count : 0;
      guesses.count = 0;
      guesses.since = now;
    }
    guesses.count++;
    if (guesses.budget.take(1)) return 0;
    // The clock may be set back.
    if (Math.abs(now - this.#reportedAt) >= minuteMs) {
      this.#reportedAt = now;
      this.#onGuessing({ network, count: Math.max(guesses.count, guesses.previous) });
    }
    return 60 / guessesPerMinute;
  }
}

/** Callers that are told apart, about 200 bytes each. */
const maxCallers = 10_000;

/** Limits the requests of each caller. */
export class RequestLimit {
  readonly #perSecond: number;
  readonly #callers: RecentlyUsed<TokenBucket>;

  constructor(perSecond: number, clock: Clock = systemClock) {
    this.#perSecond = perSecond;
    this.#callers = new RecentlyUsed(maxCallers, () =>
      createTokenBucket({ burst: Math.max(1, perSecond), perSecond, clock }),
    );
  }

  /** Counts a request. @returns 0, or after how many seconds to try again. */
  count(caller: string): number {
    return this.#callers.at(caller).take(1) ? 0 : Math.ceil(1 / this.#perSecond);
  }
}
