import type { OutgoingHttpHeaders } from 'node:http';

import type { Bytes } from '../bytes.ts';
import type { Call, CallFailure, UpstreamMessage } from '../bridge/call.ts';
import { errorResponse, type RequestId, type RpcRequest, type RpcResponse } from '../mcp/json-rpc.ts';
import { encodeComment } from '../mcp/sse.ts';
import { watchBackPressure, type BackPressure } from './back-pressure.ts';
import { createEventStream, type EventStream } from './event-stream.ts';
import { answerJson } from './json-answer.ts';
import type { Live } from './live-list.ts';
import type { HttpResponse } from './message.ts';
import { createMessageStream, type MessageStream } from './message-stream.ts';

export interface Reply extends Call, Live {
  /** As `EventStream.keepAlive`; a reply that has said nothing yet becomes an event stream to say it. */
  keepAlive(isLook?: boolean): void;
  /** Somebody else answers: nothing has been written, and nothing will be. */
  discard(): void;
}

/** Whether an answer begins before the response has come, as an event stream, or with it. */
export type AnswerBegin = 'early' | 'final';

export interface ReplyOptions {
  readonly response: HttpResponse;
  readonly id: RequestId;
  /** Headers to send with the answer, asked for when it begins. */
  readonly headersAt?: (begin: AnswerBegin) => OutgoingHttpHeaders;
  /** Gives the stream when there is to be one. Default: one that ends with its connection. */
  readonly openStream?: () => MessageStream;
  /** The response is done with: it is complete, or its client has gone. */
  readonly onDone: (reply: Live) => void;
}

/**
 * The answer to a POSTed request: JSON when the response is all there is to say, an event stream as soon as something
 * comes before it (MCP 2025-11-25, Streamable HTTP, "Sending Messages to the Server").
 */
export function createReply(options: ReplyOptions): Reply {
  return new ResponseReply(options);
}

/** A class, since each call has one: as closures it would take another kilobyte. */
class ResponseReply implements Reply {
  place = -1;
  readonly #options: ReplyOptions;
  readonly #backPressure: BackPressure;
  #stream: MessageStream | undefined;
  #connection: EventStream | undefined;
  #isOver = false;
  #isDone = false;
  #isQuiet = false;
  #onGone: (() => void)[] | undefined;

  constructor(options: ReplyOptions) {
    this.#options = options;
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
    return this.#isOver || (this.#stream ?? this.#beginStream()).send(message);
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
    // Without an event, so that no client comes back for more.
    if (this.#stream === undefined) this.#begin().end();
    else this.#stream.abandon();
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

  keepAlive(isLook?: boolean): void {
    if (this.#isOver) return;
    if (this.#connection !== undefined) {
      this.#connection.keepAlive(isLook);
    } else if (this.#isQuiet) {
      this.#beginStream();
      this.#options.response.write(encodeComment('keep-alive'));
    }
    this.#isQuiet = true;
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

  #begin(): EventStream {
    const { response, headersAt } = this.#options;
    return createEventStream(response, { headers: headersAt?.('early'), backPressure: this.#backPressure });
  }

  #beginStream(): MessageStream {
    const { openStream = createMessageStream } = this.#options;
    this.#connection = this.#begin();
    const stream = openStream();
    this.#stream = stream;
    stream.whenGone(() => this.#leave());
    stream.connect(this.#connection);
    return stream;
  }

  #conclude(bytes: Bytes): boolean {
    if (this.#isOver) return true;
    this.#isOver = true;
    const { response, id, headersAt } = this.#options;
    let isWritable: boolean;
    if (this.#stream === undefined) {
      answerJson(response, 200, bytes, headersAt?.('final'));
      isWritable = this.#backPressure.isWritable();
    } else {
      isWritable = this.#stream.finish(bytes, id);
    }
    this.#finish();
    return isWritable;
  }
}
