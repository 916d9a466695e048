import { isIP } from 'node:net';

import { isLinkLocalAddress, isLoopbackAddress, isPrivateAddress, networkOf } from '../../../platform/net/addresses.ts';

/** Agents behind a proxy that does not say which client it forwards for: they may be anybody, and so count as one. */
export const unknownNetwork = '';

/**
 * Who a claim is counted for: the peer's address, an IPv6 one as its /64, since one customer has all of that. For a peer
 * that may be a proxy of the operator's it is the last address in X-Forwarded-For, which the proxy adds itself: a peer on
 * loopback or, where the relay's public URL shows that there is a proxy (`hasProxy`), one on a private network.
 */
export function clientNetwork(
  peer: string,
  forwardedFor: string | readonly string[] | undefined,
  hasProxy = false,
): string {
  const mayForward = isLoopbackAddress(peer) || (hasProxy && (isPrivateAddress(peer) || isLinkLocalAddress(peer)));
  if (!mayForward) return networkOf(peer);
  const last =
    String(forwardedFor ?? '')
      .split(',')
      .at(-1)
      ?.trim() ?? '';
  if (isIP(last) !== 0) return networkOf(last);
  return hasProxy ? unknownNetwork : networkOf(peer);
}
