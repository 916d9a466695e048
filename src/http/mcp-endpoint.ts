import type { OutgoingHttpHeaders } from 'node:http';

import type { Caller } from '../auth/guard.ts';
import type { Refusal } from '../bridge/channel.ts';
import type { Session } from '../bridge/session.ts';
import type { Sessions } from '../bridge/sessions.ts';
import { classify } from '../mcp/classify.ts';
import { accepts, isJson, revisionHeader, sessionHeader } from '../mcp/headers.ts';
import { parseMessages, rpcCode, type RpcBatch, type RequestId, type RpcRequest } from '../mcp/json-rpc.ts';
import { batchRevision, legacyRevisions } from '../mcp/revisions.ts';
import { eventStreamType } from '../mcp/sse.ts';
import { createBatchReply, type BatchReply } from './batch-reply.ts';
import { readBody } from './body.ts';
import { answerEmpty, refuse } from './json-answer.ts';
import { createLiveList } from './live-list.ts';
import { valueOf, type HttpRequest, type HttpResponse } from './message.ts';
import {
  createEventStream,
  createReply,
  type AnswerBegin,
  type EventStream,
  type Reply,
  type ReplyOptions,
} from './reply.ts';

/** Proxies close a connection after 60 s of silence or more, some after 30 s. */
const keepAliveMs = 10_000;

/** What a client waits before it tries again to open a session, in seconds. */
const retryAfterSeconds = '5';

/** A request that is over, for whoever wants to watch. */
export interface RequestReport {
  readonly method: string;
  readonly durationMs: number;
}

export interface McpEndpointOptions {
  readonly sessions: Sessions;
  readonly maxBodyBytes: number;
  /** Called after each request. Leave it out where nobody watches: it costs on every call. */
  readonly onRequest?: ((report: RequestReport) => void) | undefined;
}

export interface McpEndpoint {
  /** Serves a request whose caller has been admitted. */
  handle(request: HttpRequest, response: HttpResponse, caller: Caller): void;
  /** Takes no more requests; resolves when none is waiting for its response. */
  drain(): Promise<void>;
  close(): void;
}

