import { describe, expect, test } from 'vitest';
import { errorOf, jsonOf, resource, share, verifier, type Tokens } from './sharing.ts';
import { parseJson } from '../../harness/parse-json.ts';

const path = '/mcp';

describe('a code', () => {
  test('A16 is exchanged for tokens that are not stored and live for an hour', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    const response = await sharing.exchange(clientId, await sharing.authorize(clientId), { resource });
    expect(response.status).toBe(200);
    expect(response.headers['cache-control']).toBe('no-store');
    expect(jsonOf(response)).toEqual({
      access_token: expect.stringMatching(/^mcpa_[\w-]{43}$/),
      token_type: 'Bearer',
      expires_in: 3600,
      refresh_token: expect.stringMatching(/^mcpr_[\w-]{43}$/),
      scope: 'mcp',
    });
    const { access_token: accessToken } = parseJson<Tokens>(response.body);
    expect(sharing.server.verify(accessToken, path)).toEqual({
      id: expect.any(String),
      clientId,
      clientName: 'Some App',
      scope: 'mcp',
      resource,
      expiresAt: sharing.clock.now() + 3_600_000,
    });
    sharing.clock.advance(3_600_000 - 1);
    expect(sharing.server.verify(accessToken, path)).toBeDefined();
    sharing.clock.advance(1);
    expect(sharing.server.verify(accessToken, path)).toBeUndefined();
    expect(sharing.eventsOf('token_issued')).toMatchObject([
      { clientName: 'Some App', scope: 'mcp', isRenewed: false },
    ]);
  });

  test('A14 works for a minute', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    const [early, late] = [await sharing.authorize(clientId), await sharing.authorize(clientId)];
    sharing.clock.advance(59_999);
    expect((await sharing.exchange(clientId, early)).status).toBe(200);
    sharing.clock.advance(1);
    expect(errorOf(await sharing.exchange(clientId, late))).toEqual([400, 'invalid_grant']);
  });

  test('A14 works once; a second time revokes what it gave', async () => {
    const sharing = share();
    const { clientId, code, access_token: accessToken, refresh_token: refreshToken } = await sharing.connect();
    const renewed = parseJson<Tokens>((await sharing.refresh(clientId, refreshToken)).body);
    expect(errorOf(await sharing.exchange(clientId, code))).toEqual([400, 'invalid_grant']);
    expect(sharing.server.verify(accessToken, path)).toBeUndefined();
    expect(sharing.server.verify(renewed.access_token, path)).toBeUndefined();
    expect(errorOf(await sharing.refresh(clientId, renewed.refresh_token))).toEqual([400, 'invalid_grant']);
    expect(sharing.eventsOf('grant_revoked')).toMatchObject([{ clientName: 'Some App', reason: 'reused' }]);
    expect(errorOf(await sharing.exchange(clientId, code))).toEqual([400, 'invalid_grant']);
    expect(sharing.eventsOf('grant_revoked')).toHaveLength(1);
  });

  test.each([
    ['A4 another verifier', { code_verifier: 'w'.repeat(43) }],
    ['A4 no verifier', { code_verifier: undefined }],
    ['A4 the challenge itself', { code_verifier: 'challenge' }],
    ['A14 another redirect URI', { redirect_uri: 'https://app.example/other' }],
    ['A14 another client', { client_id: 'other' }],
    ['no code', { code: undefined }],
    ['an unknown code', { code: 'x'.repeat(43) }],
  ])('%s: invalid_grant', async (_what, changes) => {
    const sharing = share();
    const [clientId, other] = [await sharing.register(), await sharing.register()];
    const code = await sharing.authorize(clientId);
    const replaced = 'client_id' in changes ? { client_id: other } : changes;
    expect(errorOf(await sharing.exchange(clientId, code, replaced))).toEqual([400, 'invalid_grant']);
    const isOfCode = !('code' in changes);
    // A failed attempt uses the code up: whoever made it had the code, and should not.
    expect((await sharing.exchange(clientId, code)).status).toBe(isOfCode ? 400 : 200);
  });

  test('OAuth 2.1 §10.2: the redirect URI may be left out', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    const code = await sharing.authorize(clientId);
    expect((await sharing.exchange(clientId, code, { redirect_uri: undefined })).status).toBe(200);
  });

  test('A8 a foreign resource is refused before the code is used up', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    const code = await sharing.authorize(clientId);
    for (const foreign of ['https://other.example/mcp', 'https://share.example/other/mcp', 'nonsense']) {
      // oxlint-disable-next-line no-await-in-loop -- one code
      expect(errorOf(await sharing.exchange(clientId, code, { resource: foreign }))).toEqual([400, 'invalid_target']);
    }
    const tolerated = 'HTTPS://SHARE.example/mcp/';
    expect((await sharing.exchange(clientId, code, { resource: tolerated })).status).toBe(200);
  });

  test('A8 another endpoint of ours than was approved is refused before the code or the refresh token is used up', async () => {
    const [own, other] = ['https://share.example/a/mcp', 'https://share.example/b/mcp'];
    const sharing = share({ resources: () => [own, other] });
    const clientId = await sharing.register();
    const code = await sharing.authorize(clientId, { resource: own });
    const refused = await sharing.exchange(clientId, code, { resource: other });
    expect(errorOf(refused)).toEqual([400, 'invalid_target']);
    const accepted = await sharing.exchange(clientId, code, { resource: own });
    expect(accepted.status).toBe(200);
    const { refresh_token: token } = parseJson<Tokens>(accepted.body);
    expect(errorOf(await sharing.refresh(clientId, token, { resource: other }))).toEqual([400, 'invalid_target']);
    expect((await sharing.refresh(clientId, token, { resource: own })).status).toBe(200);
  });

  test('A8 codex#20729: without resource, in both requests, the token is for every endpoint', async () => {
    const sharing = share({ resources: () => [resource, 'https://share.example/b/mcp'] });
    const tokens = await sharing.connect({ resource: undefined });
    expect(sharing.server.verify(tokens.access_token, '/mcp')).toBeDefined();
    expect(sharing.server.verify(tokens.access_token, '/b/mcp')).toBeDefined();
  });

  test('R10 a token for one endpoint is not accepted at another', async () => {
    const sharing = share({ resources: () => [resource, 'https://share.example/b/mcp'] });
    const clientId = await sharing.register();
    const code = await sharing.authorize(clientId, { resource: 'https://share.example/b/mcp' });
    expect(errorOf(await sharing.exchange(clientId, code, { resource }))).toEqual([400, 'invalid_target']);
    const tokens = parseJson<Tokens>((await sharing.exchange(clientId, code)).body);
    expect(sharing.server.verify(tokens.access_token, '/mcp')).toBeUndefined();
    expect(sharing.server.verify(tokens.access_token, '/b/mcp')).toBeDefined();
    expect(errorOf(await sharing.refresh(clientId, tokens.refresh_token, { resource }))).toEqual([
      400,
      'invalid_target',
    ]);
    expect((await sharing.refresh(clientId, tokens.refresh_token)).status).toBe(200);
  });
});

