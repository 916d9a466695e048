import type { HttpResponse } from '../../../platform/net/http-client.ts';
import { rpcCode, type RequestId, type RpcMessage, type RpcResponse } from '../../../mcp/json-rpc.ts';
import { isInitialize, isInitialized } from '../../../mcp/lifecycle.ts';
import { newError } from '../../../mcp/new-message.ts';
import { eventStreamType } from '../../../mcp/sse.ts';
import { followEventStream, isEventStream, type StreamCursor, type StreamEnd } from '../http/follow-event-stream.ts';
import { drainResponse } from '../http/http-response.ts';
import { HttpUpstream, type Refusal } from '../http/http-upstream.ts';
import type { OutgoingPost } from '../http/outgoing-posts.ts';
import {
  connectFailure,
  notMcp,
  openingFailure,
  statusWithExcerpt,
  unreachableWords,
} from '../http/response-problems.ts';
import type { PostOptions, UpstreamExchange, UpstreamFailure } from '../http/upstream-client.ts';
import type { UpstreamEvents } from '../upstream.ts';

/**
 * MCP over the older HTTP transport (2024-11-05, HTTP with SSE): one event stream carries all messages from the server,
 * and names the endpoint for messages to the server. The session lasts as long as the stream.
 * @throws ExposeError `upstream_url_refused`, or `usage` for headers that cannot be sent.
 */
export class LegacySseUpstream extends HttpUpstream {
  readonly #cursor: StreamCursor = { lastEventId: undefined, retryMs: undefined };
  #cancelStartTimeout: (() => void) | undefined;
  #endpoint: URL | undefined;
  /** Requests that have no answer on the stream and that the endpoint has not accepted. */
  readonly #unanswered = new Set<RequestId>();
  /** A message of the handshake that the endpoint has not accepted; later messages must not overtake it. */
  #handshake: OutgoingPost | undefined;

  override start(events: UpstreamEvents): void {
    super.start(events);
    void this.#open();
  }

  send(message: RpcMessage): boolean {
    const outgoing = this.accept(message);
    if (outgoing === undefined) return false;
    this.posts.enqueue(outgoing);
    this.posts.drain();
    return true;
  }

  async #open(): Promise<void> {
    this.#cancelStartTimeout = this.clock.after(this.responseTimeoutMs, () => {
      const reason = `the server named no endpoint within ${this.responseTimeoutMs / 1000} s`;
      this.end({ code: 'upstream_unreachable', reason });
    });
    const headers = { Accept: eventStreamType };
    const outcome = await this.client.send({ method: 'GET', url: this.url, headers }).outcome;
    if (outcome.kind === 'failed') this.end(connectFailure(outcome));
    else if (outcome.status !== 200) this.end(openingFailure('--sse', outcome, this.clock.now()));
    else if (!isEventStream(outcome.response)) this.end(notMcp('--sse', outcome.response));
    else this.#follow(outcome);
  }

  #follow({ url, response }: HttpResponse): void {
    followEventStream({
      ...this.context,
      response,
      cursor: this.#cursor,
      onMessage: (message) => this.receive(message),
      onOtherEvent: (name, data) => {
        if (name === 'endpoint' && this.#endpoint === undefined) this.#setEndpoint(url, data);
      },
      onEnd: (how) => this.#onStreamEnd(how),
    });
  }

  #setEndpoint(from: URL, text: string): void {
    const endpoint = URL.canParse(text, from.href) ? new URL(text, from) : undefined;
    // Whoever controls the stream must not choose where the user's credentials and messages go.
    if (endpoint?.origin !== from.origin) {
      this.end({ code: 'upstream_refused', reason: 'the server named an endpoint on another origin than its own' });
      return;
    }
    this.#cancelStartTimeout?.();
    this.#endpoint = endpoint;
    this.posts.drain();
  }

  #onStreamEnd({ isClean }: StreamEnd): void {
    if (this.#endpoint === undefined) {
      const reason = 'the event stream of the server ended without naming an endpoint';
      this.end({ code: 'upstream_refused', reason });
      return;
    }
    const { retryMs } = this.#cursor;
    this.end({
      code: 'upstream_exited',
      reason: `the event stream of the server ${isClean ? 'ended' : 'broke off'}`,
      ...(retryMs === undefined ? {} : { retryAfterMs: retryMs }),
    });
  }

  protected isOpen(): boolean {
    return this.#endpoint !== undefined && this.#handshake === undefined;
  }

  protected post(outgoing: OutgoingPost, options: PostOptions): UpstreamExchange {
    const { message } = outgoing;
    if (isInitialize(message) || isInitialized(message)) this.#handshake = outgoing;
    if (message.kind === 'request') this.#unanswered.add(message.id);
    return this.client.send({
      ...options,
      method: 'POST',
      url: this.#endpoint ?? this.url,
      body: message.bytes,
      headers: { 'Content-Type': 'application/json' },
    });
  }

  protected onAnswer({ id }: RpcResponse): boolean {
    this.#unanswered.delete(id);
    const first = this.#handshake?.message;
    if (first?.kind === 'request' && first.id === id) this.#handshake = undefined;
    return true;
  }

  protected onFailed(outgoing: OutgoingPost, failure: UpstreamFailure): void {
    const reason = failure.isUnsent ? 'upstream_unreachable' : 'upstream_stream_lost';
    this.#drop(outgoing, unreachableWords(failure), { reason });
  }

  protected onAccepted(outgoing: OutgoingPost, { response }: HttpResponse): void {
    // The answer comes on the event stream; this body has no meaning.
    drainResponse(response, this.clock);
    this.#settle(outgoing);
  }

  protected onRefused(outgoing: OutgoingPost, refusal: Refusal): void {
    const { status, response, body, error } = refusal;
    if (isInitialize(outgoing.message) && error === undefined) {
      this.end(openingFailure('--sse', refusal, this.clock.now()));
    } else if (error !== undefined && this.#unanswered.has(error.id)) {
      this.#settle(outgoing);
      this.receive(error);
    } else {
      this.#drop(outgoing, statusWithExcerpt(status, response, body), { reason: 'upstream_http_error', status });
    }
  }

  #settle(outgoing: OutgoingPost): void {
    this.posts.settle(outgoing);
    if (outgoing.message.kind === 'request') this.#unanswered.delete(outgoing.message.id);
    if (this.#handshake === outgoing) this.#handshake = undefined;
  }

  #drop(outgoing: OutgoingPost, words: string, data: Readonly<Record<string, unknown>>): void {
    const { message } = outgoing;
    const isAwaited = message.kind === 'request' && this.#unanswered.has(message.id);
    this.#settle(outgoing);
    if (isAwaited) this.receive(newError({ id: message.id, code: rpcCode.internalError, message: words, data }));
    else if (message.kind !== 'request') this.reportUndelivered(message, words);
  }

  protected override stop(): void {
    super.stop();
    this.#cancelStartTimeout?.();
  }
}
