import { expect, test } from 'vitest';
import { proxyFor } from '../../../src/platform/net/http-proxy.ts';

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

test.each([
  ['10.0.0.0/8', 'ws://10.9.9.9:1', false],
  ['10.0.0.0/8', 'ws://11.9.9.9:1', true],
  ['fd00::/8', 'ws://[fd00::1]', false],
  ['10.0.0.0/99', 'ws://10.9.9.9', true],
])('no_proxy with the network %s: %s', (network, url, isProxied) => {
  expect(proxyFor(new URL(url), { HTTP_PROXY: 'http://p', NO_PROXY: network }) !== undefined).toBe(isProxied);
});
