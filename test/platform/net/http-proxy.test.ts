import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { connectThroughProxy, proxyFor } from '../../../src/platform/net/http-proxy.ts';
import { eventually, portOf } from '../../tunnel/relay/world.ts';

const relay = new URL('wss://relay.example/x');

test.each<[string, Record<string, string>, string | undefined]>([
  ['nothing set', {}, undefined],
  ['https_proxy', { https_proxy: 'http://p:3128' }, 'http://p:3128/'],
  ['upper case', { HTTPS_PROXY: 'http://p:3128' }, 'http://p:3128/'],
  ['no scheme', { HTTPS_PROXY: 'p:3128' }, 'http://p:3128/'],
  ['all_proxy', { ALL_PROXY: 'http://p' }, 'http://p/'],
  ['the one for http', { HTTP_PROXY: 'http://p' }, undefined],
  ['socks, which is not ours', { HTTPS_PROXY: 'socks5://p' }, undefined],
  ['rubbish', { HTTPS_PROXY: 'http://[' }, undefined],
  ['no_proxy names the host', { HTTPS_PROXY: 'http://p', NO_PROXY: 'a, relay.example' }, undefined],
  ['no_proxy names the domain', { HTTPS_PROXY: 'http://p', no_proxy: '.example' }, undefined],
  ['no_proxy with a star', { HTTPS_PROXY: 'http://p', no_proxy: '*.example' }, undefined],
  ['no_proxy for all', { HTTPS_PROXY: 'http://p', no_proxy: '*' }, undefined],
  ['no_proxy with this port', { HTTPS_PROXY: 'http://p', no_proxy: 'relay.example:443' }, undefined],
  ['no_proxy with another port', { HTTPS_PROXY: 'http://p', no_proxy: 'relay.example:8443' }, 'http://p/'],
  ['no_proxy that only ends alike', { HTTPS_PROXY: 'http://p', no_proxy: 'lay.example' }, 'http://p/'],
  ['an empty value', { HTTPS_PROXY: '', https_proxy: '' }, undefined],
])('%s', (_what, env, proxy) => {
  expect(proxyFor(relay, env)?.href).toBe(proxy);
});

test.each(['ws://localhost:1', 'ws://127.0.0.1', 'ws://127.9.9.9', 'ws://[::1]:8', 'ws://a.localhost'])(
  '%s is never proxied',
  (url) => {
    expect(proxyFor(new URL(url), { HTTP_PROXY: 'http://p', ALL_PROXY: 'http://p' })).toBeUndefined();
  },
);

test('a proxy that resets its connection right after CONNECT throws nothing', async () => {
  const thrown: unknown[] = [];
  const onThrown = (error: unknown): void => void thrown.push(error);
  process.on('uncaughtException', onThrown);
  const proxy = createServer();
  proxy.on('connect', (_request, near: Socket) => {
    near.write('HTTP/1.1 200 OK\r\n\r\n', () => setTimeout(() => near.resetAndDestroy(), 20));
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const socket = await connectThroughProxy(
    new URL(`http://127.0.0.1:${portOf(proxy)}`),
    new URL('ws://relay.test'),
    new AbortController().signal,
  );
  socket.resume();
  await eventually(() => socket.closed, 'the reset');
  proxy.close();
  process.off('uncaughtException', onThrown);
  expect(thrown).toEqual([]);
});
