import { describe, expect, test } from 'vitest';
import { createHostList } from '../../src/auth/hosts.ts';

describe('without URLs', () => {
  const hosts = createHostList();

  test.each(['localhost', 'LocalHost:7801', '127.0.0.1', '127.0.0.1:1', '127.0.0.1:65535', '[::1]', '[::1]:7801'])(
    'the loopback name %s is admitted',
    (host) => {
      expect(hosts.admitsHost(host)).toBe(true);
    },
  );

  test.each([
    undefined,
    '',
    'example.com',
    'evil.example:7801',
    'localhost.',
    'localhost.:7801',
    'localhost.evil.example',
    'localhost.localdomain',
    'evil-localhost',
    'sub.localhost',
    'localhost:',
    'localhost:abc',
    'localhost:123456',
    'localhost:80:80',
    'user@localhost',
    'localhost@evil.example',
    'localhost:80@evil.example',
    'localhost/evil',
    'localhost#evil',
    'localhost\\evil',
    'localhost, evil.example',
    'localhost evil.example',
    ' localhost',
    'localhost\n',
    'lo%63alhost',
    '127.0.0.1.',
    '127.0.0.2',
    '127.1',
    '127.0.0.1.evil.example',
    '0.0.0.0',
    '0',
    '2130706433',
    '0x7f000001',
    '::1',
    '[::]',
    '[::1',
    '[::1%lo]',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.1]',
    '__proto__',
  ])('the host %j is not', (host) => {
    expect(hosts.admitsHost(host)).toBe(false);
  });

  test.each([
    undefined,
    'http://localhost',
    'http://localhost:5173',
    'https://LOCALHOST:3000',
    'http://127.0.0.1:6274',
    'http://[::1]:6274',
  ])('the origin %j is admitted', (origin) => {
    expect(hosts.admitsOrigin(origin)).toBe(true);
  });

  test.each([
    '',
    'null',
    'https://evil.example',
    'http://localhost.evil.example',
    'http://evil.example/localhost',
    'http://localhost@evil.example',
    'http://localhost/',
    'http://localhost.',
    'http://localhost:80:80',
    'http://127.0.0.2',
    'localhost',
    '//localhost',
    'file://',
    'file://localhost',
    'ws://localhost',
    'chrome-extension://localhost',
    'http://localhost, http://evil.example',
    'xhttp://localhost',
  ])('the origin %j is not', (origin) => {
    expect(hosts.admitsOrigin(origin)).toBe(false);
  });
});

describe('with the URL of a tunnel', () => {
  test('its host is admitted, with and without the default port', () => {
    const hosts = createHostList();
    hosts.setUrls(['https://k3v9.relay.example', 'http://plain.example']);
    for (const host of ['k3v9.relay.example', 'K3V9.Relay.Example', 'k3v9.relay.example:443', 'plain.example:80']) {
      expect(hosts.admitsHost(host)).toBe(true);
    }
    for (const host of ['k3v9.relay.example:80', 'k3v9.relay.example:8443', 'plain.example:443', 'relay.example']) {
      expect(hosts.admitsHost(host)).toBe(false);
    }
    for (const host of [
      'x.k3v9.relay.example',
      'k3v9.relay.example.',
      'user@k3v9.relay.example',
      'ak3v9.relay.example',
    ]) {
      expect(hosts.admitsHost(host)).toBe(false);
    }
  });

  test('another port must be the right one', () => {
    const hosts = createHostList();
    hosts.setUrls(['http://192.168.1.7:7801', 'http://[fd00::7]:7801', 'https://host.example:8443/mcp']);
    for (const host of ['192.168.1.7:7801', '[fd00::7]:7801', 'host.example:8443']) {
      expect(hosts.admitsHost(host)).toBe(true);
    }
    for (const host of [
      '192.168.1.7',
      '192.168.1.7:7802',
      '192.168.1.7:80',
      '[fd00::7]',
      'host.example',
      'host.example:443',
    ]) {
      expect(hosts.admitsHost(host)).toBe(false);
    }
  });

  test('its origin is admitted, with its scheme and its port only', () => {
    const hosts = createHostList();
    hosts.setUrls(['https://k3v9.relay.example/mcp', 'http://192.168.1.7:7801']);
    for (const origin of ['https://k3v9.relay.example', 'HTTPS://K3v9.relay.example', 'http://192.168.1.7:7801']) {
      expect(hosts.admitsOrigin(origin)).toBe(true);
    }
    for (const origin of [
      'http://k3v9.relay.example',
      'https://k3v9.relay.example:8443',
      'http://192.168.1.7',
      'null',
    ]) {
      expect(hosts.admitsOrigin(origin)).toBe(false);
    }
  });

  test('the loopback names stay admitted', () => {
    const hosts = createHostList();
    hosts.setUrls(['https://k3v9.relay.example']);
    expect(hosts.admitsHost('localhost:7801')).toBe(true);
    expect(hosts.admitsOrigin('http://localhost:5173')).toBe(true);
  });

  test('new URLs replace the earlier ones', () => {
    const hosts = createHostList();
    hosts.setUrls(['https://old.example']);
    hosts.setUrls(['https://new.example']);
    expect(hosts.admitsHost('new.example')).toBe(true);
    expect(hosts.admitsHost('old.example')).toBe(false);
    expect(hosts.admitsOrigin('https://old.example')).toBe(false);
    hosts.setUrls([]);
    expect(hosts.admitsHost('new.example')).toBe(false);
  });

  test('what is no URL changes nothing', () => {
    const hosts = createHostList();
    hosts.setUrls(['https://old.example']);
    expect(() => hosts.setUrls(['https://new.example', 'no url'])).toThrow(TypeError);
    expect(hosts.admitsHost('old.example')).toBe(true);
    expect(hosts.admitsHost('new.example')).toBe(false);
  });
});
