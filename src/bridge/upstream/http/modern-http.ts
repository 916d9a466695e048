import type { HttpResponse } from '../../../platform/net/http-client.ts';
import { encodeHeaderValue } from '../../../mcp/header-value.ts';
import { methodHeader, nameHeader, revisionHeader } from '../../../mcp/headers.ts';
import {
  memberOf,
  rpcCode,
  type RequestId,
  type RpcMessage,
  type RpcRequest,
  type RpcResponse,
} from '../../../mcp/json-rpc.ts';
import { spanOf } from '../../../mcp/json/locate-members.ts';
import { cancelledBy } from '../../../mcp/lifecycle.ts';
import { claimedRevision } from '../../../mcp/request-envelope.ts';
import { firstModernRevision } from '../../../mcp/revisions.ts';
import { eventStreamType } from '../../../mcp/sse.ts';
import { nameMemberOf } from '../../../mcp/standard-headers.ts';
import { inOnePiece } from '../../../platform/bytes.ts';
import { drainResponse } from './http-response.ts';
import { HttpUpstream, type Refusal } from './http-upstream.ts';
import { OpenAnswers } from './open-answers.ts';
import type { OutgoingPost } from './outgoing-posts.ts';
import { brokeWords, statusWithExcerpt, unreachableWords } from './response-problems.ts';
import { ToolHeaders } from './tool-headers.ts';
import type { PostOptions, UpstreamExchange, UpstreamFailure } from './upstream-client.ts';

/** Requests under way at once, subscriptions apart, each with its own connection; further ones wait. */
const maxRequests = 256;

/** Tries for one message to a server that cannot be connected to. */
const maxTries = 3;

/** Wait before the second try, doubled before the third, in milliseconds: a server that restarts is soon back. */
const retryStepMs = 200;

/**
 * MCP over Streamable HTTP (2026-07-28): each request is a POST of its own, whose head says what it is, and which is cancelled by
 * closing it. There is no session that could be lost: what goes wrong costs the request, and the upstream ends only on `close`.
 * Each message of the server is delivered with the request on whose stream it came.
 * @throws ExposeError `upstream_url_refused`, or `usage` for headers that cannot be sent.
 */
