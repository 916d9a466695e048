import * as oidc from 'openid-client';

import { ExposeError, messageOf } from '../../errors.ts';
import { isLoopbackHost } from '../../platform/net/addresses.ts';
import { networkErrorWords } from '../../platform/net/network-errors.ts';
import { requestText } from '../../platform/net/request-text.ts';
import { excerpt } from '../../platform/text/sanitize.ts';

/** How long each request to the provider may take, in milliseconds: a browser waits for it, or the start. */
const defaultTimeoutMs = 10_000;

/** Metadata, keys and tokens take a few KB. */
const maxResponseBytes: number = 256 * 1024;

/** Longest part of an error code that is shown, in characters. */
const maxShownLength = 80;

export interface IdentityProviderOptions {
  /** As the provider writes it: https, or http on loopback. */
  readonly issuer: string;
  readonly clientId: string;
  /** Undefined for a public client. */
  readonly clientSecret: string | undefined;
  /** Where `HTTPS_PROXY` and the like are read. */
  readonly env: NodeJS.ProcessEnv;
  /** Ends the start. */
  readonly signal: AbortSignal;
  /** Default: 10 000. */
  readonly timeoutMs?: number;
}

/** What ties the answer of the provider to one browser. */
export interface SignInSecrets {
  readonly state: string;
  readonly nonce: string;
  /** PKCE (RFC 7636): 43 characters or more. */
  readonly verifier: string;
}

/** Who signed in: an e-mail address that the provider verified, nobody whose address it verified, or why it failed. */
export type SignInResult =
  | { readonly kind: 'user'; readonly email: string }
  | { readonly kind: 'unverified' }
  | { readonly kind: 'failed'; readonly reason: string };

/** An OpenID provider at which users sign in, with the authorization code flow (OpenID Connect Core 1.0 §3.1). */
export interface IdentityProvider {
  /** Host of the issuer, with its port. */
  readonly host: string;
  /** Where the browser signs in. */
  signInUrl(redirectUri: string, secrets: SignInSecrets): Promise<URL>;
  /** @param returned the redirect URI with the parameters with which the browser came back. Never rejects. */
  signedIn(returned: URL, secrets: SignInSecrets): Promise<SignInResult>;
  /** Ends requests that are under way. */
  close(): void;
}

/**
 * Reads the metadata of a provider (OpenID Connect Discovery 1.0 §4).
 * @throws ExposeError `usage` for an issuer that is not https, `identity_provider_unusable`, or the signal's reason.
 */
export async function openIdentityProvider(options: IdentityProviderOptions): Promise<IdentityProvider> {
  const { issuer, clientId, clientSecret, env, signal, timeoutMs = defaultTimeoutMs } = options;
  const url = issuerUrl(issuer);
  signal.throwIfAborted();
  const closing = new AbortController();
  const stop = (): void => closing.abort(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  let client: oidc.Configuration;
  try {
    client = await oidc.discovery(url, clientId, {}, authentication(clientSecret), {
      [oidc.customFetch]: createFetch(env, timeoutMs, closing.signal),
      // The signature of the ID token too, although it comes over TLS.
      execute: [oidc.enableNonRepudiationChecks, ...(url.protocol === 'http:' ? [oidc.allowInsecureRequests] : [])],
    });
    const { authorization_endpoint: page, token_endpoint: tokens, jwks_uri: keys } = client.serverMetadata();
    if (page === undefined || tokens === undefined || keys === undefined) throw new Error('its metadata is incomplete');
  } catch (error) {
    signal.throwIfAborted();
    throw new ExposeError(
      'identity_provider_unusable',
      `cannot use the OpenID provider ${issuer}: ${reasonOf(error)}`,
      {
        hints: [`check --oidc-issuer: its metadata, with the same issuer, has to be at ${wellKnownUrl(url)}`],
        cause: error,
      },
    );
  } finally {
    signal.removeEventListener('abort', stop);
  }
  const { userinfo_endpoint: userInfo } = client.serverMetadata();

  async function claimsOf(returned: URL, { state, nonce, verifier }: SignInSecrets): Promise<oidc.UserInfoResponse> {
    const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true };
    const tokens = await oidc.authorizationCodeGrant(client, returned, checks);
    const claims = tokens.claims();
    if (claims === undefined) throw new Error('there is no ID token');
    // Providers may keep what `scope` asks for to their UserInfo endpoint (OpenID Connect Core 1.0 §5.4).
    if (claims['email'] !== undefined || userInfo === undefined) return claims;
    return await oidc.fetchUserInfo(client, tokens.access_token, claims.sub);
  }

  return {
    host: url.host,
    async signInUrl(redirectUri, { state, nonce, verifier }) {
      return oidc.buildAuthorizationUrl(client, {
        redirect_uri: redirectUri,
        scope: 'openid email',
        state,
        nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      });
    },
    async signedIn(returned, secrets) {
      try {
        const { email, email_verified: isVerified } = await claimsOf(returned, secrets);
        return typeof email === 'string' && isVerified === true ? { kind: 'user', email } : { kind: 'unverified' };
      } catch (error) {
        return { kind: 'failed', reason: reasonOf(error) };
      }
    },
    close: () => closing.abort(new Error('mcp-expose is stopping')),
  };
}

