import { messageOf } from '../../errors.ts';
import { toSingleLine } from '../../platform/text/sanitize.ts';
import type { Client } from './client-metadata.ts';
import type { OAuthEvent } from './events.ts';
import type { GrantRequest } from './grants.ts';
import { parameter, repeatedParameter } from './message.ts';
import { isRegisteredUri, redirectUriProblem, withParameters } from './redirect-uris.ts';
import type { Resources } from './resources.ts';
import { readScope } from './scopes.ts';

/** An S256 challenge: 256 bits in base64url (RFC 7636 §4.2). */
const challengeSyntax = /^[\w-]{43}$/;

/** Names of headers that hosted clients send as their client_id if they were set up with a header (claude-ai-mcp#644). */
const headerNames: ReadonlySet<string> = new Set(['authorization', 'x-api-key', 'x-auth-token']);

/** A valid authorization request (RFC 6749 §4.1.1), with what the consent page shows of the client. */
export interface AuthorizationRequest extends GrantRequest {
  readonly publisher: string | undefined;
  readonly state: string | undefined;
}

/** A page for the user, since the browser must not be sent to a redirect URI that is not the client's. */
export interface ErrorPage {
  readonly kind: 'error_page';
  readonly title: string;
  readonly message: string;
}

export type ReadRequest =
  | { readonly kind: 'valid'; readonly request: AuthorizationRequest }
  | { readonly kind: 'redirect'; readonly location: string }
  | ErrorPage;

export interface ReadRequestOptions {
  readonly issuer: string;
  readonly resources: Resources;
  /** @throws an Error whose message says why there is no such client. */
  readonly findClient: (clientId: string, address: string | undefined) => Promise<Client>;
  readonly onEvent: (event: OAuthEvent) => void;
}

export async function readAuthorizationRequest(
  query: URLSearchParams,
  address: string | undefined,
  { issuer, resources, findClient, onEvent }: ReadRequestOptions,
): Promise<ReadRequest> {
  const clientId = parameter(query, 'client_id');
  const redirectUri = parameter(query, 'redirect_uri');
  const repeated = repeatedParameter(query);
  if (clientId === undefined || repeated === 'client_id') return invalid('The app did not say who it is (client_id).');
  if (headerNames.has(clientId.toLowerCase())) {
    onEvent({ kind: 'header_mode', clientId });
    return headerModePage;
  }
  let client: Client;
  try {
    client = await findClient(clientId, address);
  } catch (error) {
    // Only the terminal is told why: the reason may tell a stranger something about this network.
    onEvent({ kind: 'client_refused', clientId: toSingleLine(clientId), reason: messageOf(error) });
    return unknownClientPage;
  }
  if (redirectUri === undefined || repeated === 'redirect_uri') {
    return invalid('The app did not say where to return to (redirect_uri).');
  }
  if (!isRegisteredUri(client.redirectUris, redirectUri)) {
    const reason = redirectUriProblem(redirectUri) ?? 'the client has not registered it';
    onEvent({ kind: 'redirect_uri_refused', clientName: client.name, uri: toSingleLine(redirectUri), reason });
    return invalid('The app wants to return to an address that is not registered for it (redirect_uri).');
  }
  // From here on the client is told (RFC 6749 §4.1.2.1).
  const state = parameter(query, 'state');
  const fail = (error: string, description: string): ReadRequest => ({
    kind: 'redirect',
    location: withParameters(redirectUri, { error, error_description: description, state, iss: issuer }),
  });
  if (repeated !== undefined) return fail('invalid_request', `${repeated} is given more than once`);
  if (query.get('response_type') !== 'code') return fail('unsupported_response_type', 'response_type must be code');
  if ((parameter(query, 'response_mode') ?? 'query') !== 'query') {
    return fail('invalid_request', 'response_mode must be query');
  }
  const codeChallenge = parameter(query, 'code_challenge');
  if (codeChallenge === undefined || query.get('code_challenge_method') !== 'S256') {
    return fail('invalid_request', 'code_challenge is required, with code_challenge_method=S256');
  }
  if (!challengeSyntax.test(codeChallenge)) return fail('invalid_request', 'code_challenge is not a SHA-256 digest');
  const resource = resources.find(parameter(query, 'resource'));
  if (resource === false) return fail('invalid_target', 'resource is not an MCP endpoint of this server');
  const { name: clientName, publisher } = client;
  const scope = readScope(parameter(query, 'scope'));
  const request = { clientId, clientName, publisher, redirectUri, codeChallenge, scope, resource, state };
  return { kind: 'valid', request };
}

function invalid(message: string): ErrorPage {
  return { kind: 'error_page', title: 'This request cannot be used', message };
}

const unknownClientPage: ErrorPage = {
  kind: 'error_page',
  title: 'Unknown app',
  message:
    'This server does not know the app that sent you here: it may have been restarted since the app registered. Remove the server from the app, and add it again.',
};

const headerModePage: ErrorPage = {
  kind: 'error_page',
  title: 'The app is set up for a request header',
  message:
    'The app was set up with a request header, but tries OAuth with the name of that header. Remove the server from the app, and add it again with OAuth, and without any request header.',
};