describe('A15 a refresh token', () => {
  test('is replaced with each use, without the owner', async () => {
    const sharing = share();
    const first = await sharing.connect();
    sharing.clock.advance(7 * 24 * 3_600_000);
    const response = await sharing.refresh(first.clientId, first.refresh_token, { resource });
    const second = parseJson<Tokens>(response.body);
    expect(second.refresh_token).not.toBe(first.refresh_token);
    expect(second.access_token).not.toBe(first.access_token);
    expect(sharing.server.verify(second.access_token, path)).toMatchObject({ clientId: first.clientId });
    expect(sharing.eventsOf('token_issued').map(({ isRenewed }) => isRenewed)).toEqual([false, true]);
    expect((await sharing.refresh(first.clientId, second.refresh_token)).status).toBe(200);
  });

  test('that was used revokes all of its family, the newest too', async () => {
    const sharing = share();
    const { clientId, refresh_token: first } = await sharing.connect();
    const second = parseJson<Tokens>((await sharing.refresh(clientId, first)).body);
    const third = parseJson<Tokens>((await sharing.refresh(clientId, second.refresh_token)).body);
    expect(errorOf(await sharing.refresh(clientId, first))).toEqual([400, 'invalid_grant']);
    for (const { access_token: token } of [second, third]) {
      expect(sharing.server.verify(token, path)).toBeUndefined();
    }
    expect(errorOf(await sharing.refresh(clientId, third.refresh_token))).toEqual([400, 'invalid_grant']);
    expect(sharing.eventsOf('grant_revoked')).toMatchObject([{ reason: 'reused' }]);
  });

  test('of another client is refused, and stays valid', async () => {
    const sharing = share();
    const { clientId, refresh_token: token } = await sharing.connect();
    const other = await sharing.register();
    expect(errorOf(await sharing.refresh(other, token))).toEqual([400, 'invalid_grant']);
    expect((await sharing.refresh(clientId, token)).status).toBe(200);
  });

  test.each([undefined, '', 'x', 'mcpr_x'])('%s is refused', async (token) => {
    const sharing = share();
    const { clientId } = await sharing.connect();
    const response = await sharing.refresh(clientId, '', { refresh_token: token });
    expect(errorOf(response)).toEqual([400, 'invalid_grant']);
  });

  test('can be used for a narrower scope, never for a wider one', async () => {
    const sharing = share();
    const all = await sharing.connect();
    const narrow = parseJson<Tokens>(
      (await sharing.refresh(all.clientId, all.refresh_token, { scope: 'mcp:read' })).body,
    );
    expect(narrow.scope).toBe('mcp:read');
    expect(sharing.server.verify(narrow.access_token, path)?.scope).toBe('mcp:read');
    const again = parseJson<Tokens>((await sharing.refresh(all.clientId, narrow.refresh_token)).body);
    expect(again.scope).toBe('mcp');

    const some = await sharing.connect({}, { scope: 'mcp:read' });
    const wide = parseJson<Tokens>((await sharing.refresh(some.clientId, some.refresh_token, { scope: 'mcp' })).body);
    expect(wide.scope).toBe('mcp:read');
    expect(sharing.server.verify(wide.access_token, path)?.scope).toBe('mcp:read');
  });
});

