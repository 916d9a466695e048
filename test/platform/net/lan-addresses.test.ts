import type { NetworkInterfaceInfo } from 'node:os';
import { expect, test } from 'vitest';
import { lanAddresses } from '../../../src/platform/net/lan-addresses.ts';

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
