import { createServer, type RequestListener } from 'node:http';
import { expect, test } from 'vitest';
import { HostOverrides } from '../../../src/platform/net/host-overrides.ts';
import { makeRoundTrip, type RoundTrip, type RoundTripRequest } from '../../../src/tunnel/probe/round-trip.ts';
import { startForwardProxy } from '../../harness/forward-proxy.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { freePort, listenOnLoopback } from '../../harness/loopback-server.ts';

async function serve(answer: RequestListener): Promise<number> {
  const server = createServer(answer);
  const port = await listenOnLoopback(server);
  atEnd('test', () => server.closeAllConnections());
  return port;
}

async function trip(
  url: string,
  more: Partial<RoundTripRequest> & { env?: NodeJS.ProcessEnv; resolve?: string[] } = {},
): Promise<RoundTrip> {
  const { env = {}, resolve = [], ...request } = more;
  return await makeRoundTrip(
    { env, overrides: new HostOverrides(resolve) },
    {
      method: 'GET',
      url: new URL(url),
      headers: {},
      timeoutMs: 10_000,
      signal: new AbortController().signal,
      ...request,
    },
  );
}

test('a request as it is sent, and all of its answer', async () => {
  const seen: unknown[] = [];
  const port = await serve((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      const { method, url, headers } = request;
      seen.push({ method, url, headers, body });
      response.writeHead(201, { 'x-answer': 'yes' }).end('done');
    });
  });
  const found = await trip(`http://127.0.0.1:${port}/a?b`, { method: 'POST', body: 'héllo', headers: { 'X-A': '1' } });
  expect(found).toMatchObject({ kind: 'response', status: 201, headers: { 'x-answer': 'yes' }, body: 'done' });
  expect(seen).toMatchObject([
    {
      method: 'POST',
      url: '/a?b',
      body: 'héllo',
      headers: {
        host: `127.0.0.1:${port}`,
        'x-a': '1',
        'content-length': '6',
        'accept-encoding': 'identity',
        'user-agent': 'mcp-expose',
      },
    },
  ]);
});

test('the first bytes are told of while the rest is not there', async () => {
  let finish: (() => void) | undefined;
  const port = await serve((_request, response) => {
    response.write('one');
    finish = () => response.end('two');
  });
  const told: string[] = [];
  const found = await trip(`http://127.0.0.1:${port}`, {
    onFirstBytes() {
      told.push('first');
      finish?.();
    },
  });
  expect([told, found]).toEqual([['first'], expect.objectContaining({ body: 'onetwo' })]);
});

test('no more is read than tells what it is', async () => {
  const port = await serve((_request, response) => {
    response.on('error', () => {});
    const more = (): void => void (response.destroyed || response.write('x'.repeat(100_000), more));
    more();
  });
  const found = await trip(`http://127.0.0.1:${port}`);
  expect(found).toMatchObject({ kind: 'response', status: 200 });
});

test.each([0, 1])('no answer, or half of one (%d), in time', async (written) => {
  const port = await serve((_request, response) => void (written === 1 && response.write('half')));
  const found = await trip(`http://127.0.0.1:${port}`, { timeoutMs: 300 });
  expect(found).toEqual({ kind: 'silent', reason: 'no answer within 0.3 s' });
});

test('the connection is cut', async () => {
  const port = await serve((request) => request.socket.destroy());
  expect(await trip(`http://127.0.0.1:${port}`)).toEqual({ kind: 'unreachable', reason: 'socket hang up' });
});

test('nobody is there, at any of several addresses', async () => {
  const port = await freePort();
  const resolve = [`x.example:${port}:127.0.0.1,127.0.0.2`];
  const found = await trip(`http://x.example:${port}`, { resolve });
  expect(found).toEqual({ kind: 'unreachable', reason: 'ECONNREFUSED' });
});

test.each([
  ['http', () => ({ kind: 'response', status: 403 })],
  [
    'https',
    (proxy: string) => ({ kind: 'unreachable', reason: `the proxy ${proxy} answered CONNECT x.example:443 with 403` }),
  ],
])('the proxy of the machine is used for %s', async (scheme, expected) => {
  const proxy = await startForwardProxy({ refuse: 403 });
  const env = { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url };
  expect(await trip(`${scheme}://x.example/`, { env })).toMatchObject(expected(new URL(proxy.url).host));
});

test('no proxy is used where the user has said which address the host has', async () => {
  const port = await serve((request, response) => response.end(request.headers.host));
  const proxy = await startForwardProxy();
  const env = { HTTP_PROXY: proxy.url };
  const url = `http://x.example:${port}/`;
  expect(await trip(url, { env })).toMatchObject({ status: 200, body: `x.example:${port}` });
  expect(proxy.asked).toEqual([url]);
  expect(await trip(url, { env, resolve: [`x.example:${port}:127.0.0.1`] })).toMatchObject({ status: 200 });
  expect(proxy.asked).toHaveLength(1);
});