describe('a request that is refused', () => {
  test.each([
    ['no client', { client_id: undefined }],
    ['an unknown client', { client_id: 'mcpc_unknown' }],
    ['a client with an http document', { client_id: 'http://app.example/client.json' }],
  ])('A19 %s: 401 invalid_client', async (_what, changes) => {
    const sharing = share();
    const { clientId, refresh_token: token } = await sharing.connect();
    const response = await sharing.refresh(clientId, token, changes);
    expect(errorOf(response)).toEqual([401, 'invalid_client']);
    expect(response.headers['www-authenticate']).toBeUndefined();
  });

  test('RFC 6749 §5.2: a client that tried HTTP Basic gets a challenge', async () => {
    const headers = { authorization: 'Basic eDp5' };
    const response = await share().post('/token', { grant_type: 'refresh_token' }, headers);
    expect(errorOf(response)).toEqual([401, 'invalid_client']);
    expect(response.headers['www-authenticate']).toBe('Basic');
  });

  test.each([
    'application/json',
    'multipart/form-data; boundary=x',
    'text/plain',
    '',
    ';',
    'application/x-www-form-urlencodedx',
    `${' '.repeat(10_000)};`,
  ])('A20 content type %.40j: 400', async (type) => {
    const sharing = share();
    const body = JSON.stringify({ grant_type: 'authorization_code', client_id: 'x', code: 'y' });
    const headers = type === '' ? {} : { 'content-type': type };
    const response = await sharing.send({ method: 'POST', path: '/token', body, headers });
    expect(errorOf(response)).toEqual([400, 'invalid_request']);
  });

  test('A20 a content type with a parameter, in any case, is taken', async () => {
    const sharing = share();
    const { clientId, refresh_token: token } = await sharing.connect();
    const form = { grant_type: 'refresh_token', client_id: clientId, refresh_token: token };
    const headers = { 'content-type': 'Application/X-WWW-Form-Urlencoded; charset=UTF-8' };
    expect((await sharing.post('/token', form, headers)).status).toBe(200);
  });

  test.each([
    [{ grant_type: 'password' }, 'unsupported_grant_type'],
    [{ grant_type: 'client_credentials' }, 'unsupported_grant_type'],
    [{ grant_type: undefined }, 'invalid_request'],
    [{ grant_type: ['authorization_code', 'refresh_token'] }, 'invalid_request'],
    [{ code: ['a', 'b'] }, 'invalid_request'],
    [{ code_verifier: [verifier, verifier] }, 'invalid_request'],
  ])('%j: %s', async (changes, error) => {
    const sharing = share();
    const clientId = await sharing.register();
    const code = await sharing.authorize(clientId);
    expect(errorOf(await sharing.exchange(clientId, code, changes))).toEqual([400, error]);
    expect((await sharing.exchange(clientId, code)).status).toBe(200);
  });

  test.each(['/token', '/revoke', '/register'])('GET %s: 405', async (endpoint) => {
    const response = await share().get(endpoint, { code: 'x' });
    expect(response.status).toBe(405);
    expect(response.headers['allow']).toBe('POST');
  });

  test('no response shows a secret that was sent', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    const secret = 'canary-0123456789';
    const responses = await Promise.all([
      sharing.exchange(clientId, secret, { code_verifier: secret, resource: secret }),
      sharing.refresh(clientId, secret, { scope: secret }),
      sharing.refresh(secret, secret, { grant_type: secret }),
      sharing.post('/revoke', { client_id: clientId, token: secret }),
      sharing.submit(await sharing.open(clientId), { code: secret }),
    ]);
    expect(JSON.stringify([responses, sharing.events])).not.toContain(secret);
  });
});

