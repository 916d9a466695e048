import { randomBytes } from 'node:crypto';

import type { Caller } from '../auth/guard.ts';
import type { PendingRequest } from '../bridge/session/pending-request.ts';
import type { Session } from '../bridge/session/session.ts';
import type { Sessions } from '../bridge/session/sessions.ts';
import { classify } from '../mcp/classify.ts';
import { accepts, revisionHeader } from '../mcp/headers.ts';
import { rpcCode, type RpcBatch, type RpcMessage, type RpcRequest } from '../mcp/json-rpc.ts';
import { encodeEndpoint, eventStreamType } from '../mcp/sse.ts';
import type { BodyReader } from './body.ts';
import { createEventStream, type EventStream } from './responses/event-stream.ts';
import { refuse } from './responses/json-response.ts';
import type { RequestReport } from './mcp-endpoint.ts';
import { valueOf, type HttpRequest, type HttpResponse } from './message.ts';
import { createMessageStream, type MessageStream } from './responses/message-stream.ts';
import { readPost, refuseDraining, refuseMessage, refuseSession } from './post-body.ts';
import type { KeepAliveTimer } from './responses/keep-alive-timer.ts';
import { createStreamCall } from './responses/call-stream.ts';

/** 128 bits, so that the id cannot be guessed: whoever has it (and the credential) can write into the connection. */
const idBytes = 16;

/** Connections that have not opened a session; the oldest is ended when there are more. */
const defaultMaxWaiting = 64;

const accepted = Buffer.from('Accepted');

export interface SseEndpointOptions {
  readonly sessions: Sessions;
  /** Reads the bodies of requests; several endpoints share one. */
  readonly bodies: BodyReader;
  readonly keepAliveTimer: KeepAliveTimer;
  /** How long a connection may be open without `initialize`, in milliseconds. */
  readonly startTimeoutMs: number;
  /** As in `McpEndpointOptions`. */
  readonly onRequest?: ((report: RequestReport) => void) | undefined;
  /** Default 64. */
  readonly maxWaiting?: number | undefined;
}

export interface SseEndpoint {
  /** Serves GET /sse for a caller who has been admitted. */
  handle(request: HttpRequest, response: HttpResponse, caller: Caller): void;
  /** Serves POST /messages?sessionId=… for a caller who has been admitted. */
  handleMessage(request: HttpRequest, response: HttpResponse, caller: Caller): void;
  /** Takes no more requests; resolves when none is waiting for its response. */
  drain(): Promise<void>;
  close(): void;
}

/** One client: an event stream that everything goes down, and the session that its `initialize` has opened. */
interface Connection {
  readonly id: string;
  readonly callerId: string;
  /** As `Caller.address`. */
  readonly address: string | undefined;
  readonly events: EventStream;
  readonly stream: MessageStream;
  session: Session | undefined;
  /** Ends it when no session is opened. */
  startTimeout: NodeJS.Timeout;
}

/**
 * The older transport, for clients that know no other (MCP 2024-11-05, "HTTP with SSE"): the answers to what is POSTed
 * come on one stream, and the session ends with it.
 */
