import type { Caller } from '../auth/caller.ts';
import type { Sessions } from '../bridge/session/sessions.ts';
import type { BodyReader } from './body.ts';
import { findSession, type PolicyOf } from './find-session.ts';
import { serveGet, type McpParts } from './mcp-get.ts';
import { servePost } from './mcp-post.ts';
import type { HttpRequest, HttpResponse } from './message.ts';
import { ActiveResponses, type ActiveResponsesOptions } from './responses/active-responses.ts';
import { answerEmpty, refuseDraining, refuseMethod } from './responses/json-response.ts';
import { createStreamIndex, type ResumptionOptions } from './responses/session-streams.ts';

export interface McpEndpointOptions extends ActiveResponsesOptions, ResumptionOptions {
  readonly sessions: Sessions;
  /** What a caller may use in the sessions that it opens. Default: everything. */
  readonly policyOf?: PolicyOf | undefined;
  /** Reads the bodies of requests; endpoints share one. */
  readonly bodies: BodyReader;
}

/** The Streamable HTTP transport for sessions (MCP 2025-03-26 to 2025-11-25, "Streamable HTTP"). */
export class McpEndpoint {
  readonly #parts: McpParts;

  constructor(options: McpEndpointOptions) {
    const { sessions, bodies, policyOf } = options;
    const active = new ActiveResponses(options);
    this.#parts = { sessions, bodies, policyOf, active, streamsOf: createStreamIndex(options) };
  }

  /** Serves a request whose caller has been admitted. */
  handle(request: HttpRequest, response: HttpResponse, caller: Caller): void {
    if (this.#parts.active.isDraining) refuseDraining(request, response);
    else if (request.method === 'POST') servePost(this.#parts, request, response, caller);
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
