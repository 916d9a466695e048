// An authorization server with a fake clock, and a client, a browser and an owner who use it.
import { createHash } from 'node:crypto';
import {
  createAuthorizationServer,
  type AuthorizationServer,
  type AuthorizationServerOptions,
} from '../../../src/auth/oauth/authorization-server.ts';
import type { OAuthEvent } from '../../../src/auth/oauth/events.ts';
import type { OAuthRequest, OAuthResponse } from '../../../src/auth/oauth/message.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { parseJson } from '../../harness/parse-json.ts';

export const issuer = 'https://share.example';
export const resource = 'https://share.example/mcp';
export const callback = 'https://app.example/callback';
export const verifier: string = 'v'.repeat(43);
export const challenge: string = createHash('sha256').update(verifier).digest('base64url');

export interface ConsentPage {
  readonly response: OAuthResponse;
  /** Name and value of the cookie that the page sets. */
  readonly cookie: string;
  /** The hidden field of the form. */
  readonly sealed: string;
}

export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
  readonly token_type: string;
  readonly scope: string;
}

export interface Sharing {
  readonly server: AuthorizationServer;
  readonly clock: FakeClock;
  readonly events: OAuthEvent[];
  /** Where requests come from. */
  address: string | undefined;
  eventsOf<Kind extends OAuthEvent['kind']>(kind: Kind): Extract<OAuthEvent, { kind: Kind }>[];
  send(request: Partial<Omit<OAuthRequest, 'header'>> & { headers?: Record<string, string> }): Promise<OAuthResponse>;
  get(path: string, query?: Params, headers?: Record<string, string>): Promise<OAuthResponse>;
  post(path: string, form: Params, headers?: Record<string, string>): Promise<OAuthResponse>;
  /** @returns the client id. */
  register(metadata?: object, address?: string): Promise<string>;
  registration(metadata: object, address?: string): Promise<OAuthResponse>;
  open(clientId: string, changes?: Params): Promise<ConsentPage>;
  submit(page: ConsentPage, changes?: Params, headers?: Record<string, string>): Promise<OAuthResponse>;
  /** Opens and approves. @returns the code. */
  authorize(clientId: string, changes?: Params, form?: Params): Promise<string>;
  token(form: Params): Promise<OAuthResponse>;
  exchange(clientId: string, code: string, changes?: Params): Promise<OAuthResponse>;
  refresh(clientId: string, refreshToken: string, changes?: Params): Promise<OAuthResponse>;
  /** The whole of it for a new client. */
  connect(changes?: Params, form?: Params): Promise<Tokens & { clientId: string; code: string }>;
}

/** Undefined leaves a parameter out. */
export type Params = Readonly<Record<string, string | readonly string[] | undefined>>;

export function share(options: Partial<AuthorizationServerOptions> = {}): Sharing {
  const clock = createFakeClock();
  const events: OAuthEvent[] = [];
  const server = createAuthorizationServer({
    issuer,
    resources: () => [resource],
    sharedName: () => 'server-filesystem',
    pairing: 'code',
    onEvent: (event) => events.push(event),
    fetchDocument: async () => Promise.reject(new Error('offline')),
    clock,
    ...options,
  });
  atEnd('test', () => server.close());
  const sharing: Sharing = {
    server,
    clock,
    events,
    address: '198.51.100.7',
    eventsOf: <Kind extends OAuthEvent['kind']>(kind: Kind) =>
      events.filter((event): event is Extract<OAuthEvent, { kind: Kind }> => event.kind === kind),
    send: async ({ headers = {}, ...request }) =>
      server.handle({
        method: 'GET',
        path: '/',
        query: new URLSearchParams(),
        body: '',
        address: sharing.address,
        header: (name) => headers[name],
        ...request,
      }),
    get: async (path, query = {}, headers = {}) => sharing.send({ path, query: encoded(query), headers }),
    post: async (path, form, headers = {}) =>
      sharing.send({
        method: 'POST',
        path,
        body: encoded(form).toString(),
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      }),
    registration: async (metadata, address = '198.51.100.7') =>
      sharing.send({ method: 'POST', path: '/register', body: JSON.stringify(metadata), address }),
    async register(metadata = {}, address = '198.51.100.7') {
      const response = await sharing.registration(
        { client_name: 'Some App', redirect_uris: [callback], ...metadata },
        address,
      );
      return parseJson<{ client_id: string }>(response.body).client_id;
    },
    async open(clientId, changes = {}) {
      const response = await sharing.get('/authorize', requestOf(clientId, changes));
      return {
        response,
        cookie: response.headers['set-cookie']?.split(';')[0] ?? '',
        sealed: /name="request" value="([^"]*)"/.exec(response.body)?.[1] ?? '',
      };
    },
    submit: async ({ cookie, sealed }, changes = {}, headers = {}) =>
      sharing.post(
        '/authorize',
        { request: sealed, decision: 'approve', code: server.pairingCode, ...changes },
        { cookie, origin: new URL(issuer).origin, ...headers },
      ),
    async authorize(clientId, changes = {}, form = {}) {
      const response = await sharing.submit(await sharing.open(clientId, changes), form);
      return locationOf(response).searchParams.get('code') ?? '';
    },
    token: async (form) => sharing.post('/token', form),
    exchange: async (clientId, code, changes = {}) =>
      sharing.token({
        grant_type: 'authorization_code',
        client_id: clientId,
        code,
        code_verifier: verifier,
        redirect_uri: callback,
        ...changes,
      }),
    refresh: async (clientId, refreshToken, changes = {}) =>
      sharing.token({ grant_type: 'refresh_token', client_id: clientId, refresh_token: refreshToken, ...changes }),
    async connect(changes = {}, form = {}) {
      const clientId = await sharing.register();
      const code = await sharing.authorize(clientId, changes, form);
      const response = await sharing.exchange(clientId, code);
      return { ...parseJson<Tokens>(response.body), clientId, code };
    },
  };
  return sharing;
}

/** The parameters of a good authorization request, with changes. */
export function requestOf(clientId: string, changes: Params = {}): Params {
  return {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: callback,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    state: 'st+te &1',
    resource,
    ...changes,
  };
}

/** Where a response redirects to. */
export function locationOf({ headers }: OAuthResponse): URL {
  return new URL(headers['location'] ?? 'https://no-redirect.invalid/');
}

/** The message with which a promise is rejected. */
export async function failureOf(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

/** What a page says. */
export function textOf(body: string): string {
  return body.replaceAll(/<style[\s\S]*?<\/style>|<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ');
}

export function jsonOf(response: OAuthResponse): Record<string, unknown> {
  return parseJson<Record<string, unknown>>(response.body);
}

/** Status and error of a response in JSON. */
export function errorOf(response: OAuthResponse): [number, unknown] {
  return [response.status, jsonOf(response)['error']];
}

function encoded(params: Params): URLSearchParams {
  const result = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const each of value === undefined ? [] : typeof value === 'string' ? [value] : value)
      result.append(name, each);
  }
  return result;
}
