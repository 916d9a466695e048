import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import {
  openIdentityProvider,
  type IdentityProvider,
  type IdentityProviderOptions,
  type SignInResult,
} from '../../../src/auth/oidc/identity-provider.ts';
import { ExposeError } from '../../../src/errors.ts';
import {
  challengeOf,
  startFakeIdentityProvider,
  type FakeIdentityProvider,
  type FakeOptions,
} from '../../harness/fake-identity-provider.ts';
import { startForwardProxy } from '../../harness/forward-proxy.ts';
import { startIdentityProvider } from '../../harness/identity-provider.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { createWebBrowser } from '../../harness/web-browser.ts';

const redirectUri = 'https://share.example/oauth-callback';
const secrets = { state: 's'.repeat(43), nonce: 'n'.repeat(43), verifier: 'v'.repeat(43) };

type Connection = Pick<IdentityProviderOptions, 'issuer' | 'clientId'> & Partial<IdentityProviderOptions>;

async function open(options: Connection): Promise<IdentityProvider> {
  const own = { clientSecret: undefined, env: {}, signal: new AbortController().signal };
  const provider = await openIdentityProvider({ ...own, ...options });
  atEnd('test', () => provider.close());
  return provider;
}

async function failureOf(promise: Promise<unknown>): Promise<ExposeError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ExposeError) return error;
  throw new Error('there is no ExposeError', { cause: error });
}

describe('the start', () => {
  test('reads the metadata, and nothing else', async () => {
    const fake = await startFakeIdentityProvider();
    const provider = await open(fake);
    expect(provider.host).toBe(new URL(fake.issuer).host);
    expect(fake.asked.map(({ endpoint }) => endpoint)).toEqual(['metadata']);
  });

  test.each([
    ['http://accounts.example.com', 'an issuer without TLS'],
    ['https://user:secret@accounts.example.com', 'a password'],
    ['https://accounts.example.com/?a=b', 'a query'],
    ['https://accounts.example.com/#a', 'a fragment'],
    ['accounts.example.com', 'no URL'],
  ])('%s is refused: %s', async (issuer) => {
    const error = await failureOf(open({ issuer, clientId: 'x' }));
    expect(error.code).toBe('usage');
    expect(error.message).not.toContain('secret');
  });

  const answers: [string, FakeOptions, RegExp][] = [
    ['metadata of another issuer', { metadata: { issuer: 'https://evil.example' } }, /issuer does not match/],
    ['no token endpoint', { metadata: { token_endpoint: undefined } }, /incomplete/],
    ['no keys', { metadata: { jwks_uri: undefined } }, /incomplete/],
    ['404', { instead: { metadata: (response) => response.writeHead(404).end() } }, /status 404/],
    ['a page', { instead: { metadata: (response) => response.writeHead(200).end('<html>') } }, /content-type/],
    ['a cut answer', { instead: { metadata: (response) => json(response, '{"issuer":') } }, /pars/],
    ['an array', { instead: { metadata: (response) => json(response, '[]') } }, /cannot use/],
    ['no answer', { instead: { metadata: () => {} } }, /more than 0.2 s/],
    ['an endless answer', { instead: { metadata: flood } }, /larger than 262144 bytes/],
    ['the end of the connection', { instead: { metadata: (response) => response.destroy() } }, /reset|hang up/],
  ];
  test.each(answers)('%s is an error with what to do', async (_what, options, words) => {
    const fake = await startFakeIdentityProvider(options);
    // What is slow is never answered; the rest has time.
    const timeoutMs = _what === 'no answer' ? 200 : 10_000;
    const error = await failureOf(open({ ...fake, timeoutMs }));
    expect([error.code, error.exitCode]).toEqual(['identity_provider_unusable', 1]);
    expect(error.message).toMatch(words);
    expect(error.hints).toEqual([expect.stringContaining(`${fake.issuer}/.well-known/openid-configuration`)]);
  });

  test('a redirect is not followed', async () => {
    const target = await startFakeIdentityProvider();
    const location = `${target.issuer}/.well-known/openid-configuration`;
    const fake = await startFakeIdentityProvider({
      instead: { metadata: (response) => response.writeHead(302, { location }).end() },
    });
    expect((await failureOf(open(fake))).message).toMatch(/status 302/);
    expect(target.asked).toEqual([]);
  });

  test('nothing listens there', async () => {
    expect((await failureOf(open({ issuer: 'http://127.0.0.1:9', clientId: 'x' }))).message).toMatch(
      /connection refused/,
    );
  });

  test('goes through the proxy of the environment', async () => {
    const proxy = await startForwardProxy({ refuse: 403 });
    const error = await failureOf(
      open({ issuer: 'https://accounts.example.com', clientId: 'x', env: { HTTPS_PROXY: proxy.url } }),
    );
    expect(error.code).toBe('identity_provider_unusable');
    expect(proxy.asked).toEqual(['accounts.example.com:443']);
  });

  test('can be aborted', async () => {
    const start = new AbortController();
    const reason = new Error('stopped by the user');
    const fake = await startFakeIdentityProvider({ instead: { metadata: () => start.abort(reason) } });
    await expect(open({ ...fake, signal: start.signal })).rejects.toBe(reason);
  });

  test('the signal of the start ends nothing later', async () => {
    const start = new AbortController();
    const fake = await startFakeIdentityProvider();
    const provider = await open({ ...fake, signal: start.signal });
    start.abort();
    expect(await signIn(fake, provider)).toEqual({ kind: 'user', email: 'ada@example.com' });
  });
});

