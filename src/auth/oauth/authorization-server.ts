import { ExposeError } from '../../errors.ts';
import { createForwardClock, systemClock, type Clock } from '../../platform/clock.ts';
import { isLoopbackHost } from '../../platform/net/addresses.ts';
import { createTokenBucket } from '../../platform/token-bucket.ts';
import { createAuthorizeEndpoint, type Confirm, type PairingMode } from './authorize-endpoint.ts';
import { clientDocumentUrl, createDocumentFetcher, type FetchDocument } from './client-documents.ts';
import type { Client } from './client-metadata.ts';
import { createConsentForms } from './consent-form.ts';
import { callerName, type ClientStep, type OAuthEvent, type PairingRequest } from './events.ts';
import { createGrants, type Grant } from './grants.ts';
import { signInPath, type Identity } from './identity-sign-in.ts';
import {
  errorResponse,
  jsonResponse,
  maxOAuthBodyBytes,
  methodNotAllowed,
  type OAuthRequest,
  type OAuthResponse,
} from './message.ts';
import { isWellKnownPath, metadataAt, protectedResourceUrl } from './metadata.ts';
import { createPairing } from './pairing.ts';
import { createPublishedClients } from './published-clients.ts';
import { createRateLimit } from './rate-limit.ts';
import { createRegistrations } from './registrations.ts';
import { createResources } from './resources.ts';
import { createSilenceWatch } from './silence.ts';
import { createTokenEndpoint } from './token-endpoint.ts';

/** Registrations, and fetched metadata documents, of one network; claude.ai registers twice for each connection. */
const maxClientsPerHour = 20;

/** Events that strangers can cause as often as they like: this many at once, and one every few seconds. */
const strangerEvents = { burst: 20, perSecond: 0.2 };
const eventsOfStrangers: ReadonlySet<OAuthEvent['kind']> = new Set<OAuthEvent['kind']>([
  'access_requested',
  'access_refused',
  'client_refused',
  'client_silent',
  'header_mode',
  'redirect_uri_refused',
]);

/** Scripts of any origin may call these endpoints: they take no cookies. Not so the consent page. */
const cors = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'WWW-Authenticate, Retry-After',
};
const preflight = {
  ...cors,
  'access-control-allow-methods': 'GET, POST',
  'access-control-allow-headers': 'Authorization, Content-Type, MCP-Protocol-Version',
  'access-control-max-age': '600',
};

export interface AuthorizationServerOptions {
  /** Public base URL without a trailing slash; https, or http on loopback. May have a path. */
  readonly issuer: string;
  /** URLs of the MCP endpoints that exist now; the metadata at the root describes the first. */
  readonly resources: () => readonly string[];
  /** What is shared, in words for the consent page: "server-filesystem", or "3 servers: a, b, c". */
  readonly sharedName: () => string;
  /** `code`: a code from the terminal is typed into the page; `tty`: the owner answers on the terminal; `both`: both. */
  readonly pairing: PairingMode;
  /** Asks the owner on the terminal; needed for `tty` and `both`. */
  readonly confirm?: Confirm;
  /** Users sign in there, instead of `pairing`; only for an issuer without a path. */
  readonly identity?: Identity;
  /** The name of a client that is approved, by which it is known from then on. Default: `callerName`. */
  readonly nameOf?: (request: PairingRequest) => string;
  readonly onEvent: (event: OAuthEvent) => void;
  /** Fetches a client metadata document. Default: over the network, from public addresses only. */
  readonly fetchDocument?: FetchDocument;
  readonly clock?: Clock;
}

/**
 * An OAuth 2.1 authorization server whose one user is the owner of the terminal, or whose users have an account at an identity
 * provider. Everything is in memory.
 */
export interface AuthorizationServer {
  /** Whether the path below the issuer is one of its own, `.well-known` documents included. */
  serves(path: string): boolean;
  handle(request: OAuthRequest): Promise<OAuthResponse>;
  /**
   * The grant behind an access token; undefined if it is unknown, expired, revoked, or for another MCP endpoint.
   * @param path of the MCP endpoint below the issuer: `/mcp`, `/<name>/mcp`.
   */
  verify(accessToken: string, path: string): Grant | undefined;
  /** Value of WWW-Authenticate for the MCP endpoint at this path (RFC 6750 §3, RFC 9728 §5.1). */
  challenge(path: string, error?: ChallengeError): string;
  /** As shown: `ABCD-EFGH`. */
  readonly pairingCode: string;
  revoke(grantId: string): boolean;
  close(): void;
}

export interface ChallengeError {
  readonly code: 'invalid_token' | 'insufficient_scope';
  /** All scopes that the request needs. Default `mcp`. */
  readonly scope?: string;
}

/**
 * @throws ExposeError `usage` if the issuer is neither https nor on loopback (OAuth 2.1 §1.5), or has a path although users sign
 * in at an identity provider.
 */
