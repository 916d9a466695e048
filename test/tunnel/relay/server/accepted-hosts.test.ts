import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { acceptedHosts } from '../../../../src/tunnel/relay/server/accepted-hosts.ts';

test('a relay on loopback', () => {
  const options = { addresses: ['127.0.0.1'], port: 8080 };
  expect([...acceptedHosts(options, true)].toSorted()).toEqual(['127.0.0.1:8080', '[::1]:8080', 'localhost:8080']);
  expect([...acceptedHosts(options, false)]).toEqual([]);
});

test('a public relay: its URL and domain, never loopback names for a peer from elsewhere', () => {
  const options = {
    addresses: ['10.0.0.5', '2001:DB8::1'],
    port: 8080,
    publicUrl: new URL('https://relay.example/tunnels'),
    domain: 'relay.example',
  };
  expect([...acceptedHosts(options, false)].toSorted()).toEqual([
    '10.0.0.5:8080',
    '[2001:db8::1]:8080',
    'relay.example',
    'relay.example:8080',
  ]);
});

test('a wildcard stands for the addresses of the machine', () => {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const own = addresses.filter((entry) => entry.family === 'IPv4').map((entry) => `${entry.address}:80`);
  const hosts = acceptedHosts({ addresses: ['0.0.0.0'], port: 80 }, true);
  for (const host of own) expect(hosts.has(host)).toBe(true);
  expect(hosts.has('localhost')).toBe(true);
  expect(hosts.has('0.0.0.0:80')).toBe(false);
});