/** Goes to the provider and back. */
async function signIn(
  fake: FakeIdentityProvider,
  provider: IdentityProvider,
  change: (back: URL) => void = () => {},
): Promise<SignInResult> {
  const back = fake.signIn(await provider.signInUrl(redirectUri, secrets));
  change(back);
  return await provider.signedIn(back, secrets);
}

describe('a sign-in', () => {
  test('uses the code flow with PKCE, state and nonce, and the secret only at the token endpoint', async () => {
    const fake = await startFakeIdentityProvider();
    const provider = await open(fake);
    const page = await provider.signInUrl(redirectUri, secrets);
    expect(page.origin + page.pathname).toBe(`${fake.issuer}/authorize`);
    expect(Object.fromEntries(page.searchParams)).toEqual({
      response_type: 'code',
      client_id: fake.clientId,
      redirect_uri: redirectUri,
      scope: 'openid email',
      state: secrets.state,
      nonce: secrets.nonce,
      code_challenge: challengeOf(secrets.verifier),
      code_challenge_method: 'S256',
    });
    expect(await signIn(fake, provider)).toEqual({ kind: 'user', email: 'ada@example.com' });
    const exchange = fake.asked.find(({ endpoint }) => endpoint === 'token');
    expect(Object.fromEntries(exchange?.form ?? [])).toEqual({
      grant_type: 'authorization_code',
      code: 'a code',
      redirect_uri: redirectUri,
      code_verifier: secrets.verifier,
    });
    expect(exchange?.authorization).toMatch(/^Basic /);
  });

  const now = Math.floor(Date.now() / 1000);
  const wrong: [string, FakeOptions, RegExp][] = [
    ['signed by another key', { signedBy: 'other key' }, /signature/],
    ['signed with the client secret', { signedBy: 'secret' }, /alg/],
    ['not signed', { signedBy: 'nobody' }, /alg/],
    ['with another nonce', { claims: { nonce: 'of another sign-in' } }, /nonce/],
    ['without a nonce', { claims: { nonce: undefined } }, /nonce/],
    ['of another issuer', { claims: { iss: 'https://evil.example' } }, /iss/],
    ['for another client', { claims: { aud: 'another client' } }, /aud/],
    ['for several clients, and not issued to this one', { claims: { aud: ['mcp-expose', 'b'], azp: 'b' } }, /azp/],
    ['that has expired', { claims: { iat: now - 7200, exp: now - 3600 } }, /exp/],
    ['without a subject', { claims: { sub: undefined } }, /sub/],
  ];
  test.each(wrong)('an ID token %s is refused', async (_what, options, words) => {
    const fake = await startFakeIdentityProvider(options);
    const result = await signIn(fake, await open(fake));
    expect(result).toEqual({ kind: 'failed', reason: expect.stringMatching(words) });
  });

  const answers: [string, FakeOptions, RegExp][] = [
    ['no ID token', { withoutIdToken: true }, /id_token/],
    [
      'an error at the token endpoint',
      { instead: { token: (response) => json(response, '{"error":"invalid_client"}', 401) } },
      /invalid_client/,
    ],
    ['status 500', { instead: { token: (response) => response.writeHead(500).end() } }, /status 500/],
    [
      'a redirect',
      { instead: { token: (response) => response.writeHead(307, { location: '/userinfo' }).end() } },
      /status 307/,
    ],
    ['a silent token endpoint', { instead: { token: () => {} } }, /more than 0.2 s/],
    ['an endless answer', { instead: { token: flood } }, /larger than/],
    ['an endless list of keys', { instead: { keys: flood } }, /larger than/],
    ['keys that cannot be had', { instead: { keys: (response) => response.writeHead(503).end() } }, /status 503/],
    [
      'user information of another user',
      { claims: { email: undefined }, userInfo: { sub: '2', email: 'eve@example.com', email_verified: true } },
      /sub/,
    ],
  ];
  test.each(answers)('%s is a failure', async (what, options, words) => {
    const fake = await startFakeIdentityProvider(options);
    const provider = await open({ ...fake, timeoutMs: what.startsWith('a silent') ? 200 : 10_000 });
    const result = await signIn(fake, provider);
    expect(result).toEqual({ kind: 'failed', reason: expect.stringMatching(words) });
    expect(JSON.stringify(result)).not.toContain(fake.clientSecret);
  });

  const changes: [string, (back: URL) => void, RegExp][] = [
    ['another state', ({ searchParams }) => searchParams.set('state', 'another'), /state/],
    ['no state', ({ searchParams }) => searchParams.delete('state'), /state/],
    ['two codes', ({ searchParams }) => searchParams.append('code', 'another'), /code/],
    ['another issuer', ({ searchParams }) => searchParams.set('iss', 'https://evil.example'), /iss/],
    [
      'an error',
      ({ searchParams }) => searchParams.set('error', 'access_denied\u001B[2J'),
      /^it answered access_denied$/,
    ],
  ];
  test.each(changes)('a browser that comes back with %s: nothing is exchanged', async (_what, change, words) => {
    const fake = await startFakeIdentityProvider();
    const result = await signIn(fake, await open(fake), change);
    expect(result).toEqual({ kind: 'failed', reason: expect.stringMatching(words) });
    expect(fake.asked.map(({ endpoint }) => endpoint)).toEqual(['metadata']);
  });

  test.each([
    [{ email: undefined }, {}],
    [{ email_verified: false }, {}],
    [{ email_verified: undefined }, {}],
    [{ email_verified: 'true' }, {}],
    [{ email_verified: 1 }, {}],
    [{ email: ['ada@example.com'] }, {}],
    [{ email: undefined, email_verified: true }, { email: 'ada@example.com' }],
    [{ email: undefined }, { email: 'ada@example.com', email_verified: false }],
  ])('claims %j and user information %j are no verified address', async (claims, userInfo) => {
    const fake = await startFakeIdentityProvider({ claims, userInfo });
    expect(await signIn(fake, await open(fake))).toEqual({ kind: 'unverified' });
  });

  test('ends when mcp-expose does', async () => {
    const opened: IdentityProvider[] = [];
    const fake = await startFakeIdentityProvider({ instead: { token: () => opened[0]?.close() } });
    const provider = await open(fake);
    opened.push(provider);
    expect(await signIn(fake, provider)).toEqual({ kind: 'failed', reason: expect.stringMatching(/stopping/) });
  });
});

