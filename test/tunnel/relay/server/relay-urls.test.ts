import { networkInterfaces } from 'node:os';
import { describe, expect, test } from 'vitest';
import { RelayUrls } from '../../../../src/tunnel/relay/server/relay-urls.ts';

describe('the hosts that a proof may be made for', () => {
  test('a relay on loopback', () => {
    const urls = new RelayUrls({ port: 8080 });
    expect([...urls.acceptedHosts(true)].toSorted()).toEqual(['127.0.0.1:8080', '[::1]:8080', 'localhost:8080']);
    expect([...urls.acceptedHosts(false)]).toEqual([]);
  });

  test('a public relay: its URL and domain, never loopback names for a peer from elsewhere', () => {
    const urls = new RelayUrls({
      addresses: ['10.0.0.5', '2001:DB8::1'],
      port: 8080,
      publicUrl: 'https://relay.example/tunnels',
      domain: 'relay.example',
    });
    expect([...urls.acceptedHosts(false)].toSorted()).toEqual([
      '10.0.0.5:8080',
      '[2001:db8::1]:8080',
      'relay.example',
      'relay.example:8080',
    ]);
  });

  test('a wildcard stands for the addresses of the machine', () => {
    const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const own = addresses.filter((entry) => entry.family === 'IPv4').map((entry) => `${entry.address}:80`);
    const hosts = new RelayUrls({ host: '0.0.0.0', port: 80 }).acceptedHosts(true);
    for (const host of own) expect(hosts.has(host)).toBe(true);
    expect(hosts.has('localhost')).toBe(true);
    expect(hosts.has('0.0.0.0:80')).toBe(false);
  });
});

describe('the URLs of a name', () => {
  test('on all addresses without a public URL: below the host that the agent dialled', () => {
    const urls = new RelayUrls({ host: '0.0.0.0', port: 8080 });
    expect(urls.ofName('a', '10.0.0.5:8080')).toEqual(['http://10.0.0.5:8080/a']);
    expect(urls.hasProxy()).toBe(false);
  });

  test('with a public URL and a domain: its own host first, then its path', () => {
    const urls = new RelayUrls({
      port: 8080,
      publicUrl: 'https://relay.example:8443/base/',
      domain: '*.Relay.Example',
    });
    expect(urls.ofName('a', '10.0.0.5:8080')).toEqual([
      'https://a.relay.example:8443',
      'https://relay.example:8443/base/a',
    ]);
    expect(urls.forAgents()).toBe('https://relay.example:8443/base');
    expect(urls.hasProxy()).toBe(true);
  });

  test('of a relay for one key: those of the relay', () => {
    const urls = new RelayUrls({ port: 8080, sole: { publicKey: 'k' } });
    expect(urls.ofName('a', 'x')).toEqual(['http://127.0.0.1:8080']);
    expect(urls.forAgents()).toBeUndefined();
  });
});
