import type { Caller } from '../auth/caller.ts';
import type { Session } from '../bridge/session/session.ts';
import { classify, classifyLegacy } from '../mcp/classify.ts';
import { answerForm, methodHeader, nameHeader, revisionHeader, sessionHeader } from '../mcp/headers.ts';
import {
  rpcCode,
  type RpcBatch,
  type RpcMessage,
  type RpcRequest,
  type RpcNotification,
  type RpcResponse,
} from '../mcp/json-rpc.ts';
import { batchRevision } from '../mcp/revisions.ts';
import type { MessageHeaders } from '../mcp/standard-headers.ts';
import { eventStreamType } from '../mcp/sse.ts';
import { isAffordable, isClaimed, stepUpOf, unauthorized, usedAlready, usedUp } from './credential-limits.ts';
import { serveExchange } from './exchange-post.ts';
import { findSession } from './find-session.ts';
import type { McpParts, Post } from './mcp-parts.ts';
import { valueOf, type HttpRequest, type HttpResponse } from './message.ts';
import { readPost } from './post-body.ts';
import { BatchResponse } from './responses/batch-response.ts';
import { answerEmpty, refuse, refuseAccept, refuseMessage, refuseSession } from './responses/json-response.ts';
import { PostResponse, type PostResponseOptions } from './responses/post-response.ts';

/** Serves a message or a batch (MCP 2025-11-25, Streamable HTTP, "Sending Messages to the Server"). */
export function servePost(parts: McpParts, request: HttpRequest, response: HttpResponse, caller: Caller): void {
  const form = answerForm(request.headers.accept);
  if (form === undefined) {
    refuseAccept(request, response, `application/json or ${eventStreamType}`);
    return;
  }
  const { bodies, active, sessions } = parts;
  const sessionId = valueOf(request, sessionHeader);
  const session = sessionId === undefined ? undefined : sessions.find(sessionId, caller.id);
  readPost(request, response, { bodies, active, session }, (message) => {
    const post = { parts, request, response, caller, form };
    if (message.kind === 'batch') serveBatch(post, message, session?.revision);
    else serveMessage(post, message, session?.revision);
  });
}

/** @param agreed the revision of the session that the request names, if there is one. */
function serveMessage(post: Post, message: RpcMessage, agreed: string | undefined): void {
  const { parts, request, response, caller } = post;
  const id = message.kind === 'request' ? message.id : null;
  const { exchanges } = parts;
  const headers = headersOf(request);
  const verdict =
    exchanges === undefined ? classifyLegacy(message, headers.revision, agreed) : classify(message, headers, agreed);
  if (verdict.kind === 'reject') {
    const { status, code, reason, data } = verdict;
    refuse(request, response, { status, code, message: reason, id, data });
    return;
  }
  if (verdict.kind === 'exchange' && exchanges !== undefined && message.kind !== 'response') {
    serveExchange(post, exchanges, message);
    return;
  }
  const isOpening = verdict.kind === 'opening';
  if (isOpening && message.kind === 'request' && valueOf(request, sessionHeader) === undefined) {
    openSession(post, message);
    return;
  }
  const session = findSession(parts.sessions, request, response, caller, id);
  if (session === undefined) return;
  if (isOpening) {
    const reason = 'the session is initialized already: send initialize without Mcp-Session-Id to begin another one';
    refuseMessage(request, response, { code: rpcCode.invalidRequest, reason });
  } else if (message.kind !== 'response' && !isAffordable(caller, message)) {
    if (message.kind === 'request') parts.active.report(message, caller, session)?.refused(usedUp);
    refuse(request, response, { ...unauthorized, ...usedUp, id });
  } else if (message.kind === 'request') {
    const call = beginCall(post, message, { session, openStream: () => parts.streamsOf(session).openReply() });
    const refusal = session.request(message, call);
    if (refusal === undefined) return;
    call.discard(refusal.code);
    refuseMessage(request, response, refusal);
  } else {
    const refusal = session.forward(message);
    if (refusal === undefined) answerEmpty(response, 202);
    else refuseMessage(request, response, refusal);
  }
}

function headersOf(request: HttpRequest): MessageHeaders {
  return {
    session: valueOf(request, sessionHeader),
    revision: valueOf(request, revisionHeader),
    method: valueOf(request, methodHeader),
    name: valueOf(request, nameHeader),
  };
}

