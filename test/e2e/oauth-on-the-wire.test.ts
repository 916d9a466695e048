// What the specification demands of a server with OAuth, byte for byte as a client sees it: no SDK, no browser.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, startBehindRelay, startExpose, startRelay } from '../harness/expose.ts';
import { approve, endpointOf, postForm, register, signInByForm, type Issued } from '../harness/oauth-form.ts';
import { sharedServer, startShared } from '../harness/oauth-sign-in.ts';
import { parseJson } from '../harness/parse-json.ts';
import { temporaryDirectory } from '../harness/program.ts';
import { type RawReply, send } from '../harness/raw-http.ts';
import { clientHeaders, exchange, initializeRequest, openSession } from '../harness/raw-mcp.ts';

const ways = {
  locally: () => startShared(),
  'at a relay': async () =>
    startBehindRelay(await startRelay({ lifetime: 'file' }), {
      server: sharedServer,
      args: ['--oauth', '--name', 'files'],
      lifetime: 'file',
    }),
};

const foreignNames: [string, string][] = [
  ['X-Forwarded-Host', 'evil.example'],
  ['X-Forwarded-Proto', 'https'],
  ['X-Forwarded-Prefix', '/evil'],
  ['X-Original-Host', 'evil.example'],
  ['Forwarded', 'host=evil.example;proto=https'],
];

const withoutToken: [string, string][] = [
  ['Accept', 'application/json, text/event-stream'],
  ['Content-Type', 'application/json'],
];

/** The parameters of a challenge. */
function challengeOf({ headers }: Pick<RawReply, 'headers'>): Record<string, string> {
  const value = headers['www-authenticate'] ?? '';
  return Object.fromEntries([...value.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, text]) => [name, text]));
}

/** Where the metadata of a protected resource has to be (RFC 9728 §3.1): below the base of a relay, or at the root. */
function metadataUrl({ url }: Exposed, name: string, suffix = '/mcp'): string {
  return url.replace(/\/mcp$/, `/.well-known/${name}${suffix}`);
}

