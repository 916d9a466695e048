import type { Clock } from '../../platform/clock.ts';
import { networkOf } from '../../platform/net/addresses.ts';
import { createTokenBucket, type TokenBucket } from '../../platform/token-bucket.ts';

/** Networks whose budgets are remembered, about 200 bytes each; with more, the one that was added first starts anew. */
const maxNetworks = 1000;

/** Clients whose address the tunnel does not tell share one budget, this many times as large. */
const unknownAddressFactor = 5;

/** A number of actions per hour for each network: an IPv4 address, or the /64 of an IPv6 address. */
export interface RateLimit {
  /** Takes one action. @returns 0, or after how many seconds to try again. */
  take(address: string | undefined): number;
}

export function createRateLimit(perHour: number, clock: Clock): RateLimit {
  const budgets = new Map<string, TokenBucket>();
  return {
    take(address) {
      const network = address === undefined ? '' : networkOf(address);
      const limit = address === undefined ? perHour * unknownAddressFactor : perHour;
      let budget = budgets.get(network);
      if (budget === undefined) {
        const [oldest] = budgets.keys();
        if (budgets.size >= maxNetworks && oldest !== undefined) budgets.delete(oldest);
        budget = createTokenBucket({ burst: limit, perSecond: limit / 3600, clock });
        budgets.set(network, budget);
      }
      return budget.take(1) ? 0 : Math.ceil(3600 / limit);
    },
  };
}
