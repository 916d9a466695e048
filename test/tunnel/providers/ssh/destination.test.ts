import { describe, expect, test } from 'vitest';

import { parseDestination, wordsForServer } from '../../../../src/tunnel/providers/ssh/destination.ts';
import { serviceAt } from '../../../../src/tunnel/providers/ssh/services.ts';

test.each([
  ['server.example', { host: 'server.example' }],
  ['me@server.example:2222', { user: 'me', host: 'server.example', port: 2222 }],
  ['me@corp@server.example', { user: 'me@corp', host: 'server.example' }],
  ['token+force@server.example', { user: 'token+force', host: 'server.example' }],
  ['my_box', { host: 'my_box' }],
  ['127.0.0.1:22', { host: '127.0.0.1', port: 22 }],
  ['[::1]:2222', { host: '::1', port: 2222 }],
  ['[::1]', { host: '::1' }],
  ['me@::1', { user: 'me', host: '::1' }],
])('%s', (text, destination) => {
  expect(parseDestination(text)).toEqual(destination);
});

test.each([
  '',
  '@host',
  '-oProxyCommand=touch /tmp/x',
  '-l@host',
  'me@-host',
  'me you@host',
  'host:0',
  'host:65536',
  'host:port',
  'host:22:22',
  '[host]:22',
  '[::1',
  'host/path',
  'a b',
  'host\n',
])('%j is none', (text) => {
  expect(() => parseDestination(text)).toThrow(expect.objectContaining({ code: 'usage' }));
});

test.each([
  [{ host: 'server.example' }, 'server.example'],
  [{ host: 'server.example', port: 22 }, 'server.example'],
  [{ host: 'server.example', port: 443 }, 'server.example:443'],
  [{ host: '::1', port: 2222 }, '[::1]:2222'],
])('%j in a sentence', (destination, words) => {
  expect(wordsForServer(destination)).toBe(words);
});

describe('hosts of services', () => {
  test.each([
    ['localhost.run', 'localhost.run'],
    ['LOCALHOST.RUN.', 'localhost.run'],
    ['serveo.net', 'serveo'],
    ['srv.us', 'srv.us'],
    ['free.pinggy.io', 'pinggy'],
    ['pro.pinggy.io', 'pinggy'],
    ['localhost', undefined],
    ['xserveo.net', undefined],
    ['serveo.net.example', undefined],
  ])('%s', (host, service) => {
    expect(serviceAt(host)).toBe(service);
  });
});
