// Known faults of other bridges that are attacked here:
// - supergateway 4.0.0: the credential for the server it calls comes back in responses to anybody; payloads in its log
// - mcp-proxy 6.7.19: a standard bearer header is refused, only X-API-Key counts
// - TBXark/mcp-proxy: suggests a token in the path and logs every path
// - gateways that pass the credential of their caller on to the server behind them
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { listenOnLoopback } from '../harness/loopback-server.ts';
import { signInByForm } from '../harness/oauth-form.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest, openSession } from '../harness/raw-mcp.ts';
import { openLegacySession } from './legacy-client.ts';

const upstreamSecret = 'secret-for-the-upstream';

interface Heard {
  port: number;
  /** The headers of every request that has come. */
  headers: IncomingHttpHeaders[];
}

/** A Streamable HTTP server that keeps what it hears and answers with headers that concern nobody else. */
async function startListener(): Promise<Heard> {
  const headers: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => void answer(request, response));
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    headers.push(request.headers);
    response.setHeader('set-cookie', 'upstream=1');
    response.setHeader('x-upstream', upstreamSecret);
    response.setHeader('access-control-allow-origin', '*');
    if (request.method !== 'POST') {
      response.writeHead(405, { allow: 'POST' }).end();
      return;
    }
    const message = parseJson<{ id?: number; method: string }>(await text(request));
    if (message.id === undefined) {
      response.writeHead(202).end();
      return;
    }
    if (message.method === 'test/refuse') {
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${upstreamSecret}"` }).end();
      return;
    }
    const result =
      message.method === 'initialize'
        ? { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'listener', version: '0' } }
        : { tools: [] };
    response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'session-of-the-upstream' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }));
  }
  return { port: await listenOnLoopback(server), headers };
}

describe('in front of a server over HTTP', () => {
  test.each<[string, string[], (exposed: Exposed) => Promise<string>]>([
    ['the token', [], async ({ token }) => token],
    ['the access token', ['--oauth'], async (exposed) => (await signInByForm(exposed)).access_token],
  ])('R11 %s of a caller never reaches the server, nor does that of the server reach a caller', async (...way) => {
    const [, args, credentialOf] = way;
    const heard = await startListener();
    const exposed = await startExpose({
      running: { kind: 'http', url: `http://127.0.0.1:${heard.port}/mcp` },
      args: ['--tunnel', 'none', '--upstream-header', 'Authorization: Bearer ${env:UPSTREAM_SECRET}', ...args],
      env: { UPSTREAM_SECRET: upstreamSecret },
    });
    const token = await credentialOf(exposed);
    const more: [string, string][] = [
      ['Cookie', 'caller=1'],
      ['X-Forwarded-For', '203.0.113.9'],
    ];
    const opened = await send(exposed.url, {
      method: 'POST',
      headers: clientHeaders(token, more),
      body: initializeRequest(),
    });
    const sessionId = opened.headers['mcp-session-id'];
    if (typeof sessionId !== 'string') throw new Error(`initialize: ${opened.status} ${opened.body}`);
    const call = (method: string) =>
      send(exposed.url, {
        method: 'POST',
        headers: clientHeaders(token, [...more, ['Mcp-Session-Id', sessionId]]),
        body: JSON.stringify({ jsonrpc: '2.0', id: method, method }),
      });
    const listed = await call('tools/list');
    expect(listed.json()).toMatchObject({ result: { tools: [] } });
    const refused = await call('test/refuse');
    expect(refused.json()).toHaveProperty('error');

    const toServer = JSON.stringify(heard.headers);
    expect(heard.headers.length).toBeGreaterThanOrEqual(3);
    for (const { authorization } of heard.headers) expect(authorization).toBe(`Bearer ${upstreamSecret}`);
    expect(toServer).not.toContain(token);
    expect(toServer).not.toContain(sessionId);
    expect(toServer).not.toMatch(/caller|203\.0\.113\.9/);

    const strangers = await Promise.all(
      ['/healthz', '/sse', '/mcp'].map((path) => send(new URL(path, exposed.localUrl).href)),
    );
    for (const { body, rawHeaders } of [opened, listed, refused, ...strangers]) {
      const seen = `${rawHeaders.join('\n')}\n${body}`;
      expect(seen).not.toContain(upstreamSecret);
      expect(seen).not.toContain('session-of-the-upstream');
      expect(seen).not.toMatch(/set-cookie|x-upstream|access-control/i);
      expect(seen).not.toContain(token);
    }
    await exposed.stop();
    expect(exposed.stdout() + exposed.stderr()).not.toContain(upstreamSecret);
  });
});

