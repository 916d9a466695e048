import { describe, expect, test } from 'vitest';
import { createHostList } from '../../src/auth/hosts.ts';

describe('without URLs', () => {
  const hosts = createHostList();

  test.each(['localhost', 'LocalHost:7801', '127.0.0.1', '127.0.0.1:1', '127.0.0.1:65535', '[::1]', '[::1]:7801'])(
    'the loopback name %s is admitted',
    (host) => {
      expect(hosts.matchHost(host)).toEqual({ basePath: '' });
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
    expect(hosts.matchHost(host)).toBeUndefined();
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
      expect(hosts.matchHost(host)).toEqual({ basePath: '' });
    }
    for (const host of [
      'relay.example',
      'x.k3v9.relay.example',
      'k3v9.relay.example.',
      'user@k3v9.relay.example',
      'ak3v9.relay.example',
    ]) {
      expect(hosts.matchHost(host)).toBeUndefined();
    }
  });

  test('the port may be another one, as one in front of ours would be', () => {
    const hosts = createHostList();
    hosts.setUrls(['http://192.168.1.7:7801', 'http://[fd00::7]:7801', 'https://host.example:8443/mcp']);
    for (const port of ['', ':7801', ':7802', ':80', ':443', ':65535']) {
      for (const name of ['192.168.1.7', '[fd00::7]']) expect(hosts.matchHost(name + port)).toEqual({ basePath: '' });
      expect(hosts.matchHost(`HOST.example${port}`)).toEqual({ basePath: '/mcp' });
      for (const name of ['192.168.1.8', '[fd00::8]', 'fd00::7', 'x.host.example', 'host.example.evil.example'])
        expect(hosts.matchHost(name + port)).toBeUndefined();
    }
    for (const port of [':', ':x', ':123456', ':80:80', ':80@evil.example', ' ', '/'])
      expect(hosts.matchHost(`host.example${port}`)).toBeUndefined();
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

  test('so is that of the Host by which the request came, whatever the port, and no other one of our names', () => {
    const hosts = createHostList();
    hosts.setUrls(['http://192.168.1.7:7801', 'https://host.example']);
    const admits = (origin: string, host: string): boolean => hosts.admitsOrigin(origin, host);
    expect(admits('http://192.168.1.7:8080', '192.168.1.7:8080')).toBe(true);
    expect(admits('https://host.example:8443', 'HOST.example:8443')).toBe(true);
    expect(admits('http://host.example', 'host.example:80')).toBe(true);
    expect(admits('https://host.example', 'host.example:443')).toBe(true);
    expect(admits('http://192.168.1.7:8081', '192.168.1.7:8080')).toBe(false);
    expect(admits('http://192.168.1.7:443', '192.168.1.7')).toBe(false);
    expect(admits('http://evil.example', '192.168.1.7:8080')).toBe(false);
    expect(admits('http://evil.example@192.168.1.7:8080', '192.168.1.7:8080')).toBe(false);
    expect(admits('null', '192.168.1.7:8080')).toBe(false);
    expect(admits('chrome-extension://host.example', 'host.example')).toBe(false);
  });

  test('the loopback names stay admitted', () => {
    const hosts = createHostList();
    hosts.setUrls(['https://k3v9.relay.example']);
    expect(hosts.matchHost('localhost:7801')).toEqual({ basePath: '' });
    expect(hosts.admitsOrigin('http://localhost:5173')).toBe(true);
  });

  test('new URLs replace the earlier ones', () => {
    const hosts = createHostList();
    hosts.setUrls(['https://old.example']);
    hosts.setUrls(['https://new.example']);
    expect(hosts.matchHost('new.example')).toEqual({ basePath: '' });
    expect(hosts.matchHost('old.example')).toBeUndefined();
    expect(hosts.admitsOrigin('https://old.example')).toBe(false);
    hosts.setUrls([]);
    expect(hosts.matchHost('new.example')).toBeUndefined();
  });

  test('what is no URL changes nothing', () => {
    const hosts = createHostList();
    hosts.setUrls(['https://old.example']);
    expect(() => hosts.setUrls(['https://new.example', 'no url'])).toThrow(TypeError);
    expect(hosts.matchHost('old.example')).toEqual({ basePath: '' });
    expect(hosts.matchHost('new.example')).toBeUndefined();
  });
});

describe('what the host says of the way in', () => {
  const hosts = createHostList({ hasLabel: (label) => label === 'files' });
  hosts.setUrls([
    'https://k3v9.relay.example',
    'https://relay.example/NAME/',
    'http://192.168.1.7:7801',
    'http://192.168.1.7:7900/NAME',
  ]);

  test.each([
    ['localhost:7801', { basePath: '' }],
    ['k3v9.relay.example', { basePath: '' }],
    ['relay.example', { basePath: '/NAME' }],
    ['relay.example:8443', { basePath: '/NAME' }],
    ['192.168.1.7:8080', { basePath: '' }],
    ['192.168.1.7:7900', { basePath: '/NAME' }],
    ['files.k3v9.relay.example:8443', { label: 'files', basePath: '' }],
    ['files.k3v9.relay.example', { label: 'files', basePath: '' }],
    ['FILES.K3v9.relay.example:443', { label: 'files', basePath: '' }],
  ])('%s is %j', (host, match) => {
    expect(hosts.matchHost(host)).toEqual(match);
  });

  test.each([
    'other.k3v9.relay.example',
    'files.relay.example',
    'files.localhost',
    'x.files.k3v9.relay.example',
    '.k3v9.relay.example',
    'files.',
    'files',
    '.',
  ])('%s is none of ours', (host) => {
    expect(hosts.matchHost(host)).toBeUndefined();
  });

  test('without labels there are no hosts below ours', () => {
    const plain = createHostList();
    plain.setUrls(['https://k3v9.relay.example']);
    expect(plain.matchHost('files.k3v9.relay.example')).toBeUndefined();
  });
});
