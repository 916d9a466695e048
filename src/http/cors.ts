import { answerEmpty } from './json-answer.ts';
import { valueOf, type HttpRequest, type HttpResponse } from './message.ts';

/** Request headers of MCP's Streamable HTTP transport that a browser asks for (2025-11-25). */
const allowedHeaders = 'Authorization, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version';

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
 * The CORS protocol (WHATWG Fetch §3.3) for exactly these origins. Requests of others are answered as if there were
 * none: their scripts cannot read the answer, and the guard refuses them anyway.
 */
export function createCors(origins: readonly string[]): Cors {
  const allowed = new Set(origins);
  return {
    apply(request, response) {
      const origin = valueOf(request, 'origin');
      if (origin === undefined || !allowed.has(origin)) return false;
      response.setHeader('access-control-allow-origin', origin);
      response.setHeader('vary', 'Origin');
      if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) {
        response.setHeader('access-control-expose-headers', exposedHeaders);
        return false;
      }
      response.setHeader('access-control-allow-methods', 'GET, POST, DELETE');
      response.setHeader('access-control-allow-headers', allowedHeaders);
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
