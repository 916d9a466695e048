import { describe, expect, test } from 'vitest';
import { errorOf, issuer, jsonOf, resource, share } from './sharing.ts';

const several = { resources: () => ['https://share.example/a/mcp', 'https://share.example/b/mcp'] };

describe('the protected resource', () => {
  test.each([
    '/.well-known/oauth-protected-resource',
    '/.well-known/oauth-protected-resource/mcp',
    '/mcp/.well-known/oauth-protected-resource',
  ])('R5 R6 R13 at %s', async (path) => {
    const response = await share().get(path);
    expect(response.status).toBe(200);
    expect(response.headers['content-type']).toBe('application/json');
    expect(jsonOf(response)).toEqual({
      resource,
      authorization_servers: [issuer],
      scopes_supported: ['mcp', 'mcp:read'],
      bearer_methods_supported: ['header'],
    });
  });

  test('R6 of several endpoints, each has its own; the root describes the first', async () => {
    const sharing = share(several);
    const at = async (path: string): Promise<unknown> =>
      jsonOf(await sharing.get(`/.well-known/oauth-protected-resource${path}`))['resource'];
    expect(await at('/b/mcp')).toBe('https://share.example/b/mcp');
    expect(await at('/a/mcp')).toBe('https://share.example/a/mcp');
    expect(await at('')).toBe('https://share.example/a/mcp');
    expect(await at('/c/mcp')).toBeUndefined();
  });

  test('R6 below an issuer with a path', async () => {
    const own = 'https://relay.example/name';
    const response = await share({ issuer: own, resources: () => [`${own}/mcp`] }).get(
      '/.well-known/oauth-protected-resource/mcp',
    );
    expect(jsonOf(response)).toMatchObject({ resource: `${own}/mcp`, authorization_servers: [own] });
  });
});

describe('the authorization server', () => {
  test.each([
    '/.well-known/oauth-authorization-server',
    '/.well-known/oauth-authorization-server/mcp',
    '/mcp/.well-known/oauth-authorization-server',
  ])('A1 A2 A3 at %s', async (path) => {
    const response = await share().get(path);
    expect(response.status).toBe(200);
    expect(jsonOf(response)).toEqual({
      issuer: 'https://share.example',
      authorization_endpoint: 'https://share.example/authorize',
      token_endpoint: 'https://share.example/token',
      registration_endpoint: 'https://share.example/register',
      revocation_endpoint: 'https://share.example/revoke',
      scopes_supported: ['mcp', 'mcp:read'],
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_methods_supported: ['none'],
      revocation_endpoint_auth_methods_supported: ['none'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      client_id_metadata_document_supported: true,
    });
  });

  test('A1 its issuer is the one that the protected resource names', async () => {
    const sharing = share();
    const { issuer: own } = jsonOf(await sharing.get('/.well-known/oauth-authorization-server'));
    const { authorization_servers: named } = jsonOf(await sharing.get('/.well-known/oauth-protected-resource'));
    expect(named).toEqual([own]);
  });
});

describe('A22 turbo-ea#761: every other path is 404 in JSON', () => {
  test.each([
    '/.well-known/openid-configuration',
    '/.well-known/openid-configuration/mcp',
    '/mcp/.well-known/openid-configuration',
    '/.well-known/',
    '/.well-known/mcp.json',
    '/.well-known/oauth-protected-resource/',
    '/.well-known/oauth-protected-resource/other',
    '/.well-known/oauth-protected-resource/mcp/x',
    '/.well-known/oauth-authorization-server/authorize',
    '/mcp/.well-known/oauth-protected-resource/mcp',
    '/.well-known/oauth-protected-resource/.well-known/oauth-protected-resource',
    '/.well-known/__proto__',
  ])('%s', async (path) => {
    const sharing = share();
    expect(sharing.server.serves(path)).toBe(true);
    const response = await sharing.get(path);
    expect(errorOf(response)).toEqual([404, 'not_found']);
    expect(response.headers['content-type']).toBe('application/json');
  });

  test('also while nothing is shared', async () => {
    const sharing = share({ resources: () => [] });
    expect((await sharing.get('/.well-known/oauth-protected-resource')).status).toBe(404);
    expect(sharing.server.challenge('/mcp')).toContain(`resource_metadata="${issuer}/.well-known/`);
  });
});

test('a document is only read', async () => {
  const path = '/.well-known/oauth-protected-resource';
  expect((await share().send({ method: 'HEAD', path })).status).toBe(200);
  const response = await share().send({ method: 'POST', path });
  expect([response.status, response.headers['allow']]).toEqual([405, 'GET, HEAD']);
});