export function createAuthorizationServer(options: AuthorizationServerOptions): AuthorizationServer {
  const { issuer, sharedName, pairing: mode, confirm, identity, fetchDocument = createDocumentFetcher() } = options;
  const clock = createForwardClock(options.clock ?? systemClock);
  checkIssuer(issuer);
  if (identity !== undefined) checkOwnOrigin(issuer);
  if (mode !== 'code' && confirm === undefined) throw new TypeError(`confirm is needed to pair with ${mode}`);

  const budget = createTokenBucket({ ...strangerEvents, clock });
  const onEvent = (event: OAuthEvent): void => {
    if (!eventsOfStrangers.has(event.kind) || budget.take(1)) options.onEvent(event);
  };
  const silence = createSilenceWatch(clock);
  const expectMore = (key: string, clientName: string, after: ClientStep): void =>
    silence.expect(key, () => onEvent({ kind: 'client_silent', clientName, after }));

  const resources = createResources(issuer, options.resources);
  const grants = createGrants({ clock, onEvent });
  const pairing = createPairing({ clock, onEvent: identity === undefined && mode !== 'tty' ? onEvent : () => {} });
  const published = createPublishedClients({
    clock,
    fetchDocument,
    rateLimit: createRateLimit(maxClientsPerHour, clock),
  });
  const registrations = createRegistrations({
    clock,
    rateLimit: createRateLimit(maxClientsPerHour, clock),
    hasGrant: grants.hasClient,
    onRegistered: ({ id, name }) => expectMore(id, name, 'registration'),
    onEvent,
  });

  async function findClient(clientId: string, address: string | undefined): Promise<Client> {
    const url = clientDocumentUrl(clientId);
    if (url !== undefined) return published.find(url, address);
    const client = registrations.find(clientId);
    if (client === undefined) throw new Error('the client is not registered');
    return client;
  }

  const authorize = createAuthorizeEndpoint({
    issuer,
    resources,
    findClient,
    sharedName,
    mode,
    confirm,
    identity,
    forms: createConsentForms(issuer, clock),
    pairing,
    grants,
    clock,
    nameOf: options.nameOf ?? callerName,
    onOpened: silence.met,
    onEvent,
  });
  const tokens = createTokenEndpoint({
    grants,
    resources,
    // A metadata document is not fetched again: the code or token belongs to its client, or is refused.
    isKnownClient: (id) =>
      registrations.find(id) !== undefined || clientDocumentUrl(id) !== undefined || grants.hasClient(id),
    onFirstToken: (grantId, clientName) => expectMore(grantId, clientName, 'token'),
    onEvent,
  });

  function metadata({ method, path }: OAuthRequest): OAuthResponse {
    const document = metadataAt(path, issuer, resources);
    // JSON also here: clients parse whatever they get.
    if (document === undefined) return errorResponse(404, 'not_found', 'there is no metadata document at this path');
    return method === 'GET' || method === 'HEAD' ? jsonResponse(200, document) : methodNotAllowed('GET, HEAD');
  }

  /** What the endpoints for programs answer. */
  function answer(request: OAuthRequest): OAuthResponse {
    if (isWellKnownPath(request.path)) return metadata(request);
    switch (request.path) {
      case '/token':
        return tokens.token(request);
      case '/revoke':
        return tokens.revoke(request);
      case '/register':
        if (request.method !== 'POST') return methodNotAllowed('POST');
        return registrations.register(request.body, request.address);
      default:
        return errorResponse(404, 'not_found', 'there is nothing at this path');
    }
  }

  return {
    serves: (path) => isWellKnownPath(path) || ownPaths.has(path) || (path === signInPath && identity !== undefined),
    async handle(request) {
      if (Buffer.byteLength(request.body) > maxOAuthBodyBytes) {
        return errorResponse(413, 'invalid_request', `the body is larger than ${maxOAuthBodyBytes} bytes`);
      }
      if (request.path === '/authorize') return authorize.handle(request);
      if (request.path === signInPath) return authorize.handleSignIn(request);
      if (request.method === 'OPTIONS') return { status: 204, headers: preflight, body: '' };
      const response = answer(request);
      return { ...response, headers: { ...response.headers, ...cors } };
    },
    verify(accessToken, path) {
      const grant = grants.verify(accessToken);
      if (grant === undefined) return undefined;
      // A call to the wrong endpoint is one, too: it is not silence.
      silence.met(grant.id);
      return grant.resource === undefined || grant.resource === resources.at(path) ? grant : undefined;
    },
    challenge(path, error) {
      const values = {
        ...(error === undefined ? {} : { error: error.code }),
        scope: error?.scope ?? 'mcp',
        resource_metadata: protectedResourceUrl(issuer, resources.at(path)),
      };
      return `Bearer ${Object.entries(values)
        .map(([name, value]) => `${name}="${value}"`)
        .join(', ')}`;
    },
    get pairingCode() {
      return pairing.code;
    },
    revoke: (grantId) => grants.revoke(grantId, 'revoked_by_owner'),
    close() {
      authorize.close();
      grants.close();
      published.close();
      pairing.close();
      silence.close();
    },
  };
}

const ownPaths: ReadonlySet<string> = new Set(['/authorize', '/token', '/register', '/revoke']);

function checkIssuer(issuer: string): void {
  const { protocol, hostname, href } = new URL(issuer);
  const isSafe = protocol === 'https:' || (protocol === 'http:' && isLoopbackHost(hostname));
  if (isSafe && (href === issuer || href === `${issuer}/`) && !issuer.endsWith('/')) return;
  throw new ExposeError(
    'usage',
    `clients cannot sign in with OAuth at ${issuer}: the URL must be https, without a slash at its end`,
    {
      hints: ['use a tunnel with https, or listen on 127.0.0.1 without a tunnel'],
    },
  );
}

/**
 * Pages in other paths of an origin can send the consent page's forms, and a provider at which the user is signed in asks
 * nobody. A pairing code is typed by a person, and protects from that.
 */
function checkOwnOrigin(issuer: string): void {
  if (new URL(issuer).pathname === '/') return;
  throw new ExposeError(
    'usage',
    `users cannot sign in at an identity provider for ${issuer}: others who share its host could sign in in their name`,
    {
      hints: [
        'use a relay with --domain or another tunnel, which give the run a host of its own, or omit --oidc-issuer',
      ],
    },
  );
}
