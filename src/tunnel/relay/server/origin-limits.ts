import { isIP } from 'node:net';

import {
  isLinkLocalAddress,
  isLoopbackAddress,
  isPrivateAddress,
  networkOf,
  unmapped,
} from '../../../platform/net/addresses.ts';
import { RecentlyUsed } from '../../../platform/recently-used.ts';
import { createTokenBucket, type TokenBucketOptions } from '../../../platform/token-bucket.ts';

/** The origin of agents behind a proxy that does not name its clients: they cannot be told apart, and so count as one. */
export const unknownNetwork = '';

/**
 * The origin that a claim counts for: the peer's address, for IPv6 its /64, since one customer has all of it. For a peer that
 * may be the operator's proxy it is the last address in X-Forwarded-For, which the proxy adds itself: a peer on loopback or, if
 * the relay's public URL shows that there is a proxy (`hasProxy`), on a private network.
 */
export function clientNetwork(
  peer: string,
  forwardedFor: string | readonly string[] | undefined,
  hasProxy = false,
): string {
  if (!isLoopbackAddress(peer) && !(hasProxy && isNearby(peer))) return networkOf(peer);
  const last = lastAddress(forwardedFor);
  if (last !== undefined) return networkOf(last);
  return hasProxy ? unknownNetwork : networkOf(peer);
}

/**
 * The address of a client for its agent, which may decide on it; undefined if it is not known. Only if the relay's public URL
 * shows that there is a proxy is it the one that the proxy names: otherwise programs on this machine could name any.
 */
export function clientAddress(
  peer: string,
  forwardedFor: string | readonly string[] | undefined,
  hasProxy: boolean,
): string | undefined {
  return hasProxy && isNearby(peer) ? lastAddress(forwardedFor) : unmapped(peer);
}

function isNearby(peer: string): boolean {
  return isLoopbackAddress(peer) || isPrivateAddress(peer) || isLinkLocalAddress(peer);
}

/** The last address in X-Forwarded-For. */
function lastAddress(forwardedFor: string | readonly string[] | undefined): string | undefined {
  const last = String(forwardedFor ?? '')
    .split(',')
    .at(-1)
    ?.trim();
  return last === undefined || isIP(last) === 0 ? undefined : last;
}

/** Origins that are told apart; more than appear within the minutes in which a bucket fills. */
const maxOrigins = 10_000;

/** A rate limit for each origin. Returns whether one more of this origin may pass. */
export function createOriginRate(options: TokenBucketOptions): (origin: string) => boolean {
  const buckets = new RecentlyUsed(maxOrigins, () => createTokenBucket(options));
  return (origin) => buckets.at(origin).take(1);
}

/**
 * How much of a limited resource each origin holds, so that the origin with the most gives way when it runs out. The items of
 * an origin are in the order in which they were added.
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

  /** The largest share, empty when there is nothing. Compares all origins, so call it only when a limit is reached. */
  largest(): ReadonlySet<Item> {
    let largest: ReadonlySet<Item> = new Set();
    for (const share of this.#shares.values()) if (share.size > largest.size) largest = share;
    return largest;
  }

  all(): Item[] {
    return [...this.#shares.values()].flatMap((share) => [...share]);
  }
}
