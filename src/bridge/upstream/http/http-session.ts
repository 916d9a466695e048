import type { Bytes } from '../../../platform/bytes.ts';
import { revisionHeader, sessionHeader } from '../../../mcp/headers.ts';
import { eventStreamType } from '../../../mcp/sse.ts';
import type { HttpCall, HttpResponse } from '../../../platform/net/http-client.ts';
import type { UpstreamClient, UpstreamExchange } from './upstream-client.ts';

/** First revision whose clients name it in a header (MCP 2025-06-18, Protocol Version Header). */
const firstRevisionInHeader = '2025-06-18';

/** What a session id may consist of (MCP 2025-11-25, Session Management), and no more than a header should hold. */
const sessionIdPattern = /^[\x21-\x7e]{1,4096}$/;

/** The requests of one session of the Streamable HTTP transport, with the headers that each has to have. */
export interface HttpSession {
  readonly id: string | undefined;
  /** Takes the session id of the response to `initialize`. False when it is one that cannot be sent back. */
  adopt(response: HttpResponse): boolean;
  /** The revision that both sides agreed on. */
  agree(revision: string): void;
  post(body: Bytes, options: Pick<HttpCall, 'headTimeoutMs' | 'onSent'>): UpstreamExchange;
  /** Opens the general stream, or goes on with the stream that `lastEventId` is of. */
  get(lastEventId: string | undefined, headTimeoutMs?: number): UpstreamExchange;
  /** Ends the session. */
  remove(headTimeoutMs: number): UpstreamExchange;
}

export function createHttpSession(client: UpstreamClient, first: URL): HttpSession {
  let url = first;
  let id: string | undefined;
  let revision: string | undefined;

  function headers(): Record<string, string> {
    return {
      ...(id === undefined ? {} : { [sessionHeader]: id }),
      ...(revision === undefined || revision < firstRevisionInHeader ? {} : { [revisionHeader]: revision }),
    };
  }

  return {
    get id() {
      return id;
    },
    adopt(opening) {
      // A session stays where it was opened: asking the way again would double every request.
      url = opening.url;
      const given = opening.response.headers[sessionHeader];
      if (given === undefined) return true;
      if (typeof given !== 'string' || !sessionIdPattern.test(given)) return false;
      id = given;
      return true;
    },
    agree(agreed) {
      // It goes into a header.
      revision = /^\d{4}-\d{2}-\d{2}$/.test(agreed) ? agreed : undefined;
    },
    post: (body, options) =>
      client.send({
        ...options,
        method: 'POST',
        url,
        body,
        headers: {
          ...headers(),
          'Content-Type': 'application/json',
          Accept: `application/json, ${eventStreamType}`,
        },
      }),
    get: (lastEventId, headTimeoutMs) =>
      client.send({
        method: 'GET',
        url,
        headers: {
          ...headers(),
          Accept: eventStreamType,
          // UTF-8 (WHATWG HTML §9.2.4), in the notation of Node, whose headers are bytes.
          ...(lastEventId === undefined ? {} : { 'Last-Event-ID': Buffer.from(lastEventId).toString('latin1') }),
        },
        ...(headTimeoutMs === undefined ? {} : { headTimeoutMs }),
      }),
    remove: (headTimeoutMs) => client.send({ method: 'DELETE', url, headers: headers(), headTimeoutMs }),
  };
}
