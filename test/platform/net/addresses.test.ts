import type { NetworkInterfaceInfo } from 'node:os';
import { expect, test } from 'vitest';
import {
  groupsOf,
  inUrl,
  isLinkLocalAddress,
  isLoopbackAddress,
  isPrivateAddress,
  isWildcardAddress,
  lanAddresses,
  networkOf,
  unmapped,
  withoutZone,
} from '../../../src/platform/net/addresses.ts';

const ranges = [
  ['loopback', isLoopbackAddress],
  ['wildcard', isWildcardAddress],
  ['private', isPrivateAddress],
  ['link-local', isLinkLocalAddress],
] as const;

test.each([
  ['127.0.0.1', 'loopback'],
  ['127.255.255.255', 'loopback'],
  ['::1', 'loopback'],
  ['0:0:0:0:0:0:0:1', 'loopback'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['::ffff:7f00:1', 'loopback'],
  ['0.0.0.0', 'wildcard'],
  ['::', 'wildcard'],
  ['::ffff:0.0.0.0', 'wildcard'],
  ['10.255.0.1', 'private'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['192.168.1.7', 'private'],
  ['100.64.0.1', 'private'],
  ['100.127.255.255', 'private'],
  ['::ffff:10.0.0.1', 'private'],
  ['fc00::1', 'private'],
  ['fdff::1', 'private'],
  ['169.254.1.1', 'link-local'],
  ['fe80::1', 'link-local'],
  ['febf::1%eth0', 'link-local'],
  ['126.255.255.255', undefined],
  ['128.0.0.0', undefined],
  ['0.0.0.1', undefined],
  ['::2', undefined],
  ['11.0.0.1', undefined],
  ['172.15.255.255', undefined],
  ['172.32.0.0', undefined],
  ['192.169.0.1', undefined],
  ['fe00::1', undefined],
  ['fec0::1', undefined],
  ['2001:db8::1', undefined],
  ['localhost', undefined],
  ['127.example.com', undefined],
  ['', undefined],
])('%j is %s', (address, range) => {
  expect(ranges.filter(([, isInRange]) => isInRange(address)).map(([name]) => name)).toEqual(
    range === undefined ? [] : [range],
  );
});

test('the network of an address is its /64, or the IPv4 address itself', () => {
  expect(networkOf('2001:0DB8:0:07::1%eth0')).toBe('2001:db8:0:7::/64');
  expect(networkOf('2001:db8::1')).toBe('2001:db8:0:0::/64');
  expect(networkOf('::1')).toBe('0:0:0:0::/64');
  expect(networkOf('::ffff:192.0.2.1')).toBe('192.0.2.1');
  expect(networkOf('192.0.2.1')).toBe('192.0.2.1');
  expect(networkOf('unknown')).toBe('unknown');
});

test('notation', () => {
  expect([unmapped('::FFFF:192.0.2.1'), unmapped('::ffff:c000:201'), unmapped('::1')]).toEqual([
    '192.0.2.1',
    '::ffff:c000:201',
    '::1',
  ]);
  expect([inUrl('::1'), inUrl('fe80::1%eth0'), inUrl('127.0.0.1'), inUrl('a.example')]).toEqual([
    '[::1]',
    '[fe80::1%25eth0]',
    '127.0.0.1',
    'a.example',
  ]);
  expect([withoutZone('fe80::1%eth0'), withoutZone('::1')]).toEqual(['fe80::1', '::1']);
  expect(groupsOf('64:ff9b::192.0.2.1')).toEqual([0x64, 0xff9b, 0, 0, 0, 0, 0xc000, 0x201]);
});

function entry(address: string, internal = false): NetworkInterfaceInfo {
  const common = { address, internal, netmask: '', mac: '', cidr: null };
  return address.includes(':') ? { ...common, family: 'IPv6', scopeid: 0 } : { ...common, family: 'IPv4' };
}

test('IPv4 first, global and unique local IPv6, neither internal nor link-local', () => {
  expect(
    lanAddresses({
      lo: [entry('127.0.0.1', true), entry('::1', true)],
      eth0: [entry('fe80::1'), entry('fd00::5'), entry('2001:db8::5'), entry('192.168.1.5')],
      wlan0: [entry('10.0.0.7'), entry('169.254.3.4'), entry('192.168.1.5')],
    }),
  ).toEqual(['192.168.1.5', '10.0.0.7', 'fd00::5', '2001:db8::5']);
});
