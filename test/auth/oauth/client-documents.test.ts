import { createServer, type RequestListener } from 'node:http';
import type { LookupFunction } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  clientDocumentUrl,
  createDocumentFetcher,
  type FetchDocument,
} from '../../../src/auth/oauth/client-documents.ts';
import { requestText, type TextRequest } from '../../../src/platform/net/request-text.ts';
import { createDeferred } from '../../../src/platform/deferred.ts';
import { listenOnLoopback } from '../../harness/loopback-server.ts';
import { failureOf } from './sharing.ts';

const publicAddress = { address: '93.184.215.14', family: 4 };
const url = new URL('https://app.example/client.json');
const never = new AbortController().signal;
const toLoopback: LookupFunction = (_host, { all }, callback) => {
  if (all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
  else callback(null, '127.0.0.1', 4);
};

afterEach(() => {
  vi.useRealTimers();
});

/** Fetches from a server on loopback, whose name has a public address. */
async function fetchFrom(answer: RequestListener): Promise<{ fetch: FetchDocument; requests: TextRequest[] }> {
  const port = await listenOnLoopback(createServer(answer));
  const requests: TextRequest[] = [];
  const fetch = createDocumentFetcher({
    resolve: async () => [publicAddress],
    send: async (request) => {
      requests.push(request);
      return requestText({
        ...request,
        url: new URL(`http://app.example:${port}${request.url.pathname}`),
        lookup: toLoopback,
      });
    },
  });
  return { fetch, requests };
}

const json = { 'content-type': 'application/json' };

/** What the fetcher does with these addresses of a host; undefined if it makes a request. */
async function refusal(target: string, ...addresses: string[]): Promise<string | undefined> {
  let isSent = false;
  const fetch = createDocumentFetcher({
    resolve: async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    send: async () => {
      isSent = true;
      return Promise.reject(new Error('no network'));
    },
  });
  const message = await failureOf(fetch(new URL(target), never));
  return isSent ? undefined : message;
}

describe('A10 the URL of a document', () => {
  test.each([
    'https://app.example/client.json',
    'https://app.example/a/b?c=d',
    'https://app.example/x/',
    'https://93.184.215.14/x',
  ])('%s', (id) => expect(clientDocumentUrl(id)?.href).toBe(id));

  test.each([
    'http://app.example/client.json',
    'https://app.example',
    'https://app.example/',
    'https://app.example:8443/client.json',
    'https://app.example:443/client.json',
    'https://App.example/client.json',
    'https://app.example/a/../client.json',
    'https://app.example/./client.json',
    'https://app.example/%2e%2e/client.json',
    'https://user@app.example/client.json',
    'https://user:pass@app.example/client.json',
    'https://app.example/client.json#x',
    'https://app.example/client.json#',
    'https:/app.example/client.json',
    'https://app.example\\client.json',
    ' https://app.example/client.json',
    'https://app.example/client.json\n',
    'https://127.1/client.json',
    'https://0x7f000001/client.json',
    'HTTPS://app.example/client.json',
    'file:///client.json',
    'mcpc_x',
    '',
  ])('%j is not one', (id) => expect(clientDocumentUrl(id)).toBeUndefined());
});

describe('A11 an address that is not on the Internet gets no request', () => {
  const internal = [
    '127.0.0.1',
    '127.8.8.8',
    '0.0.0.0',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.169.254',
    '169.254.1.1',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    '192.0.2.1',
    '198.18.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'fc00::1',
    'fd00:ec2::254',
    'ff02::1',
    '::ffff:10.0.0.1',
    '::ffff:7f00:1',
    '::127.0.0.1',
    '64:ff9b::a00:1',
    '64:ff9b:1::a00:1',
    '2002:a00:1::',
    '2001::1',
    '2001:db8::1',
  ];

  test.each(internal)('%s as what a name stands for', async (address) => {
    expect(await refusal(url.href, address)).toBe('its host is not on the public Internet');
    expect(await refusal(url.href, publicAddress.address, address)).toBe('its host is not on the public Internet');
  });

  test.each(internal)('%s as the host', async (address) => {
    const host = address.includes(':') ? `[${address}]` : address;
    expect(await refusal(`https://${host}/x`, publicAddress.address)).toBe('its host is not on the public Internet');
  });

  test.each(['93.184.215.14', '1.1.1.1', '2606:4700::1111', '2a00:1450:4001::1'])('but %s does', async (address) => {
    expect(await refusal(url.href, address)).toBeUndefined();
  });

  test('nor does a name without addresses', async () => {
    expect(await refusal(url.href)).toBe('its host is not on the public Internet');
  });

  test("the system's resolver finds loopback for localhost", async () => {
    const fetch = createDocumentFetcher({ send: async () => Promise.reject(new Error('sent')) });
    await expect(fetch(new URL('https://localhost/x'), never)).rejects.toThrow(
      'its host is not on the public Internet',
    );
  });
});

describe('A11 a request', () => {
  test('goes to the addresses that were checked, whatever the name stands for by then', async () => {
    const { fetch, requests } = await fetchFrom((_request, response) => response.writeHead(200, json).end('{}'));
    await fetch(url, never);
    const { lookup, env } = requests[0] ?? {};
    const pinned = [true, false].map(
      async (all) =>
        new Promise((resolve) => {
          lookup?.('app.example', { all }, (_error, address, family) => resolve({ address, family }));
        }),
    );
    expect(await Promise.all(pinned)).toEqual([{ address: [publicAddress], family: undefined }, publicAddress]);
    expect(env).toEqual({});
  });

  test('gives the document and how long it may be cached', async () => {
    const { fetch } = await fetchFrom((request, response) => {
      response.writeHead(200, {
        'content-type': 'application/cimd+json; charset=utf-8',
        'cache-control': 'max-age=300',
      });
      response.end(`${request.method} ${request.url} ${request.headers.accept}`);
    });
    expect(await fetch(url, never)).toEqual({ text: 'GET /client.json application/json', cacheControl: 'max-age=300' });
  });

  test.each([301, 302, 303, 307, 308])('does not follow a redirect with %i', async (status) => {
    let requests = 0;
    const { fetch } = await fetchFrom((_request, response) => {
      requests += 1;
      response.writeHead(status, { ...json, location: 'http://127.0.0.1/' }).end('{}');
    });
    await expect(fetch(url, never)).rejects.toThrow(`its host answered with status ${status}`);
    expect(requests).toBe(1);
  });

  test.each([
    ['an error', 404, json, '{}', 'status 404'],
    ['HTML', 200, { 'content-type': 'text/html' }, '{}', 'it is not JSON'],
    ['no type', 200, {}, '{}', 'it is not JSON'],
    ['a type that begins like JSON', 200, { 'content-type': 'application/jsonx' }, '{}', 'it is not JSON'],
    ['6 KB', 200, json, 'x'.repeat(6 * 1024), 'larger than 5120 bytes'],
    ['5 KB and a byte', 200, json, 'x'.repeat(5121), 'larger than 5120 bytes'],
    ['few characters of many bytes', 200, json, 'ü'.repeat(2561), 'larger than 5120 bytes'],
    ['10 MB', 200, json, 'x'.repeat(10_000_000), 'larger than 5120 bytes'],
  ])('is refused for %s', async (_what, status, headers, body, message) => {
    const { fetch } = await fetchFrom((_request, response) => response.writeHead(status, headers).end(body));
    await expect(fetch(url, never)).rejects.toThrow(message);
  });

  test('takes 5 KB', async () => {
    const body = 'x'.repeat(5120);
    const { fetch } = await fetchFrom((_request, response) => response.writeHead(200, json).end(body));
    expect((await fetch(url, never)).text).toBe(body);
  });

  test.each(['head', 'body'])('ends after 5 seconds if the %s does not come', async (part) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { promise: stalled, resolve: stall } = createDeferred<void>();
    const { fetch } = await fetchFrom((_request, response) => {
      if (part === 'body') response.writeHead(200, json).write('{');
      stall();
    });
    const failure = failureOf(fetch(url, never));
    await stalled;
    vi.advanceTimersByTime(5000);
    expect(await failure).toBe('it took more than 5 s');
  });

  test('ends after 5 seconds if the resolver does not answer, and with its signal', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const fetch = createDocumentFetcher({ resolve: async () => new Promise(() => {}) });
    const slow = failureOf(fetch(url, never));
    vi.advanceTimersByTime(5000);
    expect(await slow).toBe('it took more than 5 s');
    const stop = new AbortController();
    const stopped = failureOf(fetch(url, stop.signal));
    stop.abort(new Error('closed'));
    expect(await stopped).toBe('closed');
    await expect(fetch(url, stop.signal)).rejects.toThrow('closed');
  });
});
