// The documented lines of each service, as literals.
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';

import type { LineReader } from '../../../../src/tunnel/providers/external/output-event.ts';
import {
  betterUrls,
  isDebugLine,
  isPinggyTaken,
  readLocalhostRunLine,
  readPinggyLine,
  readGenericSshLine,
  readServeoLine,
  readSishLine,
  readSrvUsLine,
} from '../../../../src/tunnel/providers/ssh/readers.ts';

const minuteMs = 60_000;

function urls(...found: string[]): unknown {
  return { kind: 'urls', urls: found };
}

/** As lines arrive at a reader. */
function read(reader: LineReader, line: string): unknown {
  return reader(stripVTControlCharacters(line).trim());
}

describe('localhost.run', () => {
  test.each([
    [
      '{"event":"tcpip-forward","authz_code":"OK","address":"a1b2.lhr.life","listen_port":80,"message":"a1b2.lhr.life tunneled with tls termination, https://a1b2.lhr.life"}',
      urls('https://a1b2.lhr.life'),
    ],
    ['{"event":"tcpip-forward","address":"mcp.example.com","listen_port":80}', urls('https://mcp.example.com')],
    ['{"event":"authn","message":"authenticated as anonymous user, see https://admin.localhost.run"}', undefined],
    ['{"event":"disconnect","address":"a1b2.lhr.life"}', undefined],
    ['{"event":"tcpip-forward","authz_code":"OK","address":"a1b2.lhr.life/x"}', undefined],
    ['{"event":"tcpip-forward","authz_code":"OK"}', undefined],
    ['** your connection id is 1234, please mention it. https://localhost.run/docs/ **', undefined],
    ['a1b2.lhr.life tunneled with tls termination, https://a1b2.lhr.life', undefined],
    ['[]', undefined],
    ['null', undefined],
  ])('%s', (line, found) => {
    expect(read(readLocalhostRunLine, line)).toEqual(found);
  });

  test('a refusal', () => {
    const line = '{"event":"tcpip-forward","authz_code":"FORBIDDEN","message":"too many \\u001b[31mtunnels"}';
    expect(readLocalhostRunLine(line)).toMatchObject({
      kind: 'failure',
      error: { code: 'tunnel_rejected', message: 'localhost.run gives no tunnel: too many tunnels' },
    });
  });
});

test.each([
  [
    '\u001B[32mForwarding HTTP traffic from https://0a1b.serveousercontent.com\u001B[0m',
    urls('https://0a1b.serveousercontent.com'),
  ],
  ['Forwarding HTTP traffic from https://mine.serveo.net', urls('https://mine.serveo.net')],
  ['Press g to start a GUI session and ctrl-c to quit. See https://console.serveo.net', undefined],
  ['To register, visit https://console.serveo.net/ssh/keys?add=SHA256%3Aabc', undefined],
  ['Forwarding HTTP traffic from https://console.serveo.net', undefined],
  ['Forwarding HTTP traffic from https://serveo.net', undefined],
  ['Forwarding HTTP traffic from https://serveo.net.evil.example', undefined],
  ['Forwarding TCP connections from serveo.net:1492', undefined],
])('serveo: %s', (line, found) => {
  expect(read(readServeoLine, line)).toEqual(found);
});

test.each([
  ['1: https://abcdefghijklmnopqrstuvwx23.srv.us/', urls('https://abcdefghijklmnopqrstuvwx23.srv.us')],
  [
    '1: https://abcdefghijklmnopqrstuvwx23.srv.us/, https://me.gh.srv.us/',
    urls('https://abcdefghijklmnopqrstuvwx23.srv.us', 'https://me.gh.srv.us'),
  ],
  ['1: https://abcdefghijklmnopqrstuvwx23.srv.us.evil.example/', undefined],
  ['see https://docs.srv.us/', undefined],
  ['1: https://srv.us/', undefined],
])('srv.us: %s', (line, found) => {
  expect(read(readSrvUsLine, line)).toEqual(found);
});

