// Requests that two parsers could read differently are refused at the relay, and at the local port.
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, type Relay, startBehindRelay, startRelay } from '../harness/expose.ts';
import { fixture } from '../harness/program.ts';
import { send, sendBytes } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest, openSession } from '../harness/raw-mcp.ts';

describe.each(['relay', 'local port'] as const)('at the %s', (where) => {
  let relay: Relay;
  let exposed: Exposed;
  let target: URL;
  beforeAll(async () => {
    relay = await startRelay({ lifetime: 'file' });
    exposed = await startBehindRelay(relay, { server: fixture('echo'), lifetime: 'file' });
    target = new URL(where === 'relay' ? exposed.url : exposed.localUrl);
  });

  /** A POST whose head is made of these lines; only the request line is given. */
  const attack = (lines: string[], body = '') =>
    sendBytes(
      target.href,
      [
        `POST ${target.pathname} HTTP/1.1`,
        `Host: ${target.host}`,
        `Authorization: Bearer ${exposed.token}`,
        'Accept: application/json, text/event-stream',
        'Content-Type: application/json',
        ...lines,
        '',
        body,
      ].join('\r\n'),
    );
  const smuggled = `POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`;

  test.each<[string, string[], string]>([
    ['both length headers', ['Content-Length: 4', 'Transfer-Encoding: chunked'], `0\r\n\r\n${smuggled}`],
    ['two lengths that differ', ['Content-Length: 2', 'Content-Length: 30'], `{}${smuggled}`],
    ['a signed length', ['Content-Length: +2'], '{}'],
    ['an unknown transfer coding', ['Transfer-Encoding: xchunked'], `0\r\n\r\n${smuggled}`],
    ['chunked twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], `0\r\n\r\n${smuggled}`],
    ['obsolete folding', ['X-Folded: a', ' b: c', 'Content-Length: 2'], '{}'],
    ['a folded length', ['Content-Length:', ' 2'], '{}'],
    ['a space before the colon', ['Content-Length : 2'], '{}'],
    ['a bare carriage return in a value', ['X-Bare: a\rContent-Length: 2'], '{}'],
    ['a NUL in a value', ['X-Nul: a\0b', 'Content-Length: 2'], '{}'],
    ['a chunk size that is no number', ['Transfer-Encoding: chunked'], `zz\r\n{}\r\n0\r\n\r\n`],
  ])('%s: one answer, 400, and the connection is closed', async (_what, lines, body) => {
    const answer = await attack(lines, body);
    const statuses = answer.match(/HTTP\/1\.1 \d+/g) ?? [];
    expect(statuses).toEqual(['HTTP/1.1 400']);
    expect(answer).not.toContain(exposed.token);
  });

  test('what it does let through still works afterwards', async () => {
    expect(await openSession(target.href, exposed.token)).toHaveProperty('id');
  });

  test('hop-by-hop headers and forged forwarding headers change nothing', async () => {
    const reply = await send(target.href, {
      method: 'POST',
      headers: clientHeaders(exposed.token, [
        ['Connection', 'close, authorization, mcp-session-id'],
        ['X-Forwarded-For', '127.0.0.1'],
        ['X-Forwarded-Host', 'evil.example'],
        ['Forwarded', 'for=127.0.0.1;host=evil.example'],
        ['TE', 'trailers'],
      ]),
      body: initializeRequest(),
    });
    // Connection may name Authorization away, as a proxy has to do: then the caller is anonymous, never trusted more.
    expect([200, 401]).toContain(reply.status);
  });

  test('an absolute request target does not choose another host', async () => {
    const answer = await sendBytes(
      target.href,
      `GET http://evil.example${target.pathname} HTTP/1.1\r\nHost: ${target.host}\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d/);
  });

  test('a request without Host is refused', async () => {
    const answer = await sendBytes(target.href, `GET ${target.pathname} HTTP/1.1\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 400/);
  });
});
