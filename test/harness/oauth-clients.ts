// The two official clients, which sign in with OAuth: all that they need of a user is the way to the consent page and back.
import * as v2 from '@modelcontextprotocol/client';
import type { OAuthClientProvider, OAuthDiscoveryState } from '@modelcontextprotocol/sdk/client/auth.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { OAuthClientInformationMixed, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js';
import { type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import type { Callback } from './oauth-browser.ts';
import { connectV1, connectV2, type SdkClient } from './sdk-clients.ts';

export type OAuthVersion = 'v1' | 'v2';
export const oauthVersions: readonly OAuthVersion[] = ['v1', 'v2'];

export interface OAuthClientOptions {
  callback: Callback;
  name?: string;
  /** A client id metadata document, instead of registration. */
  document?: string | undefined;
  scope?: string;
}

export interface OAuthClient {
  /** Connects without a token: resolves with the URL of the consent page. */
  signIn(): Promise<string>;
  /** The consent page that it wants to be opened, once. */
  page(): string | undefined;
  /** Connects with what the browser came back with. */
  finish(params: URLSearchParams): Promise<SdkClient>;
  /** Connects with the tokens that it has, which it renews where they are refused. */
  connect(): Promise<SdkClient>;
  /** What it keeps. */
  readonly saved: {
    client?: OAuthClientInformationMixed;
    tokens?: OAuthTokens;
    verifier?: string;
    discovery?: OAuthDiscoveryState;
  };
}

export function createOAuthClient(version: OAuthVersion, url: string, options: OAuthClientOptions): OAuthClient {
  const { callback, name = 'SDK client', document, scope } = options;
  const saved: OAuthClient['saved'] = {};
  const pages: string[] = [];
  const provider: OAuthClientProvider = {
    redirectUrl: callback.url,
    clientMetadata: {
      client_name: name,
      redirect_uris: [callback.url],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      ...(scope === undefined ? {} : { scope }),
    },
    ...(document === undefined ? {} : { clientMetadataUrl: document }),
    state: () => 'state of the SDK',
    clientInformation: () => saved.client,
    saveClientInformation: (client) => void (saved.client = client),
    tokens: () => saved.tokens,
    saveTokens: (tokens) => void (saved.tokens = tokens),
    redirectToAuthorization: ({ href }) => void pages.push(href),
    saveCodeVerifier: (verifier) => void (saved.verifier = verifier),
    codeVerifier: () => saved.verifier ?? '',
    saveDiscoveryState: (discovery) => void (saved.discovery = discovery),
    discoveryState: () => saved.discovery,
  };
  const newTransport = {
    v1: () => new TransportV1(new URL(url), { authProvider: provider, fetch: fetchOnLoopback }),
    v2: () => new v2.StreamableHTTPClientTransport(new URL(url), { authProvider: provider, fetch: fetchOnLoopback }),
  };
  const connect = async (): Promise<SdkClient> =>
    version === 'v1' ? connectV1(url, '', {}, newTransport.v1) : connectV2(url, '', {}, newTransport.v2);
  return {
    saved,
    connect,
    page: () => pages.pop(),
    async signIn() {
      const failure = await connect().then(
        () => new Error('it connected without a token'),
        (error: unknown) => error,
      );
      const page = pages.pop();
      if (page === undefined) throw failure;
      return page;
    },
    async finish(params) {
      if (version === 'v1') await newTransport.v1().finishAuth(params.get('code') ?? '');
      else await newTransport.v2().finishAuth(params);
      return await connect();
    },
  };
}

/** As browsers do: each name below `localhost` is this machine. `fetch` would ask a resolver, and sets Host itself. */
const fetchOnLoopback: v2.FetchLike = async (target, init) => {
  const url = new URL(target);
  if (!url.hostname.endsWith('.localhost')) return fetch(url, init);
  const { method, headers, body, signal } = new Request(url, { ...init, ...(init?.body && { duplex: 'half' }) });
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request(url, {
      method,
      headers: Object.fromEntries(headers),
      agent: false,
      signal,
      lookup: (_name, _options, found) => found(null, [{ address: '127.0.0.1', family: 4 }]),
    });
    outgoing.on('response', resolve).on('error', reject);
    if (body === null) outgoing.end();
    else Readable.fromWeb(body).pipe(outgoing);
  });
  answer.on('error', () => {}); // the client has hung up
  const { statusCode: status = 0, headers: received } = answer;
  const isEmpty = [202, 204, 304].includes(status);
  if (isEmpty) answer.resume();
  const pairs = Object.entries(received).map(([name, value]): [string, string] => [name, [value].flat().join(', ')]);
  return new Response(isEmpty ? null : Readable.toWeb(answer), { status, headers: pairs });
};