describe('RFC 7009 revocation', () => {
  test('of a refresh token ends the grant', async () => {
    const sharing = share();
    const tokens = await sharing.connect();
    const form = { client_id: tokens.clientId, token: tokens.refresh_token, token_type_hint: 'access_token' };
    expect((await sharing.post('/revoke', form)).status).toBe(200);
    expect(sharing.server.verify(tokens.access_token, path)).toBeUndefined();
    expect(errorOf(await sharing.refresh(tokens.clientId, tokens.refresh_token))).toEqual([400, 'invalid_grant']);
    expect(sharing.eventsOf('grant_revoked')).toMatchObject([{ reason: 'revoked_by_client' }]);
    expect((await sharing.post('/revoke', form)).status).toBe(200);
  });

  test('of an access token ends only that', async () => {
    const sharing = share();
    const tokens = await sharing.connect();
    const form = { client_id: tokens.clientId, token: tokens.access_token };
    expect((await sharing.post('/revoke', form)).status).toBe(200);
    expect(sharing.server.verify(tokens.access_token, path)).toBeUndefined();
    expect((await sharing.refresh(tokens.clientId, tokens.refresh_token)).status).toBe(200);
  });

  test('by another or an unknown client is refused', async () => {
    const sharing = share();
    const { access_token: token } = await sharing.connect();
    const other = await sharing.register();
    expect(errorOf(await sharing.post('/revoke', { client_id: other, token }))).toEqual([400, 'invalid_grant']);
    expect(errorOf(await sharing.post('/revoke', { client_id: 'x', token }))).toEqual([401, 'invalid_client']);
    expect(errorOf(await sharing.post('/revoke', { client_id: other }))).toEqual([400, 'invalid_request']);
    expect(sharing.server.verify(token, path)).toBeDefined();
  });

  test('of an unknown token succeeds', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    expect((await sharing.post('/revoke', { client_id: clientId, token: 'unknown' })).status).toBe(200);
  });
});
