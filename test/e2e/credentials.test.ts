// Nobody gets in without the token, and everybody with it does.
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { childrenWithMark } from '../harness/processes.ts';
import { fixture } from '../harness/program.ts';
import { type RawReply, send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest, openSession } from '../harness/raw-mcp.ts';
import { settledChildren } from '../harness/settled-children.ts';
import { exposeBy, ways } from '../harness/ways.ts';

const contentHeaders: [string, string][] = [
  ['Accept', 'application/json, text/event-stream'],
  ['Content-Type', 'application/json'],
];

/** What a refused caller is told. */
function refusal(reply: RawReply) {
  const challenge = reply.headers['www-authenticate'] ?? '';
  return {
    status: reply.status,
    scheme: /^\w+/.exec(challenge)?.[0],
    error: /error="(\w+)"/.exec(challenge)?.[1],
    jsonRpc: reply.headers['content-type']?.startsWith('application/json') && reply.json().error !== undefined,
  };
}
const unauthenticated = { status: 401, scheme: 'Bearer', error: undefined, jsonRpc: true };
const invalidToken = { ...unauthenticated, error: 'invalid_token' };

describe.each(ways)('%s', (way) => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await exposeBy(way, { server: fixture('echo'), args: ['--warm', '1'], lifetime: 'file' });
  });

  const initialize = (authorization: string[], more: { path?: string; url?: string } = {}) =>
    send(more.url ?? exposed.url, {
      method: 'POST',
      headers: [...contentHeaders, ...authorization.map((value): [string, string] => ['Authorization', value])],
      body: initializeRequest(),
      ...(more.path !== undefined && { path: more.path }),
    });

  test('the token gets an initialize answer and a session id of at least 128 bits', async () => {
    const reply = await initialize([`Bearer ${exposed.token}`]);
    expect(reply.status).toBe(200);
    expect(reply.headers['mcp-session-id']).toMatch(/^[\x21-\x7e]{22,}$/);
    expect(reply.body).toContain('fixture-echo');
  });

  test.each(['bearer', 'BEARER', 'bEaReR'])('the scheme may be written %s', async (scheme) => {
    expect((await initialize([`${scheme} ${exposed.token}`])).status).toBe(200);
  });

  test('no credential: 401 with a challenge that names no error', async () => {
    expect(refusal(await initialize([]))).toEqual(unauthenticated);
  });

  test.each([
    ['another token', () => 'Bearer mcpx_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
    ['the token without its last character', () => `Bearer ${exposed.token.slice(0, -1)}`],
    ['the token and one character more', () => `Bearer ${exposed.token}A`],
    ['the token in other letters', () => `Bearer ${exposed.token.toUpperCase()}`],
  ])('%s: 401 with error="invalid_token"', async (_what, authorization) => {
    expect(refusal(await initialize([authorization()]))).toEqual(invalidToken);
  });

  test.each([
    ['the token without a scheme', () => exposed.token],
    ['Basic', () => `Basic ${Buffer.from(`x:${exposed.token}`).toString('base64')}`],
    ['an empty bearer', () => 'Bearer '],
    ['two tokens in one header', () => `Bearer ${exposed.token}, Bearer ${exposed.token}`],
    ['the token in quotes', () => `Bearer "${exposed.token}"`],
  ])('%s is refused', async (_what, authorization) => {
    const reply = await initialize([authorization()]);
    expect([400, 401]).toContain(reply.status);
    expect(reply.body).not.toContain(exposed.token);
  });

  test('two Authorization headers: 400, also when both are right', async () => {
    expect((await initialize([`Bearer ${exposed.token}`, `Bearer ${exposed.token}`])).status).toBe(400);
    expect((await initialize(['Bearer wrong', `Bearer ${exposed.token}`])).status).toBe(400);
  });

  test.each(['access_token', 'token', 'key'])('the token as ?%s= is no credential', async (name) => {
    const { pathname } = new URL(exposed.url);
    expect(refusal(await initialize([], { path: `${pathname}?${name}=${exposed.token}` }))).toEqual(unauthenticated);
  });

  test.each(['Cookie', 'Proxy-Authorization'])('the token as %s is no credential', async (name) => {
    const value = name === 'Cookie' ? `token=${exposed.token}` : `Bearer ${exposed.token}`;
    const headers: [string, string][] = [...contentHeaders, [name, value]];
    expect(refusal(await send(exposed.url, { method: 'POST', headers, body: initializeRequest() }))).toEqual(
      unauthenticated,
    );
  });

  test.each(['GET', 'POST', 'DELETE', 'PUT', 'PATCH'])('%s without a credential: 401', async (method) => {
    expect(refusal(await send(exposed.url, { method, headers: contentHeaders }))).toEqual(unauthenticated);
  });

  test.each(['/', '/sse', '/admin', '/mcp/', '/mcp/../mcp', '//mcp', '/healthz/x'])(
    'path %s without a credential tells nothing: 401',
    async (suffix) => {
      const base = new URL(exposed.url).pathname.replace(/\/mcp$/, '');
      const reply = await send(exposed.url, { path: `${base}${suffix}` });
      expect(refusal(reply)).toEqual(unauthenticated);
      expect(reply.body).not.toContain('fixture-echo');
    },
  );

  test('health needs no credential and says no more than it must', async () => {
    const base = new URL(exposed.url).pathname.replace(/\/mcp$/, '');
    const reply = await send(exposed.url, { path: `${base}/healthz` });
    expect(reply.status).toBe(200);
    expect(reply.body).not.toMatch(/fixture|mcpx_|node/);
    expect(reply.body).not.toContain(process.cwd());
  });

  test('at a well-known path nothing is found, with or without a credential, so that no client looks for OAuth', async () => {
    const { origin, pathname } = new URL(exposed.url);
    const inserted = `${origin}/.well-known/oauth-protected-resource${pathname}`;
    const appended = `${exposed.url}/.well-known/openid-configuration`;
    const replies = await Promise.all(
      [inserted, appended].flatMap((url) => [send(url), send(url, { headers: clientHeaders(exposed.token) })]),
    );
    for (const reply of replies) {
      expect([reply.status, reply.headers['www-authenticate']]).toEqual([404, undefined]);
      expect(reply.json()).toMatchObject({ jsonrpc: '2.0', error: { message: expect.stringContaining('OAuth') } });
    }
  });

  test('whether the servers are up needs none either; how much is going on does, whatever Host a proxy sends', async () => {
    const url = `${exposed.url.replace(/\/mcp$/, '')}/readyz`;
    expect((await send<object>(url)).json()).toEqual({ status: 'up' });
    const local = `${new URL(exposed.localUrl).origin}/readyz`;
    for (const host of ['localhost', '127.0.0.1']) {
      // oxlint-disable-next-line no-await-in-loop -- one name after the other
      expect((await send<object>(local, { headers: [['Host', host]] })).json()).toEqual({ status: 'up' });
    }
    const detailed = await send<object>(url, { headers: clientHeaders(exposed.token) });
    expect(detailed.json()).toMatchObject({ status: 'ready', sessions: expect.any(Number) });
  });

  test('a session id does not replace the credential', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const body = JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/list' });
    const headers: [string, string][] = [
      ...contentHeaders,
      ['Mcp-Session-Id', session.id],
      ['Mcp-Protocol-Version', '2025-11-25'],
    ];
    expect(refusal(await send(exposed.url, { method: 'POST', headers, body }))).toEqual(unauthenticated);
    expect(refusal(await send(exposed.url, { method: 'GET', headers }))).toEqual(unauthenticated);
    expect(refusal(await send(exposed.url, { method: 'DELETE', headers }))).toEqual(unauthenticated);
    expect(await session.call(3, 'tools/list')).toHaveProperty('result.tools');
  });

  test('strangers who initialize start no process', async () => {
    const before = await settledChildren(exposed);
    await Promise.all(Array.from({ length: 10 }, () => initialize(['Bearer wrong'])));
    expect(childrenWithMark(exposed.mark).map(({ pid }) => pid)).toEqual(before);
  });

  test('responses carry neither the token nor the credential of the caller', async () => {
    const reply = await send(exposed.url, {
      method: 'POST',
      headers: clientHeaders(exposed.token),
      body: initializeRequest(),
    });
    expect(reply.rawHeaders.join('\n')).not.toContain(exposed.token);
    expect(reply.body).not.toContain(exposed.token);
  });
});

test('MCP_EXPOSE_TOKEN sets the token, which is then printed nowhere', async () => {
  const token = 'mcpx_chosen-by-the-user-0123456789-0123456789';
  const exposed = await startExpose({ server: fixture('echo'), env: { MCP_EXPOSE_TOKEN: token } });
  expect(exposed.ready.token).toBeNull();
  expect((await openSession(exposed.localUrl, token)).id).not.toBe('');
  expect(exposed.stdout() + exposed.stderr()).not.toContain(token);
});

test('every start generates another token', async () => {
  const [one, two] = await Promise.all([
    startExpose({ server: fixture('echo') }),
    startExpose({ server: fixture('echo') }),
  ]);
  expect(one.token).not.toBe(two.token);
});
