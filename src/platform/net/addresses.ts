import { BlockList, isIP, isIPv6 } from 'node:net';
import type { NetworkInterfaceInfo, networkInterfaces } from 'node:os';

/** A BlockList also finds an IPv4 address that is mapped into IPv6 (RFC 4291 §2.5.5.2). */
const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

const wildcard = new BlockList();
wildcard.addAddress('0.0.0.0', 'ipv4');
wildcard.addAddress('::', 'ipv6');

/** RFC 1918 §3, RFC 6598 §7 (cluster networks use it, too) and RFC 4193 §3.1. */
const privateRanges = new BlockList();
privateRanges.addSubnet('10.0.0.0', 8, 'ipv4');
privateRanges.addSubnet('172.16.0.0', 12, 'ipv4');
privateRanges.addSubnet('192.168.0.0', 16, 'ipv4');
privateRanges.addSubnet('100.64.0.0', 10, 'ipv4');
privateRanges.addSubnet('fc00::', 7, 'ipv6');

/** RFC 3927 and RFC 4291 §2.5.6. */
const linkLocal = new BlockList();
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4');
linkLocal.addSubnet('fe80::', 10, 'ipv6');

/** Whether `host` is an address in `list`, in any notation, with or without a zone. False for a name. */
export function isIn(list: BlockList, host: string): boolean {
  const address = withoutZone(host);
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

export const isLoopbackAddress = (host: string): boolean => isIn(loopback, host);

/** Whether a host name or address, with or without brackets, means this machine only (RFC 6761 §6.3). */
export function isLoopbackHost(host: string): boolean {
  const name = withoutBrackets(host).toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || isLoopbackAddress(name);
}

/** Whether a server that binds to this address listens on every address of the host. */
export const isWildcardAddress = (host: string): boolean => isIn(wildcard, host);

export const isPrivateAddress = (host: string): boolean => isIn(privateRanges, host);

export const isLinkLocalAddress = (host: string): boolean => isIn(linkLocal, host);

/** `fe80::1` of `fe80::1%eth0`. */
export function withoutZone(address: string): string {
  return address.replace(/%.*/s, '');
}

/** The IPv4 address of an IPv4-mapped IPv6 address in dotted notation, as sockets report it; any other text unchanged. */
export function unmapped(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}

/** An address as in a URL: IPv6 in brackets, a zone as in RFC 6874. */
export function inUrl(address: string): string {
  return isIPv6(address) ? `[${address.replace('%', '%25')}]` : address;
}

/** `::1` of `[::1]`, as `URL.hostname` has it; any other text as it is. */
export function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}

/** An IPv4 address itself; of an IPv6 address its /64, since one customer usually has all of it. */
export function networkOf(address: string): string {
  const own = unmapped(address);
  if (!isIPv6(own)) return own;
  const groups = groupsOf(own).slice(0, 4);
  return `${groups.map((group) => group.toString(16)).join(':')}::/64`;
}

/** The eight groups of an IPv6 address (RFC 4291 §2.2). */
export function groupsOf(address: string): number[] {
  // The URL parser normalises an address: groups in hexadecimal, with :: for the longest row of zeros.
  const { hostname } = new URL(`http://[${withoutZone(address)}]`);
  const [front = [], back = []] = hostname
    .slice(1, -1)
    .split('::')
    .map((part) => part.split(':').filter((group) => group !== ''));
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return [...front, ...zeros, ...back].map((group) => Number.parseInt(group, 16));
}

/**
 * The addresses at which other hosts on the network can reach this one: IPv4 first, then global and unique local IPv6.
 * Without link-local ones: in IPv6 they need a zone, which differs on each host.
 */
export function lanAddresses(interfaces: ReturnType<typeof networkInterfaces>): string[] {
  const entries: NetworkInterfaceInfo[] = Object.values(interfaces).flatMap((list) => list ?? []);
  const usable = entries.filter((entry) => !entry.internal && !isLinkLocalAddress(entry.address));
  const addresses = [4, 6].flatMap((version) =>
    usable.map((entry) => entry.address).filter((address) => isIP(address) === version),
  );
  return [...new Set(addresses)];
}