/** The Streamable HTTP transport for sessions (MCP 2025-03-26 to 2025-11-25, "Streamable HTTP"). */
export function createMcpEndpoint({ sessions, maxBodyBytes, onRequest }: McpEndpointOptions): McpEndpoint {
  const replies = createLiveList<Reply | BatchReply>();
  const streams = new Set<EventStream>();
  let draining = false;
  let onDrained: (() => void) | undefined;

  const keepAlive = setInterval(() => {
    for (const reply of replies) reply.keepAlive();
    for (const stream of streams) stream.keepAlive();
  }, keepAliveMs);
  keepAlive.unref();

  async function post(request: HttpRequest, response: HttpResponse, caller: Caller): Promise<void> {
    const { headers } = request;
    if (!isJson(headers['content-type'])) {
      refuse(request, response, { status: 415, message: 'the Content-Type must be application/json' });
      return;
    }
    if (!accepts(headers.accept, ['application/json', eventStreamType])) {
      const message = `the Accept header must admit both application/json and ${eventStreamType}`;
      refuse(request, response, { status: 406, message });
      return;
    }
    const body = await readBody(request, maxBodyBytes);
    if (body === 'cut off') return;
    if (draining) {
      refuseDraining(request, response);
      return;
    }
    if (body === 'too large') {
      const message = `the body is larger than ${maxBodyBytes} bytes`;
      refuse(request, response, { status: 413, message });
      return;
    }
    const message = parseMessages(body);
    if (message.kind === 'fault') {
      const { code, reason, id = null } = message;
      refuse(request, response, { status: 400, code, message: reason, id });
      return;
    }
    if (message.kind === 'batch') {
      postBatch(request, response, message, caller);
      return;
    }
    const id = message.kind === 'request' ? message.id : null;
    const revision = valueOf(request, revisionHeader);
    const verdict = classify(message, revision);
    const sessionId = valueOf(request, sessionHeader);
    if (verdict.kind === 'reject') {
      const { status, code, reason, data } = verdict;
      refuse(request, response, { status, code, message: reason, id, ...(data === undefined ? {} : { data }) });
    } else if (sessionId === undefined && verdict.kind === 'opening' && message.kind === 'request') {
      openSession(request, response, message, caller);
    } else {
      const session = findSession(request, response, caller, id);
      if (session === undefined) return;
      if (verdict.kind === 'opening') {
        refuseMessage(request, response, {
          code: rpcCode.invalidRequest,
          reason: 'the session is initialized already',
        });
      } else if (message.kind === 'request') {
        const reply = createCall(response, message);
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

  function postBatch(request: HttpRequest, response: HttpResponse, { messages }: RpcBatch, caller: Caller): void {
    const session = findSession(request, response, caller);
    if (session === undefined) return;
    if (session.revision !== batchRevision) {
      const reason = `only sessions of revision ${batchRevision} can send batches, this one is of ${session.revision}`;
      refuseMessage(request, response, { code: rpcCode.invalidRequest, reason });
      return;
    }
    if (messages.some((message) => classify(message, undefined).kind !== 'session')) {
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
    const reply = createBatchReply({ response, requests, onDone: () => over(reply) });
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

  function over(reply: Reply | BatchReply): void {
    replies.remove(reply);
    if (replies.size === 0) onDrained?.();
  }

  function openSession(request: HttpRequest, response: HttpResponse, initialize: RpcRequest, caller: Caller): void {
    const opened: { session?: Session | undefined } = {};
    // Where the answer begins before the server has spoken, it is too late for the header afterwards.
    const headersAt = (begin: AnswerBegin): OutgoingHttpHeaders => {
      const { session } = opened;
      const isOpen = begin === 'early' || session?.revision !== undefined;
      return session !== undefined && isOpen ? { [sessionHeader]: session.id } : {};
    };
    const reply = createCall(response, initialize, headersAt);
    opened.session = sessions.open(caller.id, initialize, reply);
    if (opened.session !== undefined) return;
    reply.discard();
    const message = 'too many sessions are open';
    refuse(request, response, {
      status: 503,
      message,
      id: initialize.id,
      headers: { 'retry-after': retryAfterSeconds },
    });
  }

  function createCall(
    response: HttpResponse,
    { id, method }: RpcRequest,
    headersAt?: ReplyOptions['headersAt'],
  ): Reply {
    const startedAt = onRequest === undefined ? 0 : performance.now();
    const reply = createReply({
      response,
      id,
      ...(headersAt === undefined ? {} : { headersAt }),
      onDone() {
        onRequest?.({ method, durationMs: performance.now() - startedAt });
        over(reply);
      },
    });
    replies.add(reply);
    return reply;
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
      const message = 'there is no such session, it may have ended: send initialize to begin a new one';
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
    if (!accepts(request.headers.accept, [eventStreamType])) {
      refuse(request, response, { status: 406, message: `the Accept header must admit ${eventStreamType}` });
      return;
    }
    const session = findSession(request, response, caller);
    if (session === undefined) return;
    const stream = createEventStream(response);
    streams.add(stream);
    response.once('close', () => streams.delete(stream));
    session.listen(stream);
  }

  function deleteSession(request: HttpRequest, response: HttpResponse, caller: Caller): void {
    const session = findSession(request, response, caller);
    if (session === undefined) return;
    void session.close();
    answerEmpty(response, 204);
  }

  return {
    handle(request, response, caller) {
      if (draining) {
        refuseDraining(request, response);
        return;
      }
      switch (request.method) {
        case 'POST':
          void post(request, response, caller);
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
      clearInterval(keepAlive);
      for (const stream of streams) stream.end();
    },
  };
}

function refuseDraining(request: HttpRequest, response: HttpResponse): void {
  refuse(request, response, { status: 503, message: 'mcp-expose is shutting down' });
}

/** The message itself cannot be served. Its id is not answered: it may be that of another call, still in flight. */
function refuseMessage(request: HttpRequest, response: HttpResponse, { code, reason }: Refusal): void {
  refuse(request, response, { status: 400, code, message: reason });
}
