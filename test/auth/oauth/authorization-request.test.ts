import { describe, expect, test } from 'vitest';
import { callback, challenge, issuer, locationOf, resource, share, textOf } from './sharing.ts';

describe('a request that cannot be answered to the client gets a page', () => {
  test.each([
    ['no client', { client_id: undefined }],
    ['an unknown client', { client_id: 'mcpc_unknown' }],
    ['two clients', { client_id: ['mcpc_a', 'mcpc_b'] }],
    ['no redirect URI', { redirect_uri: undefined }],
    ['an unregistered redirect URI', { redirect_uri: 'https://evil.example/callback' }],
    ['a redirect URI that goes on', { redirect_uri: `${callback}.evil.example` }],
    ['two redirect URIs', { redirect_uri: [callback, 'https://evil.example/callback'] }],
  ])('A6 %s: no redirect', async (_what, changes) => {
    const sharing = share();
    const { response, sealed } = await sharing.open(await sharing.register(), changes);
    expect(response.status).toBe(400);
    expect(response.headers['location']).toBeUndefined();
    expect(response.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(response.headers['content-security-policy']).toContain("default-src 'none'");
    expect(sealed).toBe('');
    expect(response.body).not.toContain('evil');
    expect(sharing.eventsOf('access_requested')).toEqual([]);
  });

  test.each(['Authorization', 'authorization', 'x-api-key', 'X-API-Key'])(
    'claude-ai-mcp#644: the name of a header, %s, as client_id is explained',
    async (clientId) => {
      const sharing = share();
      const { response } = await sharing.open(clientId);
      expect(response.status).toBe(400);
      expect(textOf(response.body)).toContain('add it again with OAuth');
      expect(sharing.events).toEqual([{ kind: 'header_mode', clientId }]);
    },
  );

  test('the owner is told which redirect URI was refused', async () => {
    const sharing = share();
    await sharing.open(await sharing.register(), { redirect_uri: 'https://evil.example/\u001B[2J' });
    expect(sharing.eventsOf('redirect_uri_refused')).toEqual([
      {
        kind: 'redirect_uri_refused',
        clientName: 'Some App',
        uri: 'https://evil.example/ [2J',
        reason: expect.stringContaining('control characters'),
      },
    ]);
  });
});

describe('an error is sent to the client', () => {
  test.each([
    ['A4 no code_challenge', { code_challenge: undefined }, 'invalid_request'],
    ['A4 the method plain', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['A4 no method, which means plain', { code_challenge_method: undefined }, 'invalid_request'],
    ['A4 a code_challenge that is no digest', { code_challenge: 'short' }, 'invalid_request'],
    ['A4 two code_challenges', { code_challenge: [challenge, challenge] }, 'invalid_request'],
    ['A8 a foreign resource', { resource: 'https://other.example/mcp' }, 'invalid_target'],
    ['A8 two resources', { resource: [resource, resource] }, 'invalid_request'],
    ['an implicit grant', { response_type: 'token' }, 'unsupported_response_type'],
    ['a hybrid grant', { response_type: 'code id_token' }, 'unsupported_response_type'],
    ['no response_type', { response_type: undefined }, 'unsupported_response_type'],
    ['a fragment as response', { response_mode: 'fragment' }, 'invalid_request'],
  ])('%s (A9: with iss and state)', async (_what, changes, error) => {
    const sharing = share();
    const { response } = await sharing.open(await sharing.register(), changes);
    expect(response.status).toBe(303);
    const location = locationOf(response);
    expect(location.origin + location.pathname).toBe(callback);
    expect(Object.fromEntries(location.searchParams)).toEqual({
      error,
      error_description: expect.any(String),
      state: 'st+te &1',
      iss: issuer,
    });
    expect(response.headers['cache-control']).toBe('no-store');
  });

  test('without a state if there was none', async () => {
    const sharing = share();
    const { response } = await sharing.open(await sharing.register(), { state: undefined, code_challenge: undefined });
    expect(locationOf(response).searchParams.has('state')).toBe(false);
  });
});
