import { systemClock, type Clock } from '../../../platform/clock.ts';
import type { HttpResponse } from '../../../platform/net/http-client.ts';
import type { RequestId, RpcMessage, RpcResponse } from '../../../mcp/json-rpc.ts';
import { isInitialize } from '../../../mcp/lifecycle.ts';
import { MessageDecoder } from '../message-decoder.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream.ts';
import { PausableStreams, type StreamContext } from './follow-event-stream.ts';
import { errorIn, readResponseBody } from './http-response.ts';
import { OutgoingPosts, type OutgoingPost } from './outgoing-posts.ts';
import type { UpstreamEndCause } from './response-problems.ts';
import {
  createUpstreamClient,
  type PostOptions,
  type UpstreamClient,
  type UpstreamClientOptions,
  type UpstreamExchange,
  type UpstreamFailure,
} from './upstream-client.ts';
import { checkUpstreamUrl } from './upstream-url.ts';

export interface HttpUpstreamOptions extends Omit<UpstreamClientOptions, 'url' | 'connectTimeoutMs'> {
  readonly url: string;
  /** Whether `http:` is allowed to other machines. */
  readonly allowPlainHttp?: boolean;
  /** Time limit for a connection, including TLS, in milliseconds. */
  readonly connectTimeoutMs?: number;
  /**
   * Time limit for the head of the response to `initialize`, notifications and responses, and for the `endpoint` event
   * (HTTP+SSE), in milliseconds. Other requests have no limit: a call may take hours, and its caller can cancel it.
   */
  readonly responseTimeoutMs?: number;
  /** Longest message that the server may send, in bytes. */
  readonly maxMessageBytes: number;
}

/** What a person waits for before checking the address, in milliseconds. */
const defaultConnectTimeoutMs = 10_000;

/** Servers that are started by their first request can take this long, in milliseconds. */
const defaultResponseTimeoutMs = 60_000;

/** Bytes of an error page that are read. */
const maxErrorBodyBytes: number = 64 * 1024;

/** A response to a POST whose status is not a success. */
export interface Refusal extends HttpResponse {
  readonly body: Buffer;
  /** The JSON-RPC error in the body, as the answer to the request that was sent. */
  readonly error: RpcResponse | undefined;
}

/** What the two HTTP transports share: one POST per message, messages read from responses, and the end, reported once. */
export abstract class HttpUpstream implements Upstream {
  readonly isWritable = (): boolean => this.posts.window.isWritable();
  readonly whenWritable = (callback: () => void): void => this.posts.window.whenWritable(callback);
  readonly pause = (): void => this.context.streams.pause();
  readonly resume = (): void => this.context.streams.resume();
  protected readonly url: URL;
  protected readonly client: UpstreamClient;
  protected readonly context: StreamContext;
  protected readonly posts: OutgoingPosts;
  protected readonly clock: Clock;
  protected readonly responseTimeoutMs: number;
  protected readonly onWarning: (message: string) => void;
  #events: UpstreamEvents | undefined;
  #hasEnded = false;
  #closing: Promise<void> | undefined;

  constructor(options: HttpUpstreamOptions) {
    const { allowPlainHttp = false, connectTimeoutMs = defaultConnectTimeoutMs, maxMessageBytes, onWarning } = options;
    this.clock = options.clock ?? systemClock;
    this.responseTimeoutMs = options.responseTimeoutMs ?? defaultResponseTimeoutMs;
    this.onWarning = onWarning;
    this.url = checkUpstreamUrl(options.url, { allowPlainHttp });
    this.client = createUpstreamClient({ ...options, url: this.url, connectTimeoutMs, clock: this.clock });
    const decoder = new MessageDecoder({ maxMessageBytes, onWarning });
    this.context = { streams: new PausableStreams(), decoder, maxMessageBytes };
    this.posts = new OutgoingPosts({
      clock: this.clock,
      isOpen: () => this.isOpen(),
      hasRoomForRequest: () => this.hasRoomForRequest(),
      post: (outgoing) => void this.sendNow(outgoing),
    });
  }

