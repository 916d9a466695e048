import type { OutgoingHttpHeaders } from 'node:http';

import { asTextIfShort, type Bytes } from '../../platform/bytes.ts';
import type { ExchangeCall } from '../../bridge/exchange/exchanges.ts';
import type { CallFailure, UpstreamMessage } from '../../bridge/session/pending-request.ts';
import { errorResponse, memberOf, type RequestId, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import type { AnswerForm } from '../../mcp/headers.ts';
import { encodeEvent } from '../../mcp/sse.ts';
import type { ActiveResponse } from './active-responses.ts';
import { BackPressure } from './back-pressure.ts';
import { EventStream } from './event-stream.ts';
import { answerEmpty, answerJson, type Refused } from './json-response.ts';
import type { HttpResponse } from '../message.ts';
import { MessageStream } from './message-stream.ts';
import { openingBeats } from './keep-alive-timer.ts';

/** Whether the head is sent before the JSON-RPC response has come, as an event stream, or with it. */
type AnswerBegin = 'early' | 'final';

type HttpRefusal = Pick<Refused, 'status' | 'headers'>;

/** What the HTTP status of an error depends on; of any type, since it may come from a server. */
export interface ErrorFacts {
  readonly code: unknown;
  /** `data.reason` */
  readonly reason: unknown;
}

export interface PostResponseOptions {
  readonly response: HttpResponse;
  readonly id: RequestId;
  /** What the client accepts. */
  readonly form: AnswerForm;
  /** Returns further headers. Called when the head is written. */
  readonly headersAt?: ((begin: AnswerBegin) => OutgoingHttpHeaders) | undefined;
  /** The HTTP status and headers of an error that is not sent with 200, unless a stream has begun. Default: none. */
  readonly refusalOf?: ((error: ErrorFacts) => HttpRefusal | undefined) | undefined;
  /** Called with the response of the server, before it is sent. */
  readonly onResponse?: ((response: RpcResponse) => void) | undefined;
  /** Opens the stream if one is needed. Default: one that ends with its connection. */
  readonly openStream?: (() => MessageStream) | undefined;
  /** As in `ExchangeCall`. */
  readonly paramHeaders?: ExchangeCall['paramHeaders'];
  /** As in `ActiveResponse`. */
  readonly isSubscription?: boolean | undefined;
  /** Called when the response is complete, and again when it closes. The call continues if its client can resume it. */
  readonly onDone: (response: ActiveResponse) => void;
}

/**
 * The response to a POSTed request: JSON if the JSON-RPC response is the only message, an event stream as soon as
 * another message precedes it (MCP 2025-11-25, Streamable HTTP, "Sending Messages to the Server"), or after a silence.
 * A client that accepts only one of the two gets that one. A class, since each call has one.
 */
export class PostResponse implements ExchangeCall, ActiveResponse {
  place = -1;
  reported: ActiveResponse['reported'];
  readonly isResponseOnly: boolean;
  readonly paramHeaders: ExchangeCall['paramHeaders'];
  readonly isSubscription: boolean | undefined;
  readonly #options: PostResponseOptions;
  readonly #backPressure: BackPressure;
  #stream: MessageStream | undefined;
  #connection: EventStream | undefined;
  #isOver = false;
  #silentBeats = 0;
  #onGone: (() => void)[] | undefined;

  constructor(options: PostResponseOptions) {
    this.#options = options;
    this.isResponseOnly = options.form === 'json';
    this.paramHeaders = options.paramHeaders;
    this.isSubscription = options.isSubscription;
    this.#backPressure = new BackPressure(options.response);
    this.#backPressure.whenClosed(() => {
      options.onDone(this);
      if (this.#stream === undefined) this.#leave();
    });
  }

  isOpen(): boolean {
    return !this.#isOver && (this.#stream === undefined || this.#stream.isConnected());
  }

  absence(): 'short' | 'long' | undefined {
    return this.#isOver ? undefined : this.#stream?.absence();
  }

  send(message: UpstreamMessage): boolean {
    if (this.#isOver || this.isResponseOnly) return true;
    return (this.#stream ?? this.#beginStream()).send(message);
  }

  finish(response: RpcResponse): boolean {
    if (!this.#isOver) {
      this.reported?.answered(response);
      this.#options.onResponse?.(response);
    }
    return this.#conclude(response.bytes, response.failed ? this.#refusalOf(response.json['error']) : undefined);
  }

  fail(failure: CallFailure): void {
    const bytes = errorResponse({ id: this.#options.id, ...failure });
    if (!this.#isOver) this.reported?.failed(failure, bytes.length);
    this.#conclude(bytes, this.#refusalOf(failure));
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#stream !== undefined) this.#stream.abandon();
    else if (this.isResponseOnly) answerEmpty(this.#options.response, 202);
    // Without an event id, so that no client tries to resume it.
    else this.#begin('early').end();
    this.#options.onDone(this);
  }

  whenWritable(callback: () => void): void {
    (this.#stream ?? this.#backPressure).whenWritable(callback);
  }

  whenGone(callback: () => void): void {
    (this.#onGone ??= []).push(callback);
  }

  recall(serverRequest: RpcRequest): boolean {
    return this.#stream?.recall(serverRequest) ?? true;
  }

  /** Leaves the response, an error with this code, to other code: nothing has been written, and nothing will be. */
  discard(code?: number): void {
    this.#isOver = true;
    this.reported?.failed({ code }, 0);
    this.#onGone = undefined;
    this.#options.onDone(this);
  }

  /** As `EventStream.keepAlive`. A response that has not begun after some beats becomes an event stream, if allowed. */
  keepAlive(checksStalls?: boolean): void {
    if (this.#isOver || this.isResponseOnly) return;
    if (this.#connection !== undefined) this.#connection.keepAlive(checksStalls);
    else if (++this.#silentBeats >= openingBeats) this.#beginStream();
  }

  #refusalOf(error: unknown): HttpRefusal | undefined {
    const reason = memberOf(memberOf(error, 'data'), 'reason');
    return this.#options.refusalOf?.({ code: memberOf(error, 'code'), reason });
  }

  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = this.#stream?.canReturn() !== true;
    for (const callback of this.#onGone ?? []) callback();
  }

  #begin(begin: AnswerBegin): EventStream {
    const { response, headersAt } = this.#options;
    return new EventStream(response, { headers: headersAt?.(begin), backPressure: this.#backPressure });
  }

  #beginStream(): MessageStream {
    this.#connection = this.#begin('early');
    const stream = this.#options.openStream?.() ?? new MessageStream();
    this.#stream = stream;
    stream.whenGone(() => this.#leave());
    stream.connect(this.#connection);
    return stream;
  }

  #conclude(bytes: Bytes, refusal?: HttpRefusal): boolean {
    if (this.#isOver) return true;
    this.#isOver = true;
    const { response, id, form, headersAt } = this.#options;
    let isWritable: boolean;
    if (this.#stream !== undefined) {
      isWritable = this.#stream.finish(bytes, id);
    } else {
      if (refusal !== undefined) answerJson(response, refusal.status, bytes, refusal.headers);
      else if (form === 'stream') this.#begin('final').end(encodeEvent(asTextIfShort(bytes)));
      else answerJson(response, 200, bytes, headersAt?.('final'));
      isWritable = this.#backPressure.isWritable();
    }
    this.#options.onDone(this);
    return isWritable;
  }
}
