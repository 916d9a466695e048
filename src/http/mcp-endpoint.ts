import type { Caller } from '../auth/caller.ts';
import type { Exchanges } from '../bridge/exchange/exchanges.ts';
import type { Sessions } from '../bridge/session/sessions.ts';
import { revisionHeader, sessionHeader } from '../mcp/headers.ts';
import { eraOf } from '../mcp/revisions.ts';
import type { BodyReader } from './body.ts';
import { findSession, type PolicyOf } from './find-session.ts';
import { serveGet } from './mcp-get.ts';
import type { McpParts } from './mcp-parts.ts';
import { servePost } from './mcp-post.ts';
import { valueOf, type HttpRequest, type HttpResponse } from './message.ts';
import { ActiveResponses, type ActiveResponsesOptions } from './responses/active-responses.ts';
import { answerEmpty, refuseDraining, refuseMethod } from './responses/json-response.ts';
import { createStreamIndex, type ResumptionOptions } from './responses/session-streams.ts';

export interface McpEndpointOptions extends ActiveResponsesOptions, ResumptionOptions {
  readonly sessions: Sessions;
  /** Serves modern clients (MCP 2026-07-28). Default: they are refused, with the revisions of sessions. */
  readonly exchanges?: Exchanges | undefined;
  /** What a caller may use in the sessions that it opens, and in exchanges. Default: everything. */
  readonly policyOf?: PolicyOf | undefined;
  /** Reads the bodies of requests; endpoints share one. */
  readonly bodies: BodyReader;
}

/** The Streamable HTTP transport: for sessions (MCP 2025-03-26 to 2025-11-25), and for exchanges (MCP 2026-07-28). */
export class McpEndpoint {
  readonly #parts: McpParts;

  constructor(options: McpEndpointOptions) {
    const { sessions, exchanges, bodies, policyOf } = options;
    const active = new ActiveResponses(options);
    this.#parts = { sessions, exchanges, bodies, policyOf, active, streamsOf: createStreamIndex(options) };
  }

  /** Serves a request whose caller has been admitted. */
  handle(request: HttpRequest, response: HttpResponse, caller: Caller): void {
    if (this.#parts.active.isDraining) refuseDraining(request, response);
    else if (request.method === 'POST') servePost(this.#parts, request, response, caller);
    else if (isModern(this.#parts, request, caller)) refuseMethod(request, response, 'POST');
    else if (request.method === 'GET') serveGet(this.#parts, request, response, caller);
    else if (request.method === 'DELETE') serveDelete(this.#parts, request, response, caller);
    else refuseMethod(request, response, 'GET, POST, DELETE');
  }

  /** Refuses new requests from now on. Resolves when no request is waiting for its response. */
  drain(): Promise<void> {
    return this.#parts.active.drain();
  }

  close(): void {
    this.#parts.active.close();
  }
}

function serveDelete({ sessions }: McpParts, request: HttpRequest, response: HttpResponse, caller: Caller): void {
  const session = findSession(sessions, request, response, caller);
  if (session === undefined) return;
  // Before the session is closed, since ending a process takes some milliseconds.
  answerEmpty(response, 204);
  void session.close();
}

/**
 * Whether a request without a body is of no session: modern clients only POST (MCP 2026-07-28, Streamable HTTP, "Earlier
 * Streamable HTTP Revisions").
 */
function isModern({ exchanges, sessions }: McpParts, request: HttpRequest, caller: Caller): boolean {
  if (exchanges === undefined) return false;
  const sessionId = valueOf(request, sessionHeader);
  if (sessionId === undefined) return true;
  const revision = valueOf(request, revisionHeader);
  if (revision === undefined || eraOf(revision) === 'legacy') return false;
  return sessions.find(sessionId, caller.id)?.revision !== revision;
}
