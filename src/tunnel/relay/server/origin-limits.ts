import type { TokenBucket, TokenBucketOptions } from '../../../platform/token-bucket.ts';
import { createTokenBucket } from '../../../platform/token-bucket.ts';

/** Origins that are told apart; more than come within the minutes in which a bucket fills. */
const maxOrigins = 10_000;

/** A limit on a rate for each origin. Returns whether one more of this origin may pass. */
export function createOriginRate(options: TokenBucketOptions): (origin: string) => boolean {
  const buckets = new Map<string, TokenBucket>();
  return (origin) => {
    const bucket = buckets.get(origin) ?? createTokenBucket(options);
    const [oldest] = buckets.keys();
    if (buckets.size >= maxOrigins && !buckets.has(origin) && oldest !== undefined) buckets.delete(oldest);
    buckets.set(origin, bucket);
    return bucket.take(1);
  };
}

/**
 * How much each origin holds of something that is limited, so that whoever has most gives way when it runs out. The items
 * of an origin are in the order in which they were added.
 */
export class OriginShares<Item> {
  readonly #shares = new Map<string, Set<Item>>();
  #size = 0;

  /** Items of all origins. */
  get size(): number {
    return this.#size;
  }

  /** An item must not be added twice. */
  add(origin: string, item: Item): void {
    const share = this.#shares.get(origin);
    if (share === undefined) this.#shares.set(origin, new Set([item]));
    else share.add(item);
    this.#size += 1;
  }

  /** Does nothing for an item that is not there. */
  delete(origin: string, item: Item): void {
    const share = this.#shares.get(origin);
    if (share?.delete(item) !== true) return;
    this.#size -= 1;
    if (share.size === 0) this.#shares.delete(origin);
  }

  of(origin: string): ReadonlySet<Item> {
    return this.#shares.get(origin) ?? new Set();
  }

  /** The largest share, empty when there is nothing. Looks at every origin, so it is for when a limit is reached. */
  largest(): ReadonlySet<Item> {
    let largest: ReadonlySet<Item> = new Set();
    for (const share of this.#shares.values()) if (share.size > largest.size) largest = share;
    return largest;
  }

  all(): Item[] {
    return [...this.#shares.values()].flatMap((share) => [...share]);
  }
}
