import { answerEmpty } from './responses/json-response.ts';
import { valueOf, type HttpRequest, type HttpResponse } from './message.ts';

/**
 * Request headers of MCP's Streamable HTTP transport (2025-11-25 and 2026-07-28) that need permission in a browser; those of tools,
 * `Mcp-Param-*`, are allowed as they are asked for.
 */
const ownHeaders = [
  'Authorization',
  'Content-Type',
  'Accept',
  'Last-Event-ID',
  'Mcp-Session-Id',
  'MCP-Protocol-Version',
  'Mcp-Method',
  'Mcp-Name',
];

/** Credentials for other servers, which a script of another origin has no reason to send here. */
const foreignCredentials: ReadonlySet<string> = new Set(['cookie', 'cookie2', 'set-cookie', 'proxy-authorization']);

/** How many other header names are allowed per request; clients send a few (tracing, a gateway's own headers). */
const maxFurtherHeaders = 64;

/** A field name (RFC 9110 §5.1) of realistic length. */
const headerName = /^[\w!#$%&'*+.^`|~-]{1,128}$/;

/** Response headers that a script may read, in addition to the CORS-safelisted ones. */
const exposedHeaders = 'Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After';

/** How long a browser may cache the response to a preflight, in seconds. */
const maxAge = '600';

export interface Cors {
  /**
   * Lets a script of an allowed origin read the response to its request.
   * @returns whether the request was a preflight, which has been answered: it has no credential (Fetch §3.3.2).
   */
  apply(request: HttpRequest, response: HttpResponse): boolean;
}

/**
 * The CORS protocol (WHATWG Fetch §3.3) for the allowed origins only. Requests of other origins get no CORS headers:
 * their scripts cannot read the response, and the guard refuses them anyway.
 */
export function createCors(allowsOrigin: (origin: string) => boolean): Cors {
  return {
    apply(request, response) {
      const origin = valueOf(request, 'origin');
      if (origin === undefined || !allowsOrigin(origin)) return false;
      response.setHeader('access-control-allow-origin', origin);
      response.setHeader('vary', 'Origin');
      if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) {
        response.setHeader('access-control-expose-headers', exposedHeaders);
        return false;
      }
      response.setHeader('access-control-allow-methods', 'GET, POST, DELETE');
      response.setHeader('access-control-allow-headers', allowedHeaders(request));
      response.setHeader('access-control-max-age', maxAge);
      // A public page calls a private address (Private Network Access).
      if (request.headers['access-control-request-private-network'] === 'true') {
        response.setHeader('access-control-allow-private-network', 'true');
      }
      answerEmpty(response, 204);
      return true;
    },
  };
}

/**
 * The headers that a script may send: those of MCP, and any other that it asks for, since the token protects the server
 * and other headers are ignored. `*` is not enough: it does not include Authorization.
 */
function allowedHeaders(request: HttpRequest): string {
  const names = new Map(ownHeaders.map((name) => [name.toLowerCase(), name]));
  for (const part of (valueOf(request, 'access-control-request-headers') ?? '').split(',')) {
    const name = part.trim();
    const key = name.toLowerCase();
    if (names.size >= ownHeaders.length + maxFurtherHeaders) break;
    if (headerName.test(name) && !names.has(key) && !foreignCredentials.has(key)) names.set(key, name);
  }
  return [...names.values()].join(', ');
}
