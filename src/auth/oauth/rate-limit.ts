import type { Clock } from '../../platform/clock.ts';
import { networkOf } from '../../platform/net/addresses.ts';
import { RecentlyUsed } from '../../platform/recently-used.ts';
import { createTokenBucket, type TokenBucket } from '../../platform/token-bucket.ts';

/** Networks whose budgets are remembered, about 200 bytes each. */
const maxNetworks = 1000;

/** Clients whose address the tunnel does not tell share one budget, this many times as large. */
const unknownAddressFactor = 5;

/** A number of actions per hour for each network: an IPv4 address, or the /64 of an IPv6 address. */
export interface RateLimit {
  /** Takes one action. @returns 0, or after how many seconds to try again. */
  take(address: string | undefined): number;
  /** Undoes a `take` for an action that turned out to be welcome. */
  giveBack(address: string | undefined): void;
}

export function createRateLimit(perHour: number, clock: Clock): RateLimit {
  const budgetOf = (limit: number): TokenBucket => createTokenBucket({ burst: limit, perSecond: limit / 3600, clock });
  const budgets = new RecentlyUsed(maxNetworks, () => budgetOf(perHour));
  const sharedLimit = perHour * unknownAddressFactor;
  const shared = budgetOf(sharedLimit);
  const budgetFor = (address: string | undefined): TokenBucket =>
    address === undefined ? shared : budgets.at(networkOf(address));
  return {
    take: (address) =>
      budgetFor(address).take(1) ? 0 : Math.ceil(3600 / (address === undefined ? sharedLimit : perHour)),
    giveBack: (address) => budgetFor(address).add(1),
  };
}
