// What a proxy changes; the rest of the client is tested where it is used: test/bridge/upstream/http, test/tunnel/probe.
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { HttpClient, type HttpClientOptions } from '../../../src/platform/net/http-client.ts';
import { ProxyError } from '../../../src/platform/net/http-proxy.ts';
import { within } from '../../harness/eventually.ts';
import { startForwardProxy } from '../../harness/forward-proxy.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { freePort, listenOnLoopback } from '../../harness/loopback-server.ts';

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  const port = await listenOnLoopback(server);
  atEnd('test', () => server.closeAllConnections());
  return port;
}

function client(url: string, proxy: string, options: Partial<HttpClientOptions> = {}) {
  const created = new HttpClient({
    url: new URL(url),
    env: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy },
    connectTimeoutMs: 5000,
    ...options,
  });
  atEnd('test', () => created.close());
  return { close: () => created.close(), get: () => created.send({ method: 'GET', url: new URL(url), headers: {} }) };
}

describe('http through a proxy', () => {
  test('has an absolute target, the credentials for the proxy, and the Host of the server', async () => {
    const seen: unknown[] = [];
    const port = await serve(({ url, headers }, response) => {
      seen.push([url, headers.host, headers['authorization'], headers['user-agent']]);
      response.end();
    });
    const proxy = await startForwardProxy();
    const target = `http://remote.example:${port}/mcp?a=1`;
    const withCredentials = proxy.url.replace('//', '//us%20er:pass@');
    const { get } = client(target, withCredentials, { headers: { 'User-Agent': 'x' } });
    expect(await get().outcome).toMatchObject({ kind: 'response', status: 200 });
    expect(proxy.asked).toEqual([target]);
    expect(proxy.credentials).toEqual([`Basic ${Buffer.from('us er:pass').toString('base64')}`]);
    expect(seen).toEqual([['/mcp?a=1', `remote.example:${port}`, undefined, 'x']]);
  });

  test('that ends each connection after one answer, and does not say so (tinyproxy)', async () => {
    const answered = new Set<Socket>();
    const proxyPort = await serve(({ socket }, response) => {
      if (answered.has(socket)) socket.resetAndDestroy();
      else response.end(() => answered.add(socket));
    });
    const { get } = client('http://remote.example/', `http://127.0.0.1:${proxyPort}`);
    for (let times = 0; times < 3; times += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const outcome = await get().outcome;
      if (outcome.kind !== 'response') throw new Error(`request ${times} failed`, { cause: outcome.cause });
      // oxlint-disable-next-line no-await-in-loop -- an answer that is read gives its connection back
      await once(outcome.response.resume(), 'close');
    }
    expect(answered.size).toBe(3);
  });

  test('that is not there: the failure is the proxy’s', async () => {
    const port = await freePort();
    const outcome = await client('http://remote.example/', `http://secret:secret@127.0.0.1:${port}`).get().outcome;
    if (outcome.kind !== 'failed' || !(outcome.cause instanceof ProxyError)) throw new Error('no failure of the proxy');
    expect(outcome.isUnsent).toBe(true);
    expect(outcome.cause.message).toBe(`the proxy 127.0.0.1:${port} cannot be used: connection refused`);
    expect(outcome.cause.words).toBe('the proxy cannot be used: connection refused');
  });
});

describe('https through a proxy', () => {
  test('that refuses: it says with which status, and the words name nobody', async () => {
    const proxy = await startForwardProxy({ refuse: 407 });
    const outcome = await client('https://remote.example/', proxy.url).get().outcome;
    if (outcome.kind !== 'failed' || !(outcome.cause instanceof ProxyError)) throw new Error('no failure of the proxy');
    expect(outcome.isUnsent).toBe(true);
    expect(outcome.cause.message).toBe(
      `the proxy ${new URL(proxy.url).host} answered CONNECT remote.example:443 with 407; its credentials go into HTTPS_PROXY: http://user:password@host:port`,
    );
    expect(outcome.cause.words).toBe('the proxy refused the connection (407)');
  });

  test('that says nothing is given up in time, and at once when it is aborted or closed', async () => {
    const proxy = await startForwardProxy({ refuse: 'silent' });
    const slow = client('https://remote.example/', proxy.url, { connectTimeoutMs: 100 });
    const reason = 'it did not answer within 0.1 s';
    expect(await slow.get().outcome).toMatchObject({ isUnsent: true, cause: new Error(reason) });
    const { get, close } = client('https://remote.example/', proxy.url);
    const first = get();
    first.abort();
    expect(await within(1000, 'the abort', first.outcome)).toMatchObject({ kind: 'failed', isUnsent: true });
    const second = get();
    await within(1000, 'the end', close());
    expect(await within(1000, 'its failure', second.outcome)).toMatchObject({ kind: 'failed', isUnsent: true });
  });
});