  protected abstract isOpen(): boolean;
  protected abstract post(outgoing: OutgoingPost, options: PostOptions): UpstreamExchange;
  protected abstract onFailed(outgoing: OutgoingPost, failure: UpstreamFailure): void;
  /** The status is a success. */
  protected abstract onAccepted(outgoing: OutgoingPost, response: HttpResponse): void;
  protected abstract onRefused(outgoing: OutgoingPost, refusal: Refusal): void;
  /** Records that a request has its answer. Returns false when nobody waits for it. */
  protected abstract onAnswer(response: RpcResponse): boolean;
  abstract send(message: RpcMessage): boolean;

  protected hasRoomForRequest(): boolean {
    return true;
  }

  start(events: UpstreamEvents): void {
    this.#events = events;
  }

  close(): Promise<void> {
    this.#closing ??= this.finish();
    return this.#closing;
  }

  /** Undefined when the upstream has ended or not started, or the server has left too much unread. */
  protected accept(message: RpcMessage): OutgoingPost | undefined {
    if (this.#hasEnded || this.#events === undefined) return undefined;
    const outgoing = this.posts.accept(message);
    if (outgoing !== undefined) this.context.decoder.sent(message);
    return outgoing;
  }

  protected receive(given: RpcMessage, origin?: RequestId): void {
    if (this.#hasEnded) return;
    const message = given.kind === 'response' ? this.context.decoder.admit(given) : given;
    if (message === undefined || (message.kind === 'response' && !this.onAnswer(message))) return;
    this.#events?.onMessage(message, origin);
    this.posts.drain();
  }

  protected reportUndelivered(message: RpcMessage, words: string): void {
    const name = message.kind === 'response' ? 'an answer of the client' : message.method;
    this.onWarning(`${name} did not reach the server: ${words}`);
  }

  /** Ends the upstream, unless it has ended or is being closed. */
  protected end(cause: UpstreamEndCause): void {
    if (this.#hasEnded) return;
    this.beforeEnd(cause.reason);
    const untaken = this.posts.untaken().map(({ message }) => message);
    this.stop();
    void this.client.close();
    this.#reportEnd({ ...cause, stderr: '', untaken });
  }

  /** The last moment at which messages are delivered. */
  protected beforeEnd(_reason: string): void {}

  /** From now on nothing is delivered, sent or waited for. */
  protected stop(): void {
    this.#hasEnded = true;
    this.posts.end();
  }

  protected async finish(): Promise<void> {
    this.stop();
    await this.client.close();
    this.#reportEnd({ code: 'upstream_exited', reason: 'the connection to the server was closed', stderr: '' });
  }

  #reportEnd(end: UpstreamEnd): void {
    const events = this.#events;
    this.#events = undefined;
    events?.onClose(end);
  }

  /** Sends a message without waiting for the queue, and resolves when its response has been handled. Never rejects. */
  protected async sendNow(outgoing: OutgoingPost): Promise<void> {
    const { message, release } = outgoing;
    const hasLimit = message.kind !== 'request' || isInitialize(message);
    const limit = hasLimit ? { headTimeoutMs: this.responseTimeoutMs } : {};
    const exchange = this.post(outgoing, { onSent: release, ...limit });
    this.posts.started(outgoing, exchange);
    const outcome = await exchange.outcome;
    if (!this.posts.isUnderWay(outgoing)) return;
    if (outcome.kind === 'failed') {
      this.onFailed(outgoing, outcome);
    } else if (outcome.status >= 200 && outcome.status < 300) {
      this.onAccepted(outgoing, outcome);
    } else {
      const body = await this.#readErrorBody(outcome);
      if (!this.posts.isUnderWay(outgoing)) return;
      const error = message.kind === 'request' ? errorIn(body, message.id) : undefined;
      this.onRefused(outgoing, { ...outcome, body, error });
    }
    this.posts.drain();
  }

  async #readErrorBody({ response }: HttpResponse): Promise<Buffer> {
    const stopReading = this.clock.after(this.responseTimeoutMs, () => void response.destroy());
    const body = await readResponseBody(response, maxErrorBodyBytes);
    stopReading();
    return typeof body === 'string' ? Buffer.alloc(0) : body;
  }
}
