// The OAuth clients of both official SDKs, which other clients are built on, against the server without a network.
import { auth as authV2, type FetchLike } from '@modelcontextprotocol/client';
import { auth as authV1 } from '@modelcontextprotocol/sdk/client/auth.js';
import type { OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js';
import type { OAuthClientInformationMixed, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { callback, issuer, locationOf, resource, share, type Sharing } from './sharing.ts';

// The SDK warns that a client should keep more than this one does.
beforeEach(() => {
  vi.spyOn(console, 'warn').mockImplementation(() => {});
});

/** Sends what a client fetches to the server; the origin is that of the issuer. */
function fetchFrom({ server }: Sharing): FetchLike {
  return async (target, init) => {
    const request = new Request(target, init);
    const { origin, pathname, searchParams } = new URL(request.url);
    if (origin !== issuer || !server.serves(pathname)) return new Response('not found', { status: 404 });
    const { status, headers, body } = await server.handle({
      method: request.method,
      path: pathname,
      query: searchParams,
      header: (name) => request.headers.get(name) ?? undefined,
      body: await request.text(),
      address: undefined,
    });
    return new Response(body === '' ? null : body, { status, headers });
  };
}

interface Memory {
  readonly provider: OAuthClientProvider;
  readonly saved: { client?: OAuthClientInformationMixed; tokens?: OAuthTokens; verifier?: string; url?: URL };
}

function remember(clientMetadataUrl?: string): Memory {
  const saved: Memory['saved'] = {};
  const provider: OAuthClientProvider = {
    redirectUrl: callback,
    clientMetadata: { client_name: 'SDK client', redirect_uris: [callback] },
    ...(clientMetadataUrl === undefined ? {} : { clientMetadataUrl }),
    state: () => 'state of the SDK',
    clientInformation: () => saved.client,
    saveClientInformation: (client) => void (saved.client = client),
    tokens: () => saved.tokens,
    saveTokens: (tokens) => void (saved.tokens = tokens),
    redirectToAuthorization: (url) => void (saved.url = url),
    saveCodeVerifier: (verifier) => void (saved.verifier = verifier),
    codeVerifier: () => saved.verifier ?? '',
  };
  return { provider, saved };
}

describe.each([
  ['1', authV1],
  ['2', authV2],
])('the SDK, version %s', (_version, auth) => {
  test.each([undefined, 'https://app.example/client.json'])(
    'connects and renews (metadata document: %s)',
    async (document) => {
      const text = JSON.stringify({ client_id: document, client_name: 'Published', redirect_uris: [callback] });
      const sharing = share({ fetchDocument: async () => ({ text, cacheControl: undefined }) });
      const { provider, saved } = remember(document);
      const options = { serverUrl: resource, fetchFn: fetchFrom(sharing) };

      expect(await auth(provider, options)).toBe('REDIRECT');
      const query = saved.url?.searchParams;
      expect(query?.get('resource')).toBe(resource);
      const response = await sharing.get('/authorize', Object.fromEntries(query ?? []));
      expect(response.body).toContain(document === undefined ? 'SDK client' : 'Published');
      const page = {
        response,
        cookie: response.headers['set-cookie']?.split(';')[0] ?? '',
        sealed: /name="request" value="([^"]*)"/.exec(response.body)?.[1] ?? '',
      };
      const location = locationOf(await sharing.submit(page));
      expect(location.searchParams.get('state')).toBe('state of the SDK');

      const authorizationCode = location.searchParams.get('code') ?? '';
      expect(await auth(provider, { ...options, authorizationCode, iss: issuer })).toBe('AUTHORIZED');
      const first = saved.tokens;
      expect(sharing.server.verify(first?.access_token ?? '', '/mcp')).toMatchObject({ scope: 'mcp', resource });

      expect(await auth(provider, options)).toBe('AUTHORIZED');
      expect(saved.tokens?.access_token).not.toBe(first?.access_token);
      expect(sharing.server.verify(saved.tokens?.access_token ?? '', '/mcp')).toBeDefined();
    },
  );

  test('A19 registers again with a server that has forgotten it', async () => {
    const { provider, saved } = remember();
    await auth(provider, { serverUrl: resource, fetchFn: fetchFrom(share()) });
    saved.tokens = { access_token: 'mcpa_old', refresh_token: 'mcpr_old', token_type: 'Bearer' };
    const forgotten = saved.client?.client_id;
    const invalidated: string[] = [];
    const invalidateCredentials = (what: string): void => {
      invalidated.push(what);
      delete saved.tokens;
      if (what === 'all' || what === 'client') delete saved.client;
    };
    const options = { serverUrl: resource, fetchFn: fetchFrom(share()) };
    expect(await auth({ ...provider, invalidateCredentials }, options)).toBe('REDIRECT');
    expect(invalidated).not.toEqual([]);
    expect(saved.client?.client_id).not.toBe(forgotten);
  });
});