test.each([
  ['You are not authenticated.', undefined],
  [
    'Your tunnel will expire in 60 minutes. Upgrade to Pinggy Pro to get unrestricted tunnels. https://dashboard.pinggy.io',
    { kind: 'expiry', inMs: 60 * minuteMs },
  ],
  ['Your tunnel will expire in 2 hours', { kind: 'expiry', inMs: 120 * minuteMs }],
  ['https://dashboard.pinggy.io', undefined],
  ['Upgrade at https://pinggy.io/', undefined],
  ['http://rnabc-1-2-3-4.run.pinggy-free.link', urls('http://rnabc-1-2-3-4.run.pinggy-free.link')],
  ['https://rnabc-1-2-3-4.run.pinggy-free.link', urls('https://rnabc-1-2-3-4.run.pinggy-free.link')],
  ['https://rnabc-1-2-3-4.free.pinggy.net', urls('https://rnabc-1-2-3-4.free.pinggy.net')],
  ['https://rnabc.a.free.pinggy.link', urls('https://rnabc.a.free.pinggy.link')],
  ['https://mine.a.pinggy.link', urls('https://mine.a.pinggy.link')],
  ['https://mine.a.pinggy.online', urls('https://mine.a.pinggy.online')],
  ['https://mine.a.pinggy.io', urls('https://mine.a.pinggy.io')],
  ['https://pinggy.link', undefined],
  ['https://mine.a.pinggy.link.evil.example', undefined],
])('pinggy: %s', (line, found) => {
  expect(read(readPinggyLine, line)).toEqual(found);
});

test('pinggy: the token has a tunnel', () => {
  expect(isPinggyTaken('A tunnel with the same token 1a2b… is already active.')).toBe(true);
  expect(isPinggyTaken('Your tunnel is active')).toBe(false);
});

test.each([
  ['HTTP: \u001B[44m\u001B[37mhttp://k3v9.tunnel.example\u001B[0m', urls('http://k3v9.tunnel.example')],
  ['HTTPS: \u001B[44mhttps://k3v9.tunnel.example:8443\u001B[0m', urls('https://k3v9.tunnel.example:8443')],
  ['Service console can be accessed here: https://k3v9.tunnel.example/_sish/console?x-authorization=S3CRET', undefined],
  ['HTTPS: https://k3v9.tunnel.example/_sish/console?x-authorization=S3CRET', undefined],
  ['TCP: tunnel.example:1234', undefined],
  ['Press Ctrl-C to close the session.', undefined],
])('sish: %s', (line, found) => {
  expect(read(readSishLine, line)).toEqual(found);
});

describe('a server without a dialect', () => {
  test.each([
    ['your tunnel: https://k3v9.example', urls('https://k3v9.example')],
    ['http://k3v9.example:8080/ and https://k3v9.example/', urls('https://k3v9.example')],
    ['reach it at <http://[2001:db8::1]:8080>.', urls('http://[2001:db8::1]:8080')],
    ['https://k3v9.example/path is no base', undefined],
    ['https://user@k3v9.example', undefined],
    ['Allocated port 1 for remote forward to nowhere', undefined],
  ])('its output: %s', (line, found) => {
    expect(readGenericSshLine(line, 'stdout')).toEqual(found);
  });

  test.each([
    ['Allocated port 34567 for remote forward to 127.0.0.1:8080', { kind: 'forwarded', port: 34_567 }],
    ['debug1: remote forward success for: listen 8080, connect 127.0.0.1:3000', { kind: 'forwarded' }],
    ['debug1: Exit status 1', { kind: 'session over' }],
    ['exec request failed on channel 0', { kind: 'session over' }],
    ['channel 0: open failed: administratively prohibited: open failed', { kind: 'session over' }],
    // Lost, rather than ended.
    ['debug1: Exit status -1', undefined],
    ['Authorised users only, see https://policy.example', undefined],
  ])('ssh itself: %s', (line, found) => {
    expect(readGenericSshLine(line, 'stderr')).toEqual(found);
  });

  test('what ssh says to its developers', () => {
    expect(isDebugLine('debug1: Exit status 1')).toBe(true);
    expect(isDebugLine('ssh: connect to host x port 22: Connection refused')).toBe(false);
  });
});

test.each([
  ['the first', [], ['http://a.example'], ['http://a.example']],
  ['https after http', ['http://a.example'], ['https://a.example'], ['https://a.example']],
  ['http after https, of the same host', ['https://a.example'], ['http://a.example'], ['https://a.example']],
  ['another host', ['https://a.example'], ['http://b.example'], ['http://b.example']],
])('the better URL: %s', (_what, known, now, better) => {
  expect(betterUrls(known, now)).toEqual(better);
});
