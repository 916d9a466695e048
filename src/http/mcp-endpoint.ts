import type { OutgoingHttpHeaders } from 'node:http';

import type { Caller } from '../auth/guard.ts';
import type { Session } from '../bridge/session/session.ts';
import type { Sessions } from '../bridge/session/sessions.ts';
import { classify } from '../mcp/classify.ts';
import { accepts, answerForm, revisionHeader, sessionHeader, type AnswerForm } from '../mcp/headers.ts';
import { rpcCode, type RpcBatch, type RequestId, type RpcMessage, type RpcRequest } from '../mcp/json-rpc.ts';
import { batchRevision, legacyRevisions, primingRevision } from '../mcp/revisions.ts';
import { eventStreamType } from '../mcp/sse.ts';
import { createBatchResponse } from './responses/batch-response.ts';
import type { BodyReader } from './body.ts';
import { createEventStore, type EventStore } from './responses/event-store.ts';
import { createEventStream, type EventStream } from './responses/event-stream.ts';
import { answerEmpty, refuse } from './responses/json-response.ts';
import { createActiveResponses, type ActiveResponse } from './responses/active-responses.ts';
import { valueOf, type HttpRequest, type HttpResponse } from './message.ts';
import type { MessageStream } from './responses/message-stream.ts';
import { readPost, refuseDraining, refuseMessage, refuseSession } from './post-body.ts';
import type { KeepAliveTimer } from './responses/keep-alive-timer.ts';
import {
  createPostResponse,
  type AnswerBegin,
  type PostResponse,
  type PostResponseOptions,
} from './responses/post-response.ts';
import { createSessionStreams, type SessionStreams } from './responses/session-streams.ts';

/** What clients are told to wait before they come back for the rest of a stream, in milliseconds. */
const defaultRetryMs = 1000;

/** How long they are expected to come back, in milliseconds: a few of their tries. */
const defaultGraceMs = 5000;

/** A request that is over, for whoever wants to watch. */
export interface RequestReport {
  readonly method: string;
  readonly durationMs: number;
  /** As `Caller.address`. */
  readonly client: string | undefined;
}

export interface McpEndpointOptions {
  readonly sessions: Sessions;
  /** Reads the bodies of requests; several endpoints share one. */
  readonly bodies: BodyReader;
  readonly keepAliveTimer: KeepAliveTimer;
  /** Called after each request. Leave it out where nobody watches: it costs on every call. */
  readonly onRequest?: ((report: RequestReport) => void) | undefined;
  /** Where sent events are kept; several endpoints can share one. Default: a store of its own. */
  readonly eventStore?: EventStore | undefined;
  /** Default 1000. */
  readonly retryMs?: number | undefined;
  /** Default 5000. */
  readonly graceMs?: number | undefined;
}

export interface McpEndpoint {
  /** Serves a request whose caller has been admitted. */
  handle(request: HttpRequest, response: HttpResponse, caller: Caller): void;
  /** Takes no more requests; resolves when none is waiting for its response. */
  drain(): Promise<void>;
  close(): void;
}

