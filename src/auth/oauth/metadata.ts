import type { Resources } from './resources.ts';
import { scopes } from './scopes.ts';

const prefix = '/.well-known/';

/** Whether a path is that of a metadata document, at the root or below an endpoint. */
export function isWellKnownPath(path: string): boolean {
  return path.includes(prefix);
}

/**
 * The metadata document at a path below the issuer. Clients look for both at the root, with the path of the endpoint
 * inserted (RFC 8414 §3.1, RFC 9728 §3.1), and some with it in front.
 */
export function metadataAt(path: string, issuer: string, resources: Resources): unknown {
  const [before = '', after = '', ...further] = path.split(prefix);
  const [, name, inserted = ''] = /^([^/]*)(\/.*)?$/.exec(after) ?? [];
  if (further.length > 0 || (before !== '' && inserted !== '')) return undefined;
  const endpoint = before + inserted;
  const resource = endpoint === '' ? resources.first : resources.at(endpoint);
  if (resource === undefined) return undefined;
  if (name === 'oauth-protected-resource') return protectedResource(issuer, resource);
  // Not `openid-configuration`: there are no ID tokens.
  return name === 'oauth-authorization-server' ? authorizationServer(issuer) : undefined;
}

/** URL of the document of an endpoint (RFC 9728 §3.1), for its challenge. */
export function protectedResourceUrl(issuer: string, resource: string | undefined): string {
  const below =
    resource === undefined ? '' : new URL(resource).pathname.slice(new URL(`${issuer}/`).pathname.length - 1);
  return `${issuer}${prefix}oauth-protected-resource${below}`;
}

/** RFC 9728 §2. */
function protectedResource(issuer: string, resource: string): unknown {
  return {
    resource,
    authorization_servers: [issuer],
    scopes_supported: scopes,
    bearer_methods_supported: ['header'],
  };
}

/** RFC 8414 §2, with RFC 9207 §3 and draft-ietf-oauth-client-id-metadata-document §5. */
function authorizationServer(issuer: string): unknown {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    registration_endpoint: `${issuer}/register`,
    revocation_endpoint: `${issuer}/revoke`,
    scopes_supported: scopes,
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    // Clients look for `none` before they use a metadata document.
    token_endpoint_auth_methods_supported: ['none'],
    revocation_endpoint_auth_methods_supported: ['none'],
    // Clients must refuse a server without it (MCP 2025-11-25, Authorization Code Protection).
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
    client_id_metadata_document_supported: true,
  };
}