export class ModernHttpUpstream extends HttpUpstream {
  readonly #answers = new OpenAnswers({
    context: { ...this.context, clock: this.clock },
    posts: this.posts,
    onMessage: (id, message) => this.#receiveFor(id, message),
    isInUse: () => !this.#hasStopped,
  });
  readonly #toolHeaders = new ToolHeaders({
    send: (request) => this.#enqueue(this.accept(request)),
    onListed: () => this.#release(),
    onWarning: this.onWarning,
  });
  /** Calls that wait until the headers of their tools are known. */
  readonly #held = new Map<RequestId, OutgoingPost>();
  /** Calls that were sent again, since their headers were wrong. */
  readonly #repeated = new WeakSet<RpcRequest>();
  #url = this.url;
  #hasStopped = false;

  send(message: RpcMessage): boolean {
    // A modern server asks nothing, so it waits for no answer.
    if (message.kind === 'response') return true;
    const cancelled = cancelledBy(message);
    if (cancelled !== undefined) {
      this.context.decoder.sent(message);
      this.#cancel(cancelled);
      return true;
    }
    const outgoing = this.accept(message);
    if (outgoing === undefined || !isToolCall(message) || this.#toolHeaders.of(message) !== undefined) {
      return this.#enqueue(outgoing);
    }
    this.#hold(message, outgoing);
    return true;
  }

  protected isOpen(): boolean {
    return !this.#hasStopped;
  }

  protected override hasRoomForRequest(): boolean {
    return this.#answers.size < maxRequests;
  }

  protected post(outgoing: OutgoingPost, options: PostOptions): UpstreamExchange {
    const { message } = outgoing;
    if (message.kind === 'request') outgoing.answer ??= this.#answers.expect(outgoing, message);
    const headers = {
      'Content-Type': 'application/json',
      Accept: `application/json, ${eventStreamType}`,
      ...standardHeadersOf(message),
      ...(isToolCall(message) ? this.#toolHeaders.of(message) : {}),
    };
    return this.client.send({ ...options, method: 'POST', url: this.#url, body: message.bytes, headers });
  }

  protected onAnswer({ id }: RpcResponse): boolean {
    return this.#answers.answered(id) !== undefined;
  }

  protected onFailed(outgoing: OutgoingPost, failure: UpstreamFailure): void {
    const { reason, isUnsent, isFinal } = failure;
    if (isUnsent && !isFinal && outgoing.tries < maxTries) {
      this.posts.retry(outgoing, outgoing.tries * retryStepMs);
    } else if (isUnsent && !isFinal) {
      this.#drop(outgoing, unreachableWords(failure), { reason: 'upstream_unreachable' });
    } else if (isFinal) {
      this.#drop(outgoing, unreachableWords(failure), { reason: 'upstream_http_error' });
    } else {
      this.#drop(outgoing, brokeWords(reason), { reason: 'upstream_stream_lost' });
    }
  }

  protected onAccepted(outgoing: OutgoingPost, { url, response }: HttpResponse): void {
    // After a redirect: following it again would double every request.
    this.#url = url;
    this.posts.settle(outgoing);
    if (outgoing.answer === undefined) drainResponse(response, this.clock);
    else outgoing.answer.read(response);
  }

  protected onRefused(outgoing: OutgoingPost, { status, response, body, error }: Refusal): void {
    if (error === undefined) {
      this.#drop(outgoing, statusWithExcerpt(status, response, body), { reason: 'upstream_http_error', status });
    } else {
      this.posts.settle(outgoing);
      this.#receiveFor(error.id, error);
    }
  }

  protected override stop(): void {
    super.stop();
    this.#hasStopped = true;
    this.#held.clear();
    this.#answers.end();
  }

  #enqueue(outgoing: OutgoingPost | undefined): boolean {
    if (outgoing === undefined) return false;
    this.posts.enqueue(outgoing);
    this.posts.drain();
    return true;
  }

  #hold(call: RpcRequest, outgoing: OutgoingPost): void {
    this.#held.set(call.id, outgoing);
    this.#toolHeaders.ask(call);
  }

  /** The headers of the tools are known as far as they ever will be. */
  #release(): void {
    const held = [...this.#held.values()];
    this.#held.clear();
    for (const outgoing of held) {
      if (isToolCall(outgoing.message)) this.#toolHeaders.assumeKnown(outgoing.message);
      this.#enqueue(outgoing);
    }
  }

  /** The server learns of it by the end of the connection (MCP 2026-07-28, Streamable HTTP, "Cancellation"). */
  #cancel(id: RequestId): void {
    this.#held.get(id)?.release();
    this.#held.delete(id);
    this.posts.withdraw(id)?.answer?.abort();
    this.#answers.abort(id);
  }

  #receiveFor(id: RequestId, message: RpcMessage): void {
    if (message.kind !== 'response' || message.id !== id) {
      this.receive(message, id);
      return;
    }
    const request = this.#answers.find(id);
    if (request === undefined || this.#isRepeated(request, message)) return;
    if (this.#toolHeaders.isOwn(id)) {
      this.#answers.answered(id);
      this.context.decoder.admit(message);
      this.#toolHeaders.takePage(message);
    } else {
      this.receive(request.method === 'tools/list' ? this.#toolHeaders.learn(message) : message, id);
    }
  }

  /** Sends a call again whose headers are wrong, once: its tool may have changed. Returns whether it did. */
  #isRepeated(request: RpcRequest, { failed, json }: RpcResponse): boolean {
    const isWrong = failed && memberOf(json['error'], 'code') === rpcCode.headerMismatch;
    if (!isWrong || !isToolCall(request) || this.#repeated.has(request)) return false;
    const outgoing = this.accept(request);
    if (outgoing === undefined) return false;
    this.#repeated.add(request);
    this.#answers.answered(request.id);
    this.#hold(request, outgoing);
    return true;
  }

  #drop(outgoing: OutgoingPost, words: string, data: Readonly<Record<string, unknown>>): void {
    this.posts.settle(outgoing);
    if (outgoing.answer === undefined) this.reportUndelivered(outgoing.message, words);
    else outgoing.answer.fail(words, data);
  }
}

function isToolCall(message: RpcMessage): message is RpcRequest {
  return message.kind === 'request' && message.method === 'tools/call';
}

/** What the head repeats of the body (MCP 2026-07-28, Streamable HTTP, "Standard Request Headers"). */
function standardHeadersOf(message: RpcMessage): Readonly<Record<string, string>> {
  if (message.kind === 'response') return {};
  const { method } = message;
  const revision = claimedRevision(message);
  const name = nameIn(message);
  return {
    [revisionHeader]: typeof revision === 'string' ? encodeHeaderValue(revision) : firstModernRevision,
    [methodHeader]: encodeHeaderValue(method),
    ...(name === undefined ? {} : { [nameHeader]: encodeHeaderValue(name) }),
  };
}

function nameIn(message: Exclude<RpcMessage, RpcResponse>): string | undefined {
  const member = nameMemberOf(message.method);
  // What is parsed of a large message lacks its long strings.
  const span = member === undefined ? undefined : spanOf(message.bytes, ['params', member]);
  const name: unknown = span && JSON.parse(inOnePiece(message.bytes).toString('utf8', span.start, span.end));
  return typeof name === 'string' ? name : undefined;
}