describe.each(Object.entries(ways))('%s', (_way, start) => {
  let exposed: Exposed;
  let issued: Issued;
  beforeAll(async () => {
    exposed = await start();
    issued = await signInByForm(exposed, { resource: exposed.url });
  });

  const initialize = (headers: [string, string][], url = exposed.url) =>
    send(url, { method: 'POST', headers, body: initializeRequest() });

  test.each(['GET', 'POST', 'DELETE', 'HEAD'])('R1 %s without a token: 401', async (method) => {
    expect((await send(exposed.url, { method, headers: withoutToken })).status).toBe(401);
  });

  test('R2 R3 R4 the challenge names the metadata, absolutely, and a scope, and no error', async () => {
    const reply = await initialize(withoutToken);
    expect(reply.headers['www-authenticate']).toMatch(/^Bearer /);
    expect(challengeOf(reply)).toEqual({
      scope: 'mcp',
      resource_metadata: metadataUrl(exposed, 'oauth-protected-resource'),
    });
    expect((await send(challengeOf(reply)['resource_metadata'] ?? '')).status).toBe(200);
  });

  test('R4 a token that is not valid: 401 invalid_token', async () => {
    for (const token of ['mcpa_wrong', `${issued.access_token}x`, issued.access_token.slice(0, -1)]) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      const reply = await initialize(clientHeaders(token));
      expect([reply.status, challengeOf(reply)]).toEqual([
        401,
        expect.objectContaining({ error: 'invalid_token', resource_metadata: expect.stringContaining('http') }),
      ]);
    }
  });

  test('R5 R6 R13 the metadata names the URL as the user pastes it, and its one authorization server', async () => {
    for (const suffix of ['/mcp', '']) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      const reply = await send<object>(metadataUrl(exposed, 'oauth-protected-resource', suffix));
      expect([reply.status, reply.headers['content-type']]).toEqual([200, 'application/json']);
      expect(reply.json()).toMatchObject({
        resource: exposed.url,
        authorization_servers: [exposed.url.replace(/\/mcp$/, '')],
      });
      expect(reply.body).not.toContain('offline_access');
    }
  });

  test('A1 A2 A3 A9 A10 the metadata of the authorization server', async () => {
    const issuer = exposed.url.replace(/\/mcp$/, '');
    const reply = await send<object>(metadataUrl(exposed, 'oauth-authorization-server', ''));
    expect(reply.json()).toMatchObject({
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      registration_endpoint: `${issuer}/register`,
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      client_id_metadata_document_supported: true,
      token_endpoint_auth_methods_supported: ['none'],
    });
  });

  test.each(foreignNames)(
    'R7 superlinked/sie#275: %s changes neither the metadata nor the challenge',
    async (...name) => {
      const urls = ['oauth-protected-resource', 'oauth-authorization-server'].map((each) =>
        metadataUrl(exposed, each, ''),
      );
      for (const url of urls) {
        // oxlint-disable-next-line no-await-in-loop -- in order
        const [plain, forged] = await Promise.all([send(url), send(url, { headers: [name] })]);
        expect([forged.status, forged.body]).toEqual([200, plain.body]);
      }
      const [plain, forged] = [await initialize(withoutToken), await initialize([...withoutToken, name])];
      expect(challengeOf(forged)).toEqual(challengeOf(plain));
    },
  );

  test('R7 a foreign Host gets no metadata', async () => {
    const reply = await send(metadataUrl(exposed, 'oauth-protected-resource', ''), {
      headers: [['Host', 'evil.example']],
    });
    expect(reply.status).toBeGreaterThanOrEqual(400);
    expect(reply.body).not.toContain('authorization_servers');
  });

  test.each(['access_token', 'token', 'bearer_token'])('R8 the token as ?%s= is not accepted', async (name) => {
    for (const token of [issued.access_token, exposed.token]) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      expect((await initialize(withoutToken, `${exposed.url}?${name}=${token}`)).status).toBe(401);
    }
    // Nor in a form (RFC 6750 §2.2), which MCP does not have.
    const form = await postForm(exposed.url, { [name]: issued.access_token });
    expect(form.status).toBe(401);
  });

  test('R9 each request of a session is checked, also GET and DELETE', async () => {
    const session = await openSession(exposed.url, issued.access_token);
    const headers: [string, string][] = [...withoutToken, ...session.headers.slice(-2)];
    const body = JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/list' });
    for (const credential of [[], [['Authorization', 'Bearer mcpa_wrong']]] as [string, string][][]) {
      const all = [...headers, ...credential];
      // oxlint-disable-next-line no-await-in-loop -- in order
      const replies = await Promise.all([
        send(exposed.url, { method: 'POST', headers: all, body }),
        send(exposed.url, { headers: all }),
        send(exposed.url, { method: 'DELETE', headers: all }),
      ]);
      expect(replies.map(({ status }) => status)).toEqual([401, 401, 401]);
    }
    expect(await session.call(3, 'tools/list')).toHaveProperty('result.tools');
  });

  test('R12 a scope that is too small: 403 with all that are needed, and where to get them', async () => {
    const { access_token: token, scope } = await signInByForm(exposed, { scope: 'mcp:read' });
    expect(scope).toBe('mcp:read');
    const session = await openSession(exposed.url, token);
    const call = (name: string) =>
      exchange(exposed.url, {
        method: 'POST',
        headers: session.headers,
        body: JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name } }),
      });
    expect((await call('look')).status).toBe(200);
    const refused = await call('change');
    expect([refused.status, challengeOf(refused)]).toEqual([
      403,
      {
        error: 'insufficient_scope',
        scope: 'mcp',
        resource_metadata: metadataUrl(exposed, 'oauth-protected-resource'),
      },
    ]);
  });

  test.each(['GET', 'POST', 'DELETE'])(
    'R14 %s from a foreign origin, or null: 403, with the token too',
    async (method) => {
      for (const origin of ['https://evil.example', 'null']) {
        const headers = clientHeaders(issued.access_token, [['Origin', origin]]);
        // oxlint-disable-next-line no-await-in-loop -- in order
        expect((await send(exposed.url, { method, headers })).status).toBe(403);
      }
    },
  );

  test('A6 an unknown client, or an unknown redirect URI: a page, and no redirect', async () => {
    const known = await register(exposed, 'https://app.example/callback');
    for (const query of [
      { client_id: 'mcpc_unknown', redirect_uri: 'https://app.example/callback' },
      { client_id: known, redirect_uri: 'https://evil.example/callback' },
    ]) {
      const url = `${endpointOf(exposed, 'authorize')}?${new URLSearchParams({ response_type: 'code', ...query }).toString()}`;
      // oxlint-disable-next-line no-await-in-loop -- in order
      const reply = await send(url);
      expect([reply.status, reply.headers.location, reply.headers['content-type']]).toEqual([
        400,
        undefined,
        'text/html; charset=utf-8',
      ]);
    }
  });

  test('A12 A13 the consent page says who asks and where it returns to, cannot be framed, and has a cookie of its own', async () => {
    const redirectUri = 'http://127.0.0.1:3000/callback';
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: await register(exposed, redirectUri),
      redirect_uri: redirectUri,
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
    });
    const { status, headers, body } = await send(`${endpointOf(exposed, 'authorize')}?${query.toString()}`);
    expect(status).toBe(200);
    for (const words of ['Some App', '127.0.0.1:3000', 'self-declared', 'on the computer of this browser']) {
      expect(body).toContain(words);
    }
    expect(headers['content-security-policy']).toMatch(/^default-src 'none';.* frame-ancestors 'none'$/);
    expect(headers).toMatchObject({
      'x-frame-options': 'DENY',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    const base = new URL(exposed.url).pathname.replace(/\/mcp$/, '') || '/';
    expect(headers['set-cookie']).toEqual([
      expect.stringMatching(new RegExp(`^mcp-expose-consent=[\\w-]{43}; Path=${base}; HttpOnly; SameSite=Lax$`)),
    ]);
  });

  test('A9 A14 A15 A16 the code comes with iss; codes and refresh tokens work once; what is issued is not stored', async () => {
    const redirectUri = 'http://127.0.0.1:3000/callback';
    const clientId = await register(exposed, redirectUri);
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: clientId,
      redirect_uri: redirectUri,
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
    });
    const callback = await approve(exposed, `${endpointOf(exposed, 'authorize')}?${query.toString()}`);
    const { searchParams } = callback;
    expect([searchParams.get('iss'), searchParams.get('error')]).toEqual([endpointOf(exposed, '').slice(0, -1), null]);
    const ask = (form: Record<string, string>) =>
      postForm(endpointOf(exposed, 'token'), { client_id: clientId, redirect_uri: redirectUri, ...form });
    const exchangeCode = () =>
      ask({
        grant_type: 'authorization_code',
        code: searchParams.get('code') ?? '',
        // RFC 7636 appendix B.
        code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
      });
    const first = await exchangeCode();
    expect([first.status, first.headers['cache-control']]).toEqual([200, 'no-store']);
    const tokens = parseJson<Issued>(first.body);
    expect((await initialize(clientHeaders(tokens.access_token))).status).toBe(200);
    const renewed = await ask({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token });
    expect(renewed.status).toBe(200);
    // The reuse of either ends everything that came of it.
    const reused = await ask({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token });
    expect([reused.status, parseJson<object>(reused.body)]).toEqual([
      400,
      expect.objectContaining({ error: 'invalid_grant' }),
    ]);
    for (const token of [tokens, parseJson<Issued>(renewed.body)]) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      expect((await initialize(clientHeaders(token.access_token))).status).toBe(401);
    }
    expect((await exchangeCode()).status).toBe(400);
  });

  test('A19 A20 /token: 401 for an unknown client, 400 for JSON', async () => {
    const url = endpointOf(exposed, 'token');
    const unknown = await postForm(url, { grant_type: 'refresh_token', client_id: 'mcpc_x', refresh_token: 'x' });
    expect([unknown.status, parseJson<object>(unknown.body)]).toEqual([
      401,
      expect.objectContaining({ error: 'invalid_client' }),
    ]);
    const json = await send(url, { method: 'POST', headers: [['Content-Type', 'application/json']], body: '{}' });
    expect(json.status).toBe(400);
  });

  test.each(['openid-configuration', 'openid-configuration/mcp', 'jwks.json', 'mcp'])(
    'A22 turbo-ea#761: /.well-known/%s is 404 in JSON, with a token and without',
    async (name) => {
      const url = exposed.url.replace(/\/mcp$/, `/.well-known/${name}`);
      for (const headers of [[], clientHeaders(exposed.token)]) {
        // oxlint-disable-next-line no-await-in-loop -- in order
        const reply = await send(url, { headers });
        expect([reply.status, reply.headers['content-type']]).toEqual([404, 'application/json']);
        expect(() => reply.json()).not.toThrow();
      }
    },
  );

  test('A23 a script of any origin reads metadata, registers and gets tokens', async () => {
    const headers: [string, string][] = [['Origin', 'https://web-client.example']];
    const replies = await Promise.all([
      send(metadataUrl(exposed, 'oauth-protected-resource'), { headers }),
      send(metadataUrl(exposed, 'oauth-authorization-server', ''), { headers }),
      send(endpointOf(exposed, 'register'), { method: 'POST', headers, body: '{}' }),
      postForm(endpointOf(exposed, 'token'), {}, headers),
      send(endpointOf(exposed, 'token'), { method: 'OPTIONS', headers }),
    ]);
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 400, 401, 204]);
    expect(replies.map((reply) => reply.headers['access-control-allow-origin'])).toEqual(replies.map(() => '*'));
  });
});