describe('a real provider', () => {
  const accounts = { ada: { email: 'ada@example.com', email_verified: true } };

  test.each([
    ['client_secret_basic', 'id_token'],
    ['client_secret_post', 'id_token'],
    ['none', 'id_token'],
    ['client_secret_basic', 'userinfo'],
  ] as const)('with the authentication %s and the address in %s', async (authMethod, emailIn) => {
    const real = await startIdentityProvider({ redirectUris: [redirectUri], accounts, authMethod, emailIn });
    const provider = await open({ ...real, clientSecret: authMethod === 'none' ? undefined : real.clientSecret });
    const browser = createWebBrowser();
    const page = await browser.visit((await provider.signInUrl(redirectUri, secrets)).href);
    const back = await browser.submit(page, { name: 'ada' }, { stopAt: new URL(redirectUri).origin });
    expect(await provider.signedIn(back.url, secrets)).toEqual({ kind: 'user', email: 'ada@example.com' });
    // The code is used up.
    expect(await provider.signedIn(back.url, secrets)).toMatchObject({ kind: 'failed' });
  });

  test('that does not accept the secret', async () => {
    const real = await startIdentityProvider({ redirectUris: [redirectUri], accounts });
    const provider = await open({ ...real, clientSecret: 'wrong' });
    const browser = createWebBrowser();
    const page = await browser.visit((await provider.signInUrl(redirectUri, secrets)).href);
    const back = await browser.submit(page, { name: 'ada' }, { stopAt: new URL(redirectUri).origin });
    const result = await provider.signedIn(back.url, secrets);
    expect(result).toEqual({ kind: 'failed', reason: 'it answered invalid_client at its token endpoint' });
  });
});

function json(response: ServerResponse, body: string, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);
}

/** Sends more than anybody wants, until the other side hangs up. */
function flood(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.write('{"issuer":"');
  const piece = 'x'.repeat(64 * 1024);
  const send = (): void => {
    while (!response.destroyed && response.write(piece));
  };
  response.on('drain', send);
  send();
}