test('the header that every client can send is the one that counts, on both transports', async () => {
  const exposed = await startExpose({ server: fixture('echo'), args: ['--tunnel', 'none'] });
  expect(await (await openSession(exposed.url, exposed.token)).call(2, 'tools/list')).toHaveProperty('result');
  expect(await (await openLegacySession(exposed.url, exposed.token)).call(2, 'tools/list')).toHaveProperty('result');
});

describe.each([['--verbose'], ['--verbose', '--json']])('with %s', (...flags) => {
  test('no payload, no path and no query of a request is logged, and no result', async () => {
    const secret = 'secret-of-the-caller';
    const exposed = await startExpose({
      server: fixture('huge-result'),
      args: ['--tunnel', 'none', '--max-body', '100KiB', '--max-message', '100KiB', ...flags],
    });
    const session = await openSession(exposed.url, exposed.token);
    const echo = (id: number, words: string) =>
      session.call(id, 'tools/call', { name: 'echo', arguments: { text: words } });
    expect(textOf(await echo(2, secret))).toBe(secret);
    // The name of a tool is reported, and nothing that goes with it.
    expect(await session.call(3, 'tools/call', { name: 'unknown', arguments: { [secret]: secret } })).toHaveProperty(
      'error',
    );
    const post = (body: string, more: [string, string][] = session.headers) =>
      send(exposed.url, { method: 'POST', headers: more, body });
    const replies = await Promise.all([
      post(`{"${secret}`),
      post(JSON.stringify({ jsonrpc: '2.0', id: 4, method: secret.repeat(10_000) })),
      post(JSON.stringify({ jsonrpc: '1.0', id: 5, method: secret })),
      post(initializeRequest(), clientHeaders(secret)),
      post(initializeRequest(), clientHeaders(exposed.token, [['Mcp-Session-Id', secret]])),
      post(initializeRequest(), [...clientHeaders(exposed.token), ['Origin', `http://${secret}.example`]]),
      send(`${exposed.localUrl}?token=${secret}`, { headers: clientHeaders(exposed.token) }),
      send(new URL(`/${secret}/mcp`, exposed.localUrl).href, { headers: clientHeaders(exposed.token) }),
    ]);
    expect(replies.map(({ status }) => status)).toEqual([400, 413, 400, 401, 404, 403, 405, 404]);
    await exposed.stop();
    await exposed.exited;
    const printed = exposed.stdout() + exposed.stderr();
    expect(printed).not.toContain(secret);
    expect(printed).not.toContain(session.id);
  });

  test('a result that is too large to be passed on is named without its content', async () => {
    const exposed = await startExpose({
      server: fixture('huge-result'),
      args: ['--tunnel', 'none', '--max-message', '100KiB', ...flags],
    });
    const session = await openSession(exposed.url, exposed.token);
    const answer = await session.call(2, 'tools/call', { name: 'huge', arguments: { bytes: 200_000 } });
    expect(answer.error?.code).toBe(-32603);
    await exposed.stop();
    await exposed.exited;
    expect(JSON.stringify(answer) + exposed.stdout() + exposed.stderr()).not.toMatch(/x{10}/);
  });
});
