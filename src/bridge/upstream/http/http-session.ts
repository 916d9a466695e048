import type { Bytes } from '../../../platform/bytes.ts';
import type { Clock } from '../../../platform/clock.ts';
import { revisionHeader, sessionHeader } from '../../../mcp/headers.ts';
import { eventStreamType } from '../../../mcp/sse.ts';
import type { HttpResponse } from '../../../platform/net/http-client.ts';
import type { StreamContext } from './follow-event-stream.ts';
import type { PostOptions, UpstreamClient, UpstreamExchange } from './upstream-client.ts';

/** First revision whose clients send it in a header (MCP 2025-06-18, Protocol Version Header). */
const firstRevisionInHeader = '2025-06-18';

/** Valid session ids (MCP 2025-11-25, Session Management), up to a length that fits into a header. */
const sessionIdPattern = /^[\x21-\x7e]{1,4096}$/;

export interface SessionStreamContext extends StreamContext {
  readonly session: Pick<HttpSession, 'id' | 'get'>;
  readonly clock: Clock;
  readonly onSessionLost: () => void;
}

/** The requests of one Streamable HTTP session, with the headers that each needs. */
export class HttpSession {
  readonly #client: UpstreamClient;
  #url: URL;
  #id: string | undefined;
  #revision: string | undefined;

  constructor(client: UpstreamClient, url: URL) {
    this.#client = client;
    this.#url = url;
  }

  get id(): string | undefined {
    return this.#id;
  }

  /** Takes the session id from the response to `initialize`. False if the id cannot be sent in a header. */
  adopt({ url, response }: HttpResponse): boolean {
    // After a redirect, the session uses the new URL: following it again would double every request.
    this.#url = url;
    const id = response.headers[sessionHeader];
    if (id === undefined) return true;
    if (typeof id !== 'string' || !sessionIdPattern.test(id)) return false;
    this.#id = id;
    return true;
  }

  /** Sets the negotiated revision, which is sent in a header. */
  agree(revision: string): void {
    this.#revision = /^\d{4}-\d{2}-\d{2}$/.test(revision) ? revision : undefined;
  }

  post(body: Bytes, options: PostOptions): UpstreamExchange {
    const own = { 'Content-Type': 'application/json', Accept: `application/json, ${eventStreamType}` };
    return this.#client.send({ ...options, method: 'POST', url: this.#url, body, headers: this.#headers(own) });
  }

  /** Opens the standalone stream, or resumes the stream with the event `lastEventId`. */
  get(lastEventId: string | undefined): UpstreamExchange {
    // UTF-8 (WHATWG HTML §9.2.4); Node writes header values as latin1.
    const resumed = lastEventId === undefined ? {} : { 'Last-Event-ID': Buffer.from(lastEventId).toString('latin1') };
    const headers = this.#headers({ Accept: eventStreamType, ...resumed });
    return this.#client.send({ method: 'GET', url: this.#url, headers });
  }

  remove(headTimeoutMs: number): UpstreamExchange {
    return this.#client.send({ method: 'DELETE', url: this.#url, headers: this.#headers({}), headTimeoutMs });
  }

  #headers(own: Readonly<Record<string, string>>): Record<string, string> {
    const revision = this.#revision;
    return {
      ...(this.#id === undefined ? {} : { [sessionHeader]: this.#id }),
      ...(revision === undefined || revision < firstRevisionInHeader ? {} : { [revisionHeader]: revision }),
      ...own,
    };
  }
}