function openSession(post: Post, initialize: RpcRequest): void {
  const { parts, request, response, caller } = post;
  if (!isClaimed(caller, initialize)) {
    parts.active.report(initialize, caller)?.refused(usedAlready);
    refuse(request, response, { ...usedAlready, id: initialize.id });
    return;
  }
  const opened: { session?: Session | undefined } = {};
  const call = beginCall(post, initialize, {
    headersAt(begin) {
      const { session } = opened;
      // A response that begins early has the header too: it cannot be added when the server has answered.
      const isOpen = begin === 'early' || session?.revision !== undefined;
      return session !== undefined && isOpen ? { [sessionHeader]: session.id } : {};
    },
  });
  opened.session = parts.sessions.open(caller, initialize, call, parts.policyOf?.(caller));
  if (opened.session !== undefined) {
    call.reported?.opens(opened.session);
    return;
  }
  call.discard(rpcCode.badRequest);
  refuseSession(request, response, initialize.id);
}

interface CallOptions extends Pick<PostResponseOptions, 'openStream' | 'headersAt'> {
  /** Undefined for `initialize`. */
  readonly session?: Session;
}

function beginCall(
  { parts: { active }, response, caller, form }: Post,
  request: RpcRequest,
  { session, openStream, headersAt }: CallOptions,
): PostResponse {
  const refusalOf = session === undefined ? openingStatusOf : stepUpOf(caller);
  const call = new PostResponse({
    response,
    id: request.id,
    form,
    openStream,
    headersAt,
    refusalOf,
    onDone: active.end,
  });
  active.begin(call, request, caller, session);
  return call;
}

/** A session that no revision could be agreed on for was not opened (MCP 2026-07-28, "Error Codes"). */
const openingStatusOf: NonNullable<PostResponseOptions['refusalOf']> = ({ code }) =>
  code === rpcCode.unsupportedProtocolVersion ? { status: 400 } : undefined;

/** @param agreed as in `serveMessage`. */
function serveBatch(post: Post, { messages }: RpcBatch, agreed: string | undefined): void {
  const { parts, request, response, caller, form } = post;
  const headers = headersOf(request);
  const isOfSession = (message: RpcMessage): boolean =>
    ['session', 'opening'].includes(classify(message, headers, agreed).kind);
  if (parts.exchanges !== undefined && !messages.every(isOfSession)) {
    const reason = 'revision 2026-07-28 has no batches: send each message in a request of its own';
    refuseMessage(request, response, { code: rpcCode.invalidRequest, reason });
    return;
  }
  const session = findSession(parts.sessions, request, response, caller);
  if (session === undefined) return;
  const problem = batchProblem(messages, session);
  if (problem !== undefined) {
    refuseMessage(request, response, { code: rpcCode.invalidRequest, reason: problem });
    return;
  }
  const requests = messages.filter((message) => message.kind === 'request').length;
  const forward = (message: RpcNotification | RpcResponse): void => {
    if (message.kind === 'response' || isAffordable(caller, message)) session.forward(message);
  };
  if (requests === 0) {
    for (const message of messages) if (message.kind !== 'request') forward(message);
    answerEmpty(response, 202);
    return;
  }
  const stream = form === 'json' ? undefined : parts.streamsOf(session).openReply();
  const batch = new BatchResponse({ response, stream, requests, onDone: parts.active.end });
  parts.active.begin(batch);
  for (const message of messages) {
    if (message.kind !== 'request') {
      forward(message);
      continue;
    }
    const reported = parts.active.report(message, caller, session);
    const call = batch.callFor(message.id, reported);
    if (!isAffordable(caller, message)) {
      call.fail(usedUp);
      continue;
    }
    const refusal = session.request(message, call);
    if (refusal === undefined) continue;
    reported?.refused(refusal);
    batch.callFor(null).fail({ code: refusal.code, message: refusal.reason });
  }
}

function batchProblem(messages: readonly RpcMessage[], { revision }: Session): string | undefined {
  if (revision !== batchRevision)
    return `only sessions of revision ${batchRevision} can send batches, this one is of ${revision}`;
  return messages.some((message) => classifyLegacy(message, undefined, undefined).kind !== 'session')
    ? 'initialize, and requests of other revisions, cannot be part of a batch'
    : undefined;
}