/** The Streamable HTTP transport for sessions (MCP 2025-03-26 to 2025-11-25, "Streamable HTTP"). */
export function createMcpEndpoint(options: McpEndpointOptions): McpEndpoint {
  const { sessions, bodies, onRequest, keepAliveTimer, eventStore = createEventStore() } = options;
  const { retryMs = defaultRetryMs, graceMs = defaultGraceMs } = options;
  /** Answers that requests wait for. */
  const replies = createActiveResponses<ActiveResponse>();
  /** Connections of clients that listen. */
  const listening = new Set<EventStream>();
  const streams = new WeakMap<Session, SessionStreams>();
  let draining = false;
  let onDrained: (() => void) | undefined;

  const stopKeepingAlive = keepAliveTimer.onBeat((checksStalls) => {
    for (const reply of replies) reply.keepAlive(checksStalls);
    for (const connection of listening) connection.keepAlive(checksStalls);
  });
  const isDraining = (): boolean => draining;

  function post(request: HttpRequest, response: HttpResponse, caller: Caller): void {
    const form = answerForm(request.headers.accept);
    if (form === undefined) {
      const message = `the Accept header must admit application/json or ${eventStreamType}`;
      refuse(request, response, { status: 406, message });
      return;
    }
    const sessionId = valueOf(request, sessionHeader);
    const session = sessionId === undefined ? undefined : sessions.find(sessionId, caller.id);
    readPost(request, response, { bodies, isDraining, session }, (message) => {
      if (message.kind === 'batch') postBatch(request, response, message, caller, form);
      else postMessage(request, response, message, caller, form, session?.revision);
    });
  }

  function postMessage(
    request: HttpRequest,
    response: HttpResponse,
    message: RpcMessage,
    caller: Caller,
    form: AnswerForm,
    agreed: string | undefined,
  ): void {
    const id = message.kind === 'request' ? message.id : null;
    const revision = valueOf(request, revisionHeader);
    const verdict = classify(message, revision, agreed);
    if (verdict.kind === 'reject') {
      const { status, code, reason, data } = verdict;
      refuse(request, response, { status, code, message: reason, id, ...(data === undefined ? {} : { data }) });
    } else if (
      verdict.kind === 'opening' &&
      message.kind === 'request' &&
      valueOf(request, sessionHeader) === undefined
    ) {
      openSession(request, response, message, caller, form);
    } else {
      const session = findSession(request, response, caller, id);
      if (session === undefined) return;
      if (verdict.kind === 'opening') {
        refuseMessage(request, response, {
          code: rpcCode.invalidRequest,
          reason: 'the session is initialized already: send initialize without Mcp-Session-Id to begin another one',
        });
      } else if (message.kind === 'request') {
        const reply = createCall(response, message, caller, { form, openStream: () => streamsOf(session).openReply() });
        const refusal = session.request(message, reply);
        if (refusal === undefined) return;
        reply.discard();
        refuseMessage(request, response, refusal);
      } else {
        const refusal = session.forward(message);
        if (refusal !== undefined) refuseMessage(request, response, refusal);
        else answerEmpty(response, 202);
      }
    }
  }

  function postBatch(
    request: HttpRequest,
    response: HttpResponse,
    { messages }: RpcBatch,
    caller: Caller,
    form: AnswerForm,
  ): void {
    const session = findSession(request, response, caller);
    if (session === undefined) return;
    if (session.revision !== batchRevision) {
      const reason = `only sessions of revision ${batchRevision} can send batches, this one is of ${session.revision}`;
      refuseMessage(request, response, { code: rpcCode.invalidRequest, reason });
      return;
    }
    if (messages.some((message) => classify(message, undefined, undefined).kind !== 'session')) {
      const reason = 'initialize, and requests of other revisions, cannot be part of a batch';
      refuseMessage(request, response, { code: rpcCode.invalidRequest, reason });
      return;
    }
    const requests = messages.filter((message) => message.kind === 'request').length;
    if (requests === 0) {
      for (const message of messages) if (message.kind !== 'request') session.forward(message);
      answerEmpty(response, 202);
      return;
    }
    const stream = form === 'json' ? undefined : streamsOf(session).openReply();
    const reply = createBatchResponse({ response, stream, requests, onDone: () => over(reply) });
    replies.add(reply);
    for (const message of messages) {
      if (message.kind !== 'request') {
        session.forward(message);
        continue;
      }
      const refusal = session.request(message, reply.callFor(message.id));
      if (refusal !== undefined) reply.callFor(null).fail({ code: refusal.code, message: refusal.reason });
    }
  }

  function over(reply: ActiveResponse): void {
    replies.remove(reply);
    if (replies.size === 0) onDrained?.();
  }

  function openSession(
    request: HttpRequest,
    response: HttpResponse,
    initialize: RpcRequest,
    caller: Caller,
    form: AnswerForm,
  ): void {
    const opened: { session?: Session | undefined } = {};
    // Where the answer begins before the server has spoken, it is too late for the header afterwards.
    const headersAt = (begin: AnswerBegin): OutgoingHttpHeaders => {
      const { session } = opened;
      const isOpen = begin === 'early' || session?.revision !== undefined;
      return session !== undefined && isOpen ? { [sessionHeader]: session.id } : {};
    };
    const reply = createCall(response, initialize, caller, { form, headersAt });
    opened.session = sessions.open(caller.id, initialize, reply);
    if (opened.session !== undefined) return;
    reply.discard();
    refuseSession(request, response, initialize.id);
  }

  function createCall(
    response: HttpResponse,
    { id, method }: RpcRequest,
    { address }: Caller,
    more: Pick<PostResponseOptions, 'form' | 'headersAt' | 'openStream'>,
  ): PostResponse {
    const reply = createPostResponse({ response, id, ...more, onDone: reporting(method, address) });
    replies.add(reply);
    return reply;
  }

  /** What is done when a request is over; the same for all where nobody watches. */
  function reporting(method: string, client: string | undefined): typeof over {
    if (onRequest === undefined) return over;
    const startedAt = performance.now();
    return (reply) => {
      onRequest({ method, durationMs: performance.now() - startedAt, client });
      over(reply);
    };
  }

  /** The session that the request names, or undefined when the request has been refused. */
  function findSession(
    request: HttpRequest,
    response: HttpResponse,
    caller: Caller,
    id: RequestId | null = null,
  ): Session | undefined {
    const sessionId = valueOf(request, sessionHeader);
    if (sessionId === undefined) {
      refuse(request, response, {
        status: 400,
        message: 'the Mcp-Session-Id header is missing: send initialize first',
        id,
      });
      return undefined;
    }
    const session = sessions.find(sessionId, caller.id);
    if (session === undefined) {
      const message = 'unknown session, it may have ended: send initialize without Mcp-Session-Id';
      refuse(request, response, { status: 404, code: rpcCode.sessionNotFound, message, id });
      return undefined;
    }
    const revision = valueOf(request, revisionHeader);
    if (revision !== undefined && revision !== session.revision && !legacyRevisions.includes(revision)) {
      const message = `the MCP-Protocol-Version ${JSON.stringify(revision.slice(0, 64))} is not supported`;
      refuse(request, response, { status: 400, message, id });
      return undefined;
    }
    return session;
  }

  function get(request: HttpRequest, response: HttpResponse, caller: Caller): void {
    if (!accepts(request.headers.accept, eventStreamType)) {
      refuse(request, response, { status: 406, message: `the Accept header must admit ${eventStreamType}` });
      return;
    }
    const session = findSession(request, response, caller);
    if (session === undefined) return;
    const lastEventId = valueOf(request, 'last-event-id') ?? '';
    const own = streamsOf(session);
    const resumed = lastEventId === '' ? undefined : own.resume(lastEventId);
    switch (resumed?.kind) {
      case undefined:
      case 'listening':
        listen(session, response, own.openListening());
        return;
      case 'listening stream':
        listen(session, response, resumed.stream, resumed.after);
        return;
      case 'reply stream':
        resumeReply(response, resumed.stream, resumed.after);
        return;
      case 'nothing': {
        // Where a GET brings no stream, MCP wants 405. The official clients take it in silence; a 404 would end their
        // session, any other refusal or an empty stream would make them ask again and again.
        const message = 'no events follow this Last-Event-ID';
        refuse(request, response, { status: 405, message, headers: { allow: 'POST, DELETE' } });
        return;
      }
      default: {
        const message = `the Last-Event-ID ${JSON.stringify(lastEventId.slice(0, 64))} was never sent in this session`;
        refuse(request, response, { status: 400, message });
      }
    }
  }

  function listen(session: Session, response: HttpResponse, stream: MessageStream, after?: number): void {
    const connection = createEventStream(response);
    stream.connect(connection, after);
    listening.add(connection);
    connection.whenClosed(() => listening.delete(connection));
    session.listen({
      isOpen: connection.isOpen,
      send: stream.send,
      whenWritable: stream.whenWritable,
      whenGone: connection.whenClosed,
      end: connection.end,
    });
  }

  function resumeReply(response: HttpResponse, stream: MessageStream, after: number): void {
    const connection = createEventStream(response);
    stream.connect(connection, after);
    const reply: ActiveResponse = { place: -1, keepAlive: connection.keepAlive };
    replies.add(reply);
    connection.whenClosed(() => over(reply));
  }

  function streamsOf(session: Session): SessionStreams {
    const known = streams.get(session);
    if (known !== undefined) return known;
    const canPrime = session.revision !== undefined && session.revision >= primingRevision;
    const buffer = eventStore.openBuffer();
    const opened = createSessionStreams({ buffer, retryMs: canPrime ? retryMs : undefined, graceMs });
    streams.set(session, opened);
    session.whenOver(opened.close);
    return opened;
  }

  function deleteSession(request: HttpRequest, response: HttpResponse, caller: Caller): void {
    const session = findSession(request, response, caller);
    if (session === undefined) return;
    // First, since to end a process takes some milliseconds; nobody else comes in between.
    answerEmpty(response, 204);
    void session.close();
  }

  return {
    handle(request, response, caller) {
      if (draining) {
        refuseDraining(request, response);
        return;
      }
      switch (request.method) {
        case 'POST':
          post(request, response, caller);
          return;
        case 'GET':
          get(request, response, caller);
          return;
        case 'DELETE':
          deleteSession(request, response, caller);
          return;
        default: {
          const message = `the method ${request.method} is not served here`;
          refuse(request, response, { status: 405, message, headers: { allow: 'GET, POST, DELETE' } });
        }
      }
    },
    drain() {
      draining = true;
      return replies.size === 0 ? Promise.resolve() : new Promise((resolve) => (onDrained = resolve));
    },
    close() {
      stopKeepingAlive();
      for (const connection of listening) connection.end();
    },
  };
}
