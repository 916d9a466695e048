import { hostname, networkInterfaces } from 'node:os';
import { describe, expect, test } from 'vitest';
import { ExposeError } from '../../src/errors.ts';
import { listenerUrls, resolveBindAddress } from '../../src/http/addresses.ts';

describe('what an address is', () => {
  test.each([
    ['127.0.0.1', true, false],
    ['127.0.0.2', true, false],
    ['127.1', true, false],
    ['0x7f000001', true, false],
    ['2130706433', true, false],
    ['localhost', true, false],
    ['::1', true, false],
    ['[::1]', true, false],
    ['0:0:0:0:0:0:0:1', true, false],
    ['::ffff:127.0.0.1', true, false],
    ['0.0.0.0', false, true],
    ['0', false, true],
    ['0x0', false, true],
    ['0.0', false, true],
    ['::', false, true],
    ['[::]', false, true],
    ['0:0:0:0:0:0:0:0', false, true],
    ['::0.0.0.0', false, true],
    ['::ffff:0.0.0.0', false, true],
    ['::ffff:0:0', false, true],
    ['192.0.2.1', false, false],
    ['2001:db8::1', false, false],
    ['::ffff:192.0.2.1', false, false],
  ])('%s: loopback %s, every address %s', async (host, isLoopback, isWildcard) => {
    const resolved = await resolveBindAddress(host);
    expect({ host, isLoopback: resolved.isLoopback, isWildcard: resolved.isWildcard }).toEqual({
      host,
      isLoopback,
      isWildcard,
    });
  });

  test.each(['', 'nonexistent.invalid', '1.2.3.4.5', '999.1.1.1', 'a b', '[', 'http://127.0.0.1', '127.0.0.1:80'])(
    '%j has none',
    async (host) => {
      const attempt = resolveBindAddress(host);
      await expect(attempt).rejects.toBeInstanceOf(ExposeError);
      await expect(attempt).rejects.toMatchObject({
        code: 'address_unavailable',
        message: expect.stringContaining(`cannot listen on ${host}`),
        hints: ['--host takes an address of this machine, 127.0.0.1 unless given'],
      });
    },
  );
});

describe('the URLs of a listener', () => {
  const reachable = ['192.0.2.7', '10.0.0.7', '2001:db8::7'];
  const urlsAt = async (host: string, port = 7801) => listenerUrls(await resolveBindAddress(host), port, reachable);

  test.each([
    ['127.0.0.1', 'http://127.0.0.1:7801'],
    ['localhost', 'http://127.0.0.1:7801'],
    ['::1', 'http://[::1]:7801'],
    ['::ffff:127.0.0.1', 'http://127.0.0.1:7801'],
  ])('%s can be reached from here alone', async (host, local) => {
    const urls = await urlsAt(host);
    expect([urls.local, urls.others]).toEqual([local, []]);
    expect(urls.all).toContain(local);
  });

  test.each([
    ['192.0.2.1', 'http://192.0.2.1:7801'],
    ['2001:db8::1', 'http://[2001:db8::1]:7801'],
    ['::ffff:192.0.2.1', 'http://192.0.2.1:7801'],
  ])('%s can be reached from elsewhere, too', async (host, url) => {
    const urls = await urlsAt(host);
    expect([urls.local, urls.others]).toEqual([url, [url]]);
  });

  const ipv4 = ['http://192.0.2.7:80', 'http://10.0.0.7:80'];
  test.each([
    ['0.0.0.0', ipv4],
    ['0', ipv4],
    ['::ffff:0.0.0.0', ipv4],
    ['::', [...ipv4, 'http://[2001:db8::7]:80']],
  ])('%s: those that others can use, of each family that is listened to, and never loopback', async (host, others) => {
    const urls = await urlsAt(host, 80);
    expect([urls.local, urls.others]).toEqual(['http://127.0.0.1:80', others]);
  });

  test('all are those of every name and address by which this machine may be called there', async () => {
    const { all } = await urlsAt('0.0.0.0');
    const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
    for (const { address, family } of own) {
      expect(all).toContain(`http://${family === 'IPv6' ? `[${address}]` : address}:7801`);
    }
    const name = hostname().toLowerCase();
    expect(all).toEqual(expect.arrayContaining([`http://${name}:7801`, `http://${name}.local:7801`]));
    expect(all.every((url) => URL.canParse(url))).toBe(true);
  });

  test('the name that was given for an address is one of them', async () => {
    expect((await urlsAt('LOCALHOST')).all).toContain('http://localhost:7801');
    expect((await urlsAt('127.0.0.1')).all).toEqual(['http://127.0.0.1:7801']);
  });

  test('a zone stands in a URL as RFC 6874 writes it, and in no Host header', () => {
    const bind = { address: 'fe80::7%eth0', isLoopback: false, isWildcard: false };
    const { local, all } = listenerUrls(bind, 7801, []);
    expect(local).toBe('http://[fe80::7%25eth0]:7801');
    expect(all).toContain('http://[fe80::7]:7801');
    expect(all.every((url) => URL.canParse(url))).toBe(true);
  });
});
