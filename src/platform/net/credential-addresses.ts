import { BlockList, isIP } from 'node:net';

import { groupsOf, isIn, withoutZone } from './addresses.ts';

/**
 * The metadata addresses of clouds, which give the credentials of the machine to any process on it: AWS, Azure, Google, Oracle
 * and others on link-local addresses, Alibaba, Azure's wire server, Oracle's second address. No MCP server has them.
 */
const credentialRanges = [
  ['169.254.0.0', 16],
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['192.0.0.192', 32],
] as const;

const credentialRanges6 = [
  ['fe80::', 10],
  ['fd00:ec2::254', 128],
  ['fd20:ce::254', 128],
] as const;

/**
 * Prefixes of addresses that carry an IPv4 address, and its possible places in them, as the numbers of its four bytes:
 * mapped, compatible, translated, NAT64, 6to4 (RFC 4291, 6052, 7915, 3056). The prefix that networks divide among their
 * own translators leaves the place to them (RFC 8215 with RFC 6052 §2.2).
 */
const inLastBytes = [12, 13, 14, 15];
const embeddings: readonly (readonly [address: string, prefix: number, places: readonly (readonly number[])[]])[] = [
  ['::ffff:0:0', 96, [inLastBytes]],
  ['::', 96, [inLastBytes]],
  ['::ffff:0:0:0', 96, [inLastBytes]],
  ['64:ff9b::', 96, [inLastBytes]],
  ['2002::', 16, [[2, 3, 4, 5]]],
  ['64:ff9b:1::', 48, [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], inLastBytes]],
];

const credentialAddresses = new BlockList();
for (const [address, prefix] of credentialRanges) credentialAddresses.addSubnet(address, prefix, 'ipv4');
for (const [address, prefix] of credentialRanges6) credentialAddresses.addSubnet(address, prefix, 'ipv6');

const embeddingAddresses = embeddings.map(([address, prefix, places]) => {
  const within = new BlockList();
  within.addSubnet(address, prefix, 'ipv6');
  return { within, places };
});

/** Whether an IP address, in any notation, is a cloud metadata address. False for a name. */
export function isCredentialAddress(host: string): boolean {
  return isIn(credentialAddresses, host) || embeddedAddresses(host).some((inner) => isIn(credentialAddresses, inner));
}

/** The IPv4 addresses that an IPv6 address may carry. */
function embeddedAddresses(host: string): string[] {
  const address = withoutZone(host);
  if (isIP(address) !== 6) return [];
  const bytes = groupsOf(address).flatMap((group) => [group >> 8, group & 0xff]);
  return embeddingAddresses
    .filter(({ within }) => within.check(address, 'ipv6'))
    .flatMap(({ places }) => places.map((place) => place.map((at) => bytes[at]).join('.')));
}
