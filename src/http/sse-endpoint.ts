import { randomBytes } from 'node:crypto';

import type { Caller } from '../auth/caller.ts';
import type { Sessions } from '../bridge/session/sessions.ts';
import { accepts } from '../mcp/headers.ts';
import { rpcCode } from '../mcp/json-rpc.ts';
import { eventStreamType } from '../mcp/sse.ts';
import type { BodyReader } from './body.ts';
import type { PolicyOf } from './find-session.ts';
import type { HttpRequest, HttpResponse } from './message.ts';
import { readPost } from './post-body.ts';
import { ActiveResponses, type ActiveResponsesOptions } from './responses/active-responses.ts';
import { EventStream } from './responses/event-stream.ts';
import { refuse, refuseAccept, refuseDraining, refuseMethod } from './responses/json-response.ts';
import { SseConnection } from './sse-connection.ts';

/** 128 bits, so that the id cannot be guessed: with it and the credential, anyone can write to the connection. */
const idBytes = 16;

/** Connections without a session; when there are more, the oldest is ended. */
const defaultMaxWaiting = 64;

export interface SseEndpointOptions extends ActiveResponsesOptions {
  readonly sessions: Sessions;
  /** As in `McpEndpointOptions`. */
  readonly policyOf?: PolicyOf | undefined;
  /** Reads the bodies of requests; endpoints share one. */
  readonly bodies: BodyReader;
  /** With which the ids of the connections begin. */
  readonly idPrefix?: string | undefined;
  /** How long a connection may be open without `initialize`, in milliseconds. */
  readonly startTimeoutMs: number;
  /** Default 64. */
  readonly maxWaiting?: number | undefined;
}

/**
 * The older transport, for clients that support no other (MCP 2024-11-05, "HTTP with SSE"): the responses to POSTed
 * requests come on one stream, and the session ends with it.
 */
export class SseEndpoint {
  readonly #options: SseEndpointOptions;
  readonly #active: ActiveResponses;
  readonly #connections = new Map<string, SseConnection>();
  /** Connections without a session, the oldest first. */
  readonly #waiting = new Set<EventStream>();

  constructor(options: SseEndpointOptions) {
    this.#options = options;
    this.#active = new ActiveResponses(options);
  }

  /** Serves GET /sse for a caller who has been admitted. */
  handle(request: HttpRequest, response: HttpResponse, caller: Caller): void {
    if (this.#active.isDraining) refuseDraining(request, response);
    else if (request.method !== 'GET') refuseMethod(request, response, 'GET');
    else if (accepts(request.headers.accept, eventStreamType)) this.#connect(request, response, caller);
    else refuseAccept(request, response, eventStreamType);
  }

  /** Serves POST /messages?sessionId=… for a caller who has been admitted. */
  handleMessage(request: HttpRequest, response: HttpResponse, caller: Caller): void {
    if (this.#active.isDraining) refuseDraining(request, response);
    else if (request.method === 'POST') this.#post(request, response, caller);
    else refuseMethod(request, response, 'POST');
  }

  /** Refuses new requests from now on. Resolves when no request is waiting for its response. */
  drain(): Promise<void> {
    return this.#active.drain();
  }

  /** Ends the connections of a caller whose credential ended; those with a session end with it. */
  endCaller(callerId: string): void {
    for (const connection of this.#connections.values()) connection.endFor(callerId);
  }

  close(): void {
    this.#active.close();
  }

  #connect(request: HttpRequest, response: HttpResponse, caller: Caller): void {
    const id = (this.#options.idPrefix ?? '') + randomBytes(idBytes).toString('base64url');
    const path = `${siblingOf(request.url ?? '')}messages?sessionId=${id}`;
    const { sessions, policyOf, startTimeoutMs, maxWaiting = defaultMaxWaiting } = this.#options;
    const events = new EventStream(response);
    const active = this.#active;
    const onSession = (): unknown => this.#waiting.delete(events);
    const connection = new SseConnection({
      caller,
      events,
      path,
      sessions,
      policyOf,
      active,
      startTimeoutMs,
      onSession,
    });
    active.listen(events);
    this.#connections.set(id, connection);
    this.#waiting.add(events);
    for (const oldest of this.#waiting) {
      if (this.#waiting.size <= maxWaiting) break;
      this.#waiting.delete(oldest);
      oldest.end();
    }
    events.whenClosed(() => {
      this.#connections.delete(id);
      this.#waiting.delete(events);
    });
  }

  #post(request: HttpRequest, response: HttpResponse, caller: Caller): void {
    const known = this.#find(request, response, caller);
    if (known === undefined) return;
    const options = { bodies: this.#options.bodies, active: this.#active, session: known.session };
    readPost(request, response, options, (message) => {
      // The connection may have ended while the body was read.
      this.#find(request, response, caller)?.receive(request, response, message);
    });
  }

  /** The connection that the request names, or undefined if the request has been refused. */
  #find(request: HttpRequest, response: HttpResponse, caller: Caller): SseConnection | undefined {
    const url = request.url ?? '';
    const query = url.indexOf('?');
    const id = query === -1 ? null : new URLSearchParams(url.slice(query)).get('sessionId');
    const connection = id === null ? undefined : this.#connections.get(id);
    if (connection?.isOpenFor(caller) === true) return connection;
    const message = 'unknown connection, it may have ended: connect to /sse again';
    refuse(request, response, { status: 404, code: rpcCode.sessionNotFound, message });
    return undefined;
  }
}

/**
 * The beginning of a relative reference (RFC 3986 §5.2) from this URL to one beside it, as from `/sse` to `/messages`.
 * Only the client knows the host that it used, and the path prefix that a proxy may have removed.
 */
function siblingOf(url: string): string {
  const [path = ''] = url.split('?', 1);
  const slashes = /\/*$/.exec(path)?.[0].length ?? 0;
  return '../'.repeat(slashes);
}
