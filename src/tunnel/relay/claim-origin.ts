import { isIP } from 'node:net';
import { isLoopbackAddress } from './known-hosts.ts';

/**
 * Who a claim is counted for: the peer's address, an IPv6 one as its /64, since one customer has all of that. For a peer
 * on loopback it is the last address in X-Forwarded-For, which a proxy on this machine adds itself; where the proxy adds
 * none, all agents behind it count as one.
 */
export function claimOrigin(peer: string, forwardedFor: string | readonly string[] | undefined): string {
  if (!isLoopbackAddress(peer)) return networkOf(peer);
  const last =
    String(forwardedFor ?? '')
      .split(',')
      .at(-1)
      ?.trim() ?? '';
  return networkOf(isIP(last) === 0 ? peer : last);
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
