import type { LookupAddress } from 'node:dns';
import { createServer, get } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { HostOverrides } from '../../../src/platform/net/host-overrides.ts';
import { listenOnLoopback } from '../../harness/loopback-server.ts';

test.each<[string, string, number, string[] | undefined]>([
  ['x.example:443:127.0.0.1', 'x.example', 443, ['127.0.0.1']],
  ['x.example:443:127.0.0.1', 'X.Example.', 443, ['127.0.0.1']],
  ['X.Example.:0443:127.0.0.1', 'x.example', 443, ['127.0.0.1']],
  ['x.example:443:127.0.0.1', 'x.example', 444, undefined],
  ['x.example:443:127.0.0.1', 'y.x.example', 443, undefined],
  ['x.example:443:127.0.0.1, 127.0.0.2', 'x.example', 443, ['127.0.0.1', '127.0.0.2']],
  ['x.example:443:::1', 'x.example', 443, ['::1']],
  ['x.example:443:[::1],127.0.0.1', 'x.example', 443, ['::1', '127.0.0.1']],
  ['[::2]:80:127.0.0.1', '::2', 80, ['127.0.0.1']],
  ['[::2]:80:127.0.0.1', '[::2]', 80, ['127.0.0.1']],
  ['*:443:127.0.0.1', 'anything.example', 443, ['127.0.0.1']],
  ['*:443:127.0.0.1', 'anything.example', 80, undefined],
])('%s for %s and port %d', (entry, host, port, addresses) => {
  expect(new HostOverrides([entry]).find(host, port)).toEqual(addresses);
});

test('the last entry for a host counts, and one of its own counts more than that for all', () => {
  const overrides = new HostOverrides(['x.example:1:127.0.0.1', '*:1:127.0.0.3', 'x.example:1:127.0.0.2']);
  expect(overrides.find('x.example', 1)).toEqual(['127.0.0.2']);
  expect(new HostOverrides().find('x.example', 1)).toBeUndefined();
});

test.each([
  '',
  'x.example',
  'x.example:443',
  'x.example:443:',
  'x.example:443:other.example',
  'x.example:443:127.0.0.1,',
  'x.example:0:127.0.0.1',
  'x.example:65536:127.0.0.1',
  'x.example:https:127.0.0.1',
  ':443:127.0.0.1',
  '*.example:443:127.0.0.1',
  '::1:443:127.0.0.1',
])('%j says nothing', (entry) => {
  expect(() => new HostOverrides([entry])).toThrow(
    expect.objectContaining({
      code: 'usage',
      message: `${JSON.stringify(entry)} does not say which address a host has`,
      hints: [expect.stringContaining('host:port:address')],
    }),
  );
});

/** What `lookup` calls back with. */
async function lookedUp(all: boolean, ...entries: string[]): Promise<unknown[]> {
  return await new Promise((resolve) => {
    const found = (...values: [Error | null, string | LookupAddress[], (number | undefined)?]): void => resolve(values);
    new HostOverrides(entries).lookupFor(443)('x.example', { all }, found);
  });
}

test('a connection gets one address or all of them, as it asks', async () => {
  const entry = 'x.example:443:::1,127.0.0.1';
  expect(await lookedUp(false, entry)).toEqual([null, '::1', 6]);
  expect(await lookedUp(true, entry)).toEqual([
    null,
    [
      { address: '::1', family: 6 },
      { address: '127.0.0.1', family: 4 },
    ],
  ]);
});

test('requests go there, and other hosts where the system says', async () => {
  const port = await listenOnLoopback(createServer((request, response) => response.end(request.headers.host)));
  const lookup = new HostOverrides([`x.example:${port}:127.0.0.1`]).lookupFor(port);
  const ask = async (host: string): Promise<string> =>
    await new Promise((resolve, reject) => {
      const request = get(`http://${host}:${port}/`, { agent: false, lookup, family: 4 }, (response) =>
        resolve(text(response)),
      );
      request.on('error', reject);
    });
  expect(await ask('x.example')).toBe(`x.example:${port}`);
  expect(await ask('localhost')).toBe(`localhost:${port}`);
});
