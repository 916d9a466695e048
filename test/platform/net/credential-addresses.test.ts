import { BlockList } from 'node:net';
import { describe, expect, test } from 'vitest';
import { isIn } from '../../../src/platform/net/addresses.ts';
import { isCredentialAddress } from '../../../src/platform/net/credential-addresses.ts';

describe('an address under which clouds hand out credentials', () => {
  test.each([
    ['of AWS and most others', '169.254.169.254'],
    ['of tasks at AWS', '169.254.170.2'],
    ['of Alibaba', '100.100.100.200'],
    ['of Azure', '168.63.129.16'],
    ['of Oracle', '192.0.0.192'],
    ['of AWS, IPv6', 'fd00:ec2::254'],
    ['of Google, IPv6', 'fd20:ce::254'],
    ['written at length', 'FD00:0EC2:0000:0000:0000:0000:0000:0254'],
    ['on the link', 'fe80::1'],
    ['on the link, the last one', 'febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['on the link, with its interface', 'fe80::a9fe:a9fe%eth0'],
    ['mapped (RFC 4291)', '::ffff:169.254.169.254'],
    ['mapped, in hexadecimal', '::ffff:a9fe:a9fe'],
    ['mapped, at length', '0:0:0:0:0:FFFF:A9FE:A9FE'],
    ['compatible (RFC 4291)', '::169.254.169.254'],
    ['translated (RFC 7915)', '::ffff:0:a9fe:a9fe'],
    ['behind NAT64 (RFC 6052)', '64:ff9b::a9fe:a9fe'],
    ['behind NAT64, with its interface', '64:ff9b::169.254.169.254%wlan0'],
    ['in 6to4 (RFC 3056)', '2002:a9fe:a9fe::'],
    ['in 6to4, of a host', '2002:a9fe:a9fe:1:2:3:4:5'],
    ['in 6to4, of Alibaba', '2002:6464:64c8::1'],
    ['behind a network’s own NAT64, /48 (RFC 6052 §2.2)', '64:ff9b:1:6464:64:c800::'],
    ['behind a network’s own NAT64, /56', '64:ff9b:1:12a9:fe:a9fe::'],
    ['behind a network’s own NAT64, /64', '64:ff9b:1:1234:a9:fea9:fe00:0'],
    ['behind a network’s own NAT64, /96', '64:ff9b:1:1234:0:5678:a9fe:a9fe'],
  ])('%s: %s', (_what, address) => {
    expect(isCredentialAddress(address)).toBe(true);
  });

  test.each([
    ['the neighbours', '169.253.255.255'],
    ['the neighbours', '169.255.0.0'],
    ['the neighbours', '100.100.100.199'],
    ['the neighbours', '100.100.100.201'],
    ['the neighbours', 'fd00:ec2::253'],
    ['the neighbours', 'fec0::1'],
    ['this machine', '127.0.0.1'],
    ['this machine', '::1'],
    ['nothing', '::'],
    ['a harmless one, mapped', '::ffff:10.0.0.1'],
    ['a harmless one, behind NAT64', '64:ff9b::5db8:d822'],
    ['a harmless one, in 6to4', '2002:5db8:d822::a9fe:a9fe'],
    ['a harmless one, behind a network’s own NAT64', '64:ff9b:1::5db8:d822'],
    ['the bytes where none stands', '2001:db8::a9fe:a9fe'],
    ['the bytes where none stands', '64:ff9b:2::a9fe:a9fe'],
    ['a name', 'metadata.google.internal'],
    ['a name that looks like one', '169.254.169.254.example'],
    ['nothing at all', ''],
    ['an interface alone', '%eth0'],
  ])('%s is none: %s', (_what, host) => {
    expect(isCredentialAddress(host)).toBe(false);
  });
});

test('a list is asked by address, of both families, and never by name', () => {
  const list = new BlockList();
  list.addAddress('10.0.0.1', 'ipv4');
  list.addAddress('fe80::1', 'ipv6');
  expect(['10.0.0.1', 'fe80::1', 'fe80::1%eth0'].map((host) => isIn(list, host))).toEqual([true, true, true]);
  expect(['10.0.0.2', 'fe80::2', 'ten', ''].map((host) => isIn(list, host))).toEqual([false, false, false, false]);
});
