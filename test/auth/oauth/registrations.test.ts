import { describe, expect, test } from 'vitest';
import { callback, errorOf, jsonOf, share } from './sharing.ts';

/* oxlint-disable no-await-in-loop -- one after the other */

test('A17 a registration is answered with 201 and a public client', async () => {
  const sharing = share();
  const response = await sharing.registration({ client_name: 'Some App', redirect_uris: [callback] });
  expect(response.status).toBe(201);
  expect(response.headers['cache-control']).toBe('no-store');
  expect(jsonOf(response)).toEqual({
    client_id: expect.stringMatching(/^mcpc_[\w-]{43}$/),
    client_id_issued_at: 1000,
    client_name: 'Some App',
    redirect_uris: [callback],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  });
});

test('claude-ai-mcp#654: registering twice gives two clients, both of which work', async () => {
  const sharing = share();
  const [first, second] = [await sharing.register(), await sharing.register()];
  expect(first).not.toBe(second);
  for (const clientId of [first, second]) expect(await sharing.authorize(clientId)).not.toBe('');
});

test('A18 what is not used is dropped, not refused', async () => {
  const response = await share().registration({
    redirect_uris: ['http://localhost:3334/oauth/callback'],
    application_type: 'native',
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
    response_types: ['code', 'token'],
    token_endpoint_auth_method: 'client_secret_basic',
    scope: 'mcp offline_access',
    software_statement: 'x',
    contacts: [{}],
    unknown: { deep: [1] },
  });
  expect(response.status).toBe(201);
  expect(jsonOf(response)).toMatchObject({
    client_name: 'unnamed client',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  });
  expect(response.body).not.toMatch(/secret|unknown|jwt/);
});

test("A17 Cursor's three redirect URIs are taken, cursor:// among them", async () => {
  const uris = [
    'http://localhost:8787/callback',
    'https://www.cursor.com/agents/mcp/oauth/callback',
    'cursor://anysphere.cursor-mcp/oauth/callback',
  ];
  const response = await share().registration({ client_name: 'Cursor', redirect_uris: uris });
  expect(jsonOf(response)).toMatchObject({ redirect_uris: uris });
});

describe('a registration is refused', () => {
  test.each([
    ['', 'invalid_client_metadata'],
    ['{', 'invalid_client_metadata'],
    ['null', 'invalid_client_metadata'],
    ['[]', 'invalid_client_metadata'],
    ['"x"', 'invalid_client_metadata'],
    ['{}', 'invalid_client_metadata'],
    ['{"redirect_uris":[]}', 'invalid_client_metadata'],
    ['{"redirect_uris":"https://app.example/"}', 'invalid_client_metadata'],
    ['{"redirect_uris":[1]}', 'invalid_client_metadata'],
    [`{"redirect_uris":[${'"https://app.example/",'.repeat(16)}"https://app.example/"]}`, 'invalid_client_metadata'],
    ['{"redirect_uris":["javascript:alert(1)"]}', 'invalid_redirect_uri'],
    ['{"redirect_uris":["https://app.example/","http://app.example/"]}', 'invalid_redirect_uri'],
    ['['.repeat(30_000), 'invalid_client_metadata'],
  ])('%.60s: %s', async (body, error) => {
    const response = await share().send({ method: 'POST', path: '/register', body });
    expect(errorOf(response)).toEqual([400, error]);
  });

  test('with the reason on the terminal, without its control characters', async () => {
    const sharing = share();
    await sharing.registration({ client_name: 'Bad\u001B[31m\u202EApp', redirect_uris: ['javascript:alert(\u0007)'] });
    expect(sharing.events).toEqual([
      {
        kind: 'redirect_uri_refused',
        clientName: 'Bad [31m App',
        uri: 'javascript:alert( )',
        reason: expect.any(String),
      },
    ]);
  });
});

test('a name is cut to 100 characters', async () => {
  const response = await share().registration({ client_name: 'x'.repeat(60_000), redirect_uris: [callback] });
  expect(jsonOf(response)['client_name']).toBe('x'.repeat(100));
});

describe('bounds', () => {
  test('20 in an hour for one address; others are not affected', async () => {
    const sharing = share();
    for (let at = 0; at < 20; at += 1) expect(await sharing.register()).toMatch(/^mcpc_/);
    const response = await sharing.registration({ redirect_uris: [callback] });
    expect(errorOf(response)).toEqual([429, 'temporarily_unavailable']);
    expect(response.headers['retry-after']).toBe('180');
    expect(await sharing.register({}, '198.51.100.8')).toMatch(/^mcpc_/);
    sharing.clock.advance(180_000);
    expect(await sharing.register()).toMatch(/^mcpc_/);
  });

  test('10,000 from as many addresses: the last 100 are kept, and the clients that were approved', async () => {
    const sharing = share();
    const approved = await sharing.connect();
    const clientIds: string[] = [];
    for (let at = 0; at < 10_000; at += 1) {
      clientIds.push(await sharing.register({}, `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`));
    }
    expect(new Set(clientIds).size).toBe(10_000);
    const isKnown = async (clientId: string): Promise<boolean> =>
      errorOf(await sharing.refresh(clientId, 'x'))[1] === 'invalid_grant';
    const known: string[] = [];
    for (const clientId of clientIds) if (await isKnown(clientId)) known.push(clientId);
    expect(known).toEqual(clientIds.slice(-99));
    expect(await isKnown(approved.clientId)).toBe(true);
    expect((await sharing.refresh(approved.clientId, approved.refresh_token)).status).toBe(200);
    expect(sharing.clock.pending).toBeLessThanOrEqual(102);
  });

  test('a client whose registration was driven out while the owner decided still gets its tokens', async () => {
    const sharing = share();
    const clientId = await sharing.register();
    const page = await sharing.open(clientId);
    for (let at = 0; at < 200; at += 1) await sharing.register({}, `10.0.${at}.1`);
    const response = await sharing.submit(page);
    const code = new URL(response.headers['location'] ?? '').searchParams.get('code') ?? '';
    expect((await sharing.exchange(clientId, code)).status).toBe(200);
  });

  test('with 100 approved clients, no other can register', async () => {
    const sharing = share();
    for (let at = 0; at < 100; at += 1) {
      const clientId = await sharing.register({}, `10.0.${at}.1`);
      await sharing.exchange(clientId, await sharing.authorize(clientId));
    }
    const response = await sharing.registration({ redirect_uris: [callback] });
    expect(errorOf(response)).toEqual([503, 'temporarily_unavailable']);
  });
});
