import type { OAuthEvent } from './events.ts';
import type { Grants, TokenResult, TokenSet } from './grants.ts';
import {
  errorResponse,
  jsonResponse,
  methodNotAllowed,
  parameter,
  readForm,
  type OAuthRequest,
  type OAuthResponse,
} from './message.ts';
import type { Resources } from './resources.ts';
import { readScope } from './scopes.ts';

type RequestError = 'invalid_request' | 'unsupported_grant_type';

export interface TokenEndpointOptions {
  readonly grants: Grants;
  readonly resources: Resources;
  readonly isKnownClient: (clientId: string) => boolean;
  /** A code was exchanged for the first token of a grant. */
  readonly onFirstToken: (grantId: string, clientName: string) => void;
  readonly onEvent: (event: OAuthEvent) => void;
}

/** `/token` (RFC 6749 §3.2) and `/revoke` (RFC 7009), for public clients. */
export interface TokenEndpoint {
  token(request: OAuthRequest): OAuthResponse;
  revoke(request: OAuthRequest): OAuthResponse;
}

export function createTokenEndpoint(options: TokenEndpointOptions): TokenEndpoint {
  const { grants, resources, isKnownClient, onFirstToken, onEvent } = options;

  /** The form, and the client that sends it; or the error. */
  function readClientForm(
    request: OAuthRequest,
  ): { form: URLSearchParams; clientId: string } | { failure: OAuthResponse } {
    if (request.method !== 'POST') return { failure: methodNotAllowed('POST') };
    const read = readForm(request);
    if ('failure' in read) return read;
    const clientId = parameter(read.form, 'client_id');
    if (clientId !== undefined && isKnownClient(clientId)) return { form: read.form, clientId };
    // 401 makes clients register again (RFC 6749 §5.2); there, a challenge follows an attempt with this header.
    const challenge = request.header('authorization') === undefined ? {} : { 'www-authenticate': 'Basic' };
    const description =
      clientId === undefined ? 'client_id is missing: clients are public here' : 'unknown client: register again';
    return { failure: errorResponse(401, 'invalid_client', description, challenge) };
  }

  function exchange(form: URLSearchParams, clientId: string, resource: string | undefined): TokenResult | RequestError {
    switch (parameter(form, 'grant_type')) {
      case 'authorization_code': {
        const redirectUri = parameter(form, 'redirect_uri');
        const codeVerifier = parameter(form, 'code_verifier');
        return grants.exchangeCode(form.get('code') ?? '', { clientId, redirectUri, codeVerifier, resource });
      }
      case 'refresh_token': {
        const scope = readScope(parameter(form, 'scope'));
        return grants.refresh(form.get('refresh_token') ?? '', { clientId, scope, resource });
      }
      case undefined:
        return 'invalid_request';
      default:
        return 'unsupported_grant_type';
    }
  }

  return {
    token(request) {
      const read = readClientForm(request);
      if ('failure' in read) return read.failure;
      const { form, clientId } = read;
      const resource = resources.find(parameter(form, 'resource'));
      const result = resource === false ? 'invalid_target' : exchange(form, clientId, resource);
      if (typeof result === 'string') return errorResponse(400, result, descriptions[result]);
      const { grantId, clientName, scope } = result;
      const isRenewed = form.get('grant_type') === 'refresh_token';
      onEvent({ kind: 'token_issued', clientName, grantId, scope, isRenewed });
      if (!isRenewed) onFirstToken(grantId, clientName);
      return jsonResponse(200, {
        access_token: result.accessToken,
        token_type: 'Bearer',
        expires_in: result.expiresInSeconds,
        refresh_token: result.refreshToken,
        scope,
      });
    },
    revoke(request) {
      const read = readClientForm(request);
      if ('failure' in read) return read.failure;
      const token = parameter(read.form, 'token');
      if (token === undefined) return errorResponse(400, 'invalid_request', 'token is missing');
      // An unknown token is revoked already (RFC 7009 §2.2).
      if (grants.revokeToken(token, read.clientId) !== 'of_other_client') return jsonResponse(200, {});
      return errorResponse(400, 'invalid_grant', 'the token was issued to another client');
    },
  };
}

const descriptions: Readonly<Record<Exclude<TokenResult, TokenSet> | RequestError, string>> = {
  invalid_grant: 'the code or token is unknown, expired, used or revoked, or it is for another client or request',
  invalid_target: 'resource is not the MCP endpoint that access was given to',
  invalid_request: 'grant_type is missing',
  unsupported_grant_type: 'grant_type must be authorization_code or refresh_token',
};