export function createSseEndpoint(options: SseEndpointOptions): SseEndpoint {
  const { sessions, bodies, startTimeoutMs, onRequest, keepAliveTimer, maxWaiting = defaultMaxWaiting } = options;
  const connections = new Map<string, Connection>();
  /** Those without a session, the oldest first. */
  const waiting = new Set<Connection>();
  let calls = 0;
  let draining = false;
  let onDrained: (() => void) | undefined;
  const isDraining = (): boolean => draining;

  const stopKeepingAlive = keepAliveTimer.onBeat((checksStalls) => {
    for (const { events } of connections.values()) events.keepAlive(checksStalls);
  });

  function connect(request: HttpRequest, response: HttpResponse, caller: Caller): void {
    const id = randomBytes(idBytes).toString('base64url');
    const events = createEventStream(response);
    const stream = createMessageStream();
    const connection: Connection = {
      id,
      callerId: caller.id,
      address: caller.address,
      events,
      stream,
      session: undefined,
      startTimeout: setTimeout(() => events.end(), startTimeoutMs).unref(),
    };
    connections.set(id, connection);
    waiting.add(connection);
    for (const oldest of waiting) {
      if (waiting.size <= maxWaiting) break;
      waiting.delete(oldest);
      oldest.events.end();
    }
    events.write(encodeEndpoint(`${siblingOf(request.url ?? '')}messages?sessionId=${id}`));
    stream.connect(events);
    events.whenClosed(() => {
      connections.delete(id);
      waiting.delete(connection);
      clearTimeout(connection.startTimeout);
      void connection.session?.close();
    });
  }

  function receive(request: HttpRequest, response: HttpResponse, caller: Caller): void {
    const known = find(request, response, caller);
    if (known === undefined) return;
    readPost(request, response, { bodies, isDraining, session: known.session }, (message) => {
      take(request, response, message, caller);
    });
  }

  function take(request: HttpRequest, response: HttpResponse, message: RpcMessage | RpcBatch, caller: Caller): void {
    // It may have ended while the body was on its way.
    const connection = find(request, response, caller);
    if (connection === undefined) return;
    if (message.kind === 'batch') {
      refuseMessage(request, response, { code: rpcCode.invalidRequest, reason: 'batches are not served here' });
      return;
    }
    const { session } = connection;
    const verdict = classify(message, valueOf(request, revisionHeader), session?.revision);
    if (verdict.kind === 'reject') {
      const { status, code, reason, data } = verdict;
      if (message.kind === 'request') refuseOnStream(response, connection, message, { code, message: reason, data });
      else refuse(request, response, { status, code, message: reason });
    } else if (verdict.kind === 'opening' && message.kind === 'request') {
      if (session === undefined) open(request, response, connection, message);
      else refuseOnStream(response, connection, message, initialized);
    } else if (session?.revision === undefined || sessions.find(session.id, caller.id) === undefined) {
      refuse(request, response, { status: 400, message: 'no session yet: send initialize first' });
    } else if (message.kind === 'request') {
      accept(response);
      const call = createCall(connection, message, () => {});
      const refusal = session.request(message, call);
      // Its id is not answered: it may be that of another call, still in flight.
      if (refusal === undefined) return;
      call.end();
      const { stream } = connection;
      createStreamCall({ stream, id: null, onOver() {} }).fail({ code: refusal.code, message: refusal.reason });
    } else {
      const refusal = session.forward(message);
      if (refusal === undefined) accept(response);
      else refuseMessage(request, response, refusal);
    }
  }

  function open(request: HttpRequest, response: HttpResponse, connection: Connection, initialize: RpcRequest): void {
    const { stream, events } = connection;
    clearTimeout(connection.startTimeout);
    let isAnswered = false;
    const call = createCall(connection, initialize, () => {
      isAnswered = true;
      const { session } = connection;
      if (session?.revision === undefined) {
        giveUp();
        return;
      }
      waiting.delete(connection);
      const { isOpen, whenClosed: whenGone, end } = events;
      session.listen({ isOpen, send: stream.send, whenWritable: stream.whenWritable, whenGone, end });
    });
    /** The client may try once more. */
    function giveUp(): void {
      connection.session = undefined;
      clearTimeout(connection.startTimeout);
      connection.startTimeout = setTimeout(() => events.end(), startTimeoutMs).unref();
    }
    const session = sessions.open(connection.callerId, initialize, call);
    if (session === undefined) {
      call.end();
      refuseSession(request, response, initialize.id);
      return;
    }
    accept(response);
    if (!isAnswered) connection.session = session;
  }

  function createCall({ stream, address }: Connection, { id, method }: RpcRequest, onOver: () => void): PendingRequest {
    const startedAt = onRequest === undefined ? 0 : performance.now();
    calls++;
    return createStreamCall({
      stream,
      id,
      onOver() {
        calls--;
        onRequest?.({ method, durationMs: performance.now() - startedAt, client: address });
        onOver();
        if (calls === 0) onDrained?.();
      },
    });
  }

  /** The connection that the request names, or undefined when the request has been refused. */
  function find(request: HttpRequest, response: HttpResponse, caller: Caller): Connection | undefined {
    const url = request.url ?? '';
    const query = url.indexOf('?');
    const id = query === -1 ? null : new URLSearchParams(url.slice(query)).get('sessionId');
    const connection = id === null ? undefined : connections.get(id);
    if (connection?.callerId === caller.id && connection.events.isOpen()) return connection;
    const message = 'unknown connection, it may have ended: connect to /sse again';
    refuse(request, response, { status: 404, code: rpcCode.sessionNotFound, message });
    return undefined;
  }

  return {
    handle(request, response, caller) {
      if (draining) {
        refuseDraining(request, response);
      } else if (request.method !== 'GET') {
        refuseMethod(request, response, 'GET');
      } else if (!accepts(request.headers.accept, eventStreamType)) {
        refuse(request, response, { status: 406, message: `the Accept header must admit ${eventStreamType}` });
      } else {
        connect(request, response, caller);
      }
    },
    handleMessage(request, response, caller) {
      if (draining) refuseDraining(request, response);
      else if (request.method === 'POST') receive(request, response, caller);
      else refuseMethod(request, response, 'POST');
    },
    drain() {
      draining = true;
      return calls === 0 ? Promise.resolve() : new Promise((resolve) => (onDrained = resolve));
    },
    close() {
      stopKeepingAlive();
      for (const { events } of connections.values()) events.end();
    },
  };
}

const initialized = { code: rpcCode.invalidRequest, message: 'the session is initialized already', data: undefined };

interface StreamRefusal {
  readonly code: number;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>> | undefined;
}

/** Refuses a request where its client looks for the answer: some stop for good when a POST is refused. */
function refuseOnStream(
  response: HttpResponse,
  { stream }: Connection,
  { id }: RpcRequest,
  { code, message, data }: StreamRefusal,
): void {
  accept(response);
  const failure = { code, message, ...(data === undefined ? {} : { data }) };
  createStreamCall({ stream, id, onOver() {} }).fail(failure);
}

/**
 * What leads from a URL with this path to another one beside it (RFC 3986 §5.2), as in `/sse` and `/messages`. Only the
 * client knows what host it has used, and what path a proxy in between has cut off in front.
 */
function siblingOf(url: string): string {
  const [path = ''] = url.split('?', 1);
  const slashes = /\/*$/.exec(path)?.[0].length ?? 0;
  return '../'.repeat(slashes);
}

function accept(response: HttpResponse): void {
  response.writeHead(202, { 'content-type': 'text/plain', 'content-length': accepted.length });
  response.end(accepted);
}

function refuseMethod(request: HttpRequest, response: HttpResponse, allow: string): void {
  const message = `the method ${request.method} is not served here`;
  refuse(request, response, { status: 405, message, headers: { allow } });
}
