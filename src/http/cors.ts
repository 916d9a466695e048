import { answerEmpty } from './responses/json-response.ts';
import { valueOf, type HttpRequest, type HttpResponse } from './message.ts';

/** Request headers of MCP's Streamable HTTP transport that a browser asks for (2025-11-25). */
const ownHeaders = [
  'Authorization',
  'Content-Type',
  'Accept',
  'Last-Event-ID',
  'Mcp-Session-Id',
  'MCP-Protocol-Version',
];

/** Credentials for somebody else, which no script of another origin has any reason to send here. */
const foreignCredentials: ReadonlySet<string> = new Set(['cookie', 'cookie2', 'set-cookie', 'proxy-authorization']);

/** As many further header names are allowed at a time; clients send a handful (tracing, pages to skip, of a gateway). */
const maxFurtherHeaders = 64;

/** A field name (RFC 9110 §5.1) of a length that somebody uses. */
const headerName = /^[\w!#$%&'*+.^`|~-]{1,128}$/;

/** Response headers that a script may read, beside those that every script may. */
const exposedHeaders = 'Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After';

/** How long a browser may remember the answer to a preflight, in seconds. */
const maxAge = '600';

export interface Cors {
  /**
   * Lets a script of an allowed origin read the answer to its request.
   * @returns whether the request was a preflight, which has been answered: it comes without a credential (Fetch §3.3.2).
   */
  apply(request: HttpRequest, response: HttpResponse): boolean;
}

/**
 * The CORS protocol (WHATWG Fetch §3.3) for exactly the origins that are allowed. Requests of others are answered as if
 * there were none: their scripts cannot read the answer, and the guard refuses them anyway.
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
      // A public page that calls a private address (Private Network Access).
      if (request.headers['access-control-request-private-network'] === 'true') {
        response.setHeader('access-control-allow-private-network', 'true');
      }
      answerEmpty(response, 204);
      return true;
    },
  };
}

/**
 * What a script may send: our own headers, and whatever else it asks for, since the token is what protects the server, and
 * no header but ours is looked at. `*` would not do: it leaves out Authorization.
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
