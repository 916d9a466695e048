import { networkInterfaces } from 'node:os';
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
  test('are one for one address', () => {
    expect(listenerUrls({ address: '127.0.0.1', isLoopback: true, isWildcard: false }, 7801)).toEqual([
      'http://127.0.0.1:7801',
    ]);
    expect(listenerUrls({ address: '::1', isLoopback: true, isWildcard: false }, 80)).toEqual(['http://[::1]:80']);
  });

  test('are one for each address of the machine when it listens on all, the loopback first', () => {
    const urls = listenerUrls({ address: '0.0.0.0', isLoopback: false, isWildcard: true }, 7801);
    expect(urls[0]).toBe('http://127.0.0.1:7801');
    const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
    for (const { address, family } of own.filter((entry) => !entry.address.startsWith('fe80:'))) {
      expect(urls).toContain(`http://${family === 'IPv6' ? `[${address}]` : address}:7801`);
    }
    expect(urls.every((url) => URL.canParse(url))).toBe(true);
  });
});
