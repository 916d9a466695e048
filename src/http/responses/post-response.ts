import type { OutgoingHttpHeaders } from 'node:http';

import { asTextIfShort, type Bytes } from '../../platform/bytes.ts';
import type { PendingRequest, CallFailure, UpstreamMessage } from '../../bridge/session/pending-request.ts';
import { errorResponse, type RequestId, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import type { AnswerForm } from '../../mcp/headers.ts';
import { encodeEvent } from '../../mcp/sse.ts';
import { watchBackPressure, type BackPressure } from './back-pressure.ts';
import { createEventStream, type EventStream } from './event-stream.ts';
import { answerEmpty, answerJson } from './json-response.ts';
import type { ActiveResponse } from './active-responses.ts';
import type { HttpResponse } from '../message.ts';
import { createMessageStream, type MessageStream } from './message-stream.ts';
import { openingBeats } from './keep-alive-timer.ts';

export interface PostResponse extends PendingRequest, ActiveResponse {
  /** As `EventStream.keepAlive`; a reply that has said nothing for some beats becomes an event stream, where that is taken. */
  keepAlive(checksStalls?: boolean): void;
  /** Somebody else answers: nothing has been written, and nothing will be. */
  discard(): void;
}

/** Whether an answer begins before the response has come, as an event stream, or with it. */
export type AnswerBegin = 'early' | 'final';

export interface PostResponseOptions {
  readonly response: HttpResponse;
  readonly id: RequestId;
  /** What the client takes. */
  readonly form: AnswerForm;
  /** Headers to send with the answer, asked for when it begins. */
  readonly headersAt?: (begin: AnswerBegin) => OutgoingHttpHeaders;
  /** Gives the stream when there is to be one. Default: one that ends with its connection. */
  readonly openStream?: () => MessageStream;
  /** The response is done with: it is complete, or its client has gone. */
  readonly onDone: (reply: ActiveResponse) => void;
}

/**
 * The answer to a POSTed request: JSON when the response is all there is to say, an event stream as soon as something
 * comes before it (MCP 2025-11-25, Streamable HTTP, "Sending Messages to the Server"), or nothing has come for a while.
 * A client that takes only one of the two gets that one.
 */
export function createPostResponse(options: PostResponseOptions): PostResponse {
  return new McpPostResponse(options);
}

/** A class, since each call has one: as closures it would take another kilobyte. */
class McpPostResponse implements PostResponse {
  place = -1;
  readonly #options: PostResponseOptions;
  readonly #backPressure: BackPressure;
  #stream: MessageStream | undefined;
  #connection: EventStream | undefined;
  #isOver = false;
  #isDone = false;
  #silentBeats = 0;
  #onGone: (() => void)[] | undefined;

  readonly isResponseOnly: boolean;

  constructor(options: PostResponseOptions) {
    this.#options = options;
    this.isResponseOnly = options.form === 'json';
    this.#backPressure = watchBackPressure(options.response);
    this.#backPressure.whenClosed(() => {
      this.#finish();
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

  finish({ bytes }: RpcResponse): boolean {
    return this.#conclude(bytes);
  }

  fail(failure: CallFailure): void {
    this.#conclude(errorResponse({ id: this.#options.id, ...failure }));
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#stream !== undefined) this.#stream.abandon();
    else if (this.isResponseOnly) answerEmpty(this.#options.response, 202);
    // Without an event, so that no client comes back for more.
    else this.#begin('early').end();
    this.#finish();
  }

  whenWritable(callback: () => void): void {
    (this.#stream ?? this.#backPressure).whenWritable(callback);
  }

  whenGone(callback: () => void): void {
    (this.#onGone ??= []).push(callback);
  }

  recall(message: RpcRequest): boolean {
    return this.#stream?.recall(message) ?? true;
  }

  discard(): void {
    this.#isOver = true;
    this.#onGone = undefined;
    this.#finish();
  }

  keepAlive(checksStalls?: boolean): void {
    if (this.#isOver || this.isResponseOnly) return;
    if (this.#connection !== undefined) this.#connection.keepAlive(checksStalls);
    else if (++this.#silentBeats >= openingBeats) this.#beginStream();
  }

  /** Of the response: the call itself goes on where its client can come back for the rest. */
  #finish(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#options.onDone(this);
  }

  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = this.#stream?.canReturn() !== true;
    for (const callback of this.#onGone ?? []) callback();
  }

  #begin(begin: AnswerBegin): EventStream {
    const { response, headersAt } = this.#options;
    return createEventStream(response, { headers: headersAt?.(begin), backPressure: this.#backPressure });
  }

  #beginStream(): MessageStream {
    const { openStream = createMessageStream } = this.#options;
    this.#connection = this.#begin('early');
    const stream = openStream();
    this.#stream = stream;
    stream.whenGone(() => this.#leave());
    stream.connect(this.#connection);
    return stream;
  }

  #conclude(bytes: Bytes): boolean {
    if (this.#isOver) return true;
    this.#isOver = true;
    const { response, id, form, headersAt } = this.#options;
    let isWritable: boolean;
    if (this.#stream !== undefined) {
      isWritable = this.#stream.finish(bytes, id);
    } else {
      if (form === 'stream') this.#begin('final').end(encodeEvent(asTextIfShort(bytes)));
      else answerJson(response, 200, bytes, headersAt?.('final'));
      isWritable = this.#backPressure.isWritable();
    }
    this.#finish();
    return isWritable;
  }
}
