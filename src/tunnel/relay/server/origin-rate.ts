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