/** @throws ExposeError `usage` */
function issuerUrl(issuer: string): URL {
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined;
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopbackHost(url.hostname));
  const isPlain = url?.search === '' && url.hash === '' && url.username === '' && url.password === '';
  if (url !== undefined && isSafe && isPlain) return url;
  throw new ExposeError('usage', '--oidc-issuer must be an https URL without user name, query and fragment', {
    hints: ["use the issuer in the provider's documentation, such as https://accounts.google.com"],
  });
}

function wellKnownUrl({ origin, pathname }: URL): string {
  return `${origin}${pathname.replace(/\/$/, '')}/.well-known/openid-configuration`;
}

/** `client_secret_basic` is the default (OpenID Connect Discovery 1.0 §3); some providers have only the other. */
function authentication(secret: string | undefined): oidc.ClientAuth {
  if (secret === undefined) return oidc.None();
  const [basic, post] = [oidc.ClientSecretBasic(secret), oidc.ClientSecretPost(secret)];
  return (server, ...request) => {
    const isBasic = server.token_endpoint_auth_methods_supported?.includes('client_secret_basic') ?? true;
    return (isBasic ? basic : post)(server, ...request);
  };
}

/** Bounded in time and size, through the proxy of the environment, and without redirects. */
function createFetch(env: NodeJS.ProcessEnv, timeoutMs: number, signal: AbortSignal): oidc.CustomFetch {
  return async (url, { method, headers, body }) => {
    const answer = await requestText({
      method: method === 'POST' ? 'POST' : 'GET',
      url: new URL(url),
      headers,
      ...(body instanceof URLSearchParams ? { body: body.toString() } : {}),
      env,
      timeoutMs,
      signal,
      maxBytes: maxResponseBytes,
    });
    const { status, text } = answer;
    if (text.length > maxResponseBytes) throw new Error(`its answer is larger than ${maxResponseBytes} bytes`);
    const type = answer.headers['content-type'];
    return new Response(text === '' ? null : text, {
      status,
      headers: type === undefined ? {} : { 'content-type': type },
    });
  };
}

/** What went wrong, in words, for the owner. */
function reasonOf(error: unknown): string {
  if (error instanceof oidc.AuthorizationResponseError) return `it answered ${excerpt(error.error, maxShownLength)}`;
  if (error instanceof oidc.ResponseBodyError)
    return `it answered ${excerpt(error.error, maxShownLength)} at its token endpoint`;
  const cause = error instanceof oidc.ClientError ? error.cause : error;
  if (cause instanceof Response && !cause.ok) return `it answered with status ${cause.status}`;
  return networkErrorWords(cause) ?? messageOf(cause instanceof Error ? cause : error);
}