describe('R10 an access token', () => {
  test('for one endpoint is not accepted at another', async () => {
    const [command, ...args] = sharedServer;
    const config = path.join(temporaryDirectory(), 'mcp.json');
    writeFileSync(config, JSON.stringify({ mcpServers: { a: { command, args }, b: { command, args } } }));
    const exposed = await startExpose({ config, args: ['--oauth'] });
    const { access_token: token } = await signInByForm(exposed, { resource: `${exposed.url}/a/mcp` });
    const initialize = (name: string) =>
      send(`${exposed.url}/${name}/mcp`, { method: 'POST', headers: clientHeaders(token), body: initializeRequest() });
    expect((await initialize('a')).status).toBe(200);
    const refused = await initialize('b');
    expect([refused.status, challengeOf(refused)]).toEqual([
      401,
      {
        error: 'invalid_token',
        scope: 'mcp',
        resource_metadata: `${exposed.url}/.well-known/oauth-protected-resource/b/mcp`,
      },
    ]);
  });

  test('of another run is not accepted', async () => {
    const [one, other] = await Promise.all([startShared({ lifetime: 'test' }), startShared({ lifetime: 'test' })]);
    const { access_token: token } = await signInByForm(one);
    const reply = await send(other.url, { method: 'POST', headers: clientHeaders(token), body: initializeRequest() });
    expect([reply.status, challengeOf(reply)['error']]).toEqual([401, 'invalid_token']);
  });
});

describe('claude-code#80785: without --oauth, no client is led to OAuth', () => {
  test('the challenge names no metadata, and there is none', async () => {
    const exposed = await startExpose({ server: sharedServer });
    const reply = await send(exposed.url, { method: 'POST', headers: withoutToken, body: initializeRequest() });
    expect([reply.status, reply.headers['www-authenticate']]).toEqual([401, 'Bearer']);
    for (const name of ['oauth-protected-resource', 'oauth-authorization-server', 'openid-configuration']) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      const found = await send(metadataUrl(exposed, name));
      expect([found.status, found.headers['content-type'], found.headers['www-authenticate']]).toEqual([
        404,
        'application/json',
        undefined,
      ]);
    }
    expect((await send(endpointOf(exposed, 'authorize'))).status).toBe(401);
  });
});
