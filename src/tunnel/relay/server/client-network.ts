import { isIP } from 'node:net';
import { isLoopbackAddress } from './accepted-hosts.ts';

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
  const mayForward = isLoopbackAddress(peer) || (hasProxy && isPrivateAddress(peer));
  if (!mayForward) return networkOf(peer);
  const last =
    String(forwardedFor ?? '')
      .split(',')
      .at(-1)
      ?.trim() ?? '';
  if (isIP(last) !== 0) return networkOf(last);
  return hasProxy ? unknownNetwork : networkOf(peer);
}

/** RFC 1918, section 3, and RFC 4193, section 3.1: where containers and other machines of one operator are. */
function isPrivateAddress(address: string): boolean {
  return /^(?:::ffff:)?(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)|^f[cd][\da-f]{2}:/i.test(address);
}

function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.toLowerCase().replace(/%.*$/, '').split('::');
  const groups = head === '' ? [] : head.split(':');
  const ending = tail === undefined || tail === '' ? [] : tail.split(':');
  // `::` stands for as many zero groups as are missing from eight (RFC 4291, section 2.2).
  const zeros =
    tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - groups.length - ending.length) }, () => '0');
  const full = [...groups, ...zeros, ...ending].slice(0, 4);
  return `${full.map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`;
}
