import type { OutgoingHttpHeaders } from 'node:http';

import type { Bytes } from '../bytes.ts';
import type { Call, CallFailure } from '../bridge/call.ts';
import { errorResponse, type RequestId } from '../mcp/json-rpc.ts';
import { encodeComment } from '../mcp/sse.ts';
import { watchBackPressure } from './back-pressure.ts';
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
  readonly onDone: () => void;
}

/**
 * The answer to a POSTed request: JSON when the response is all there is to say, an event stream as soon as something
 * comes before it (MCP 2025-11-25, Streamable HTTP, "Sending Messages to the Server").
 */
export function createReply(options: ReplyOptions): Reply {
  const { response, id, headersAt, openStream = createMessageStream, onDone } = options;
  const backPressure = watchBackPressure(response);
  let stream: MessageStream | undefined;
  let connection: EventStream | undefined;
  let over = false;
  let done = false;
  let quiet = false;
  let onGone: (() => void)[] = [];
  backPressure.whenClosed(() => {
    finish();
    if (stream === undefined) leave();
  });

  /** Of the response: the call itself goes on where its client can come back for the rest. */
  function finish(): void {
    if (done) return;
    done = true;
    onDone();
  }

  function leave(): void {
    if (over) return;
    over = stream?.canReturn() !== true;
    for (const callback of onGone) callback();
  }

  function begin(): EventStream {
    return createEventStream(response, { headers: headersAt?.('early'), backPressure });
  }

  function beginStream(): MessageStream {
    connection = begin();
    stream = openStream();
    stream.whenGone(leave);
    stream.connect(connection);
    return stream;
  }

  function conclude(bytes: Bytes): boolean {
    if (over) return true;
    over = true;
    let writable: boolean;
    if (stream === undefined) {
      answerJson(response, 200, bytes, headersAt?.('final'));
      writable = backPressure.isWritable();
    } else {
      writable = stream.finish(bytes, id);
    }
    finish();
    return writable;
  }

  return {
    place: -1,
    isOpen: () => !over && (stream === undefined || stream.isConnected()),
    absence: () => (over ? undefined : stream?.absence()),
    send(message) {
      return over || (stream ?? beginStream()).send(message);
    },
    finish: (message) => conclude(message.bytes),
    fail: (failure: CallFailure) => void conclude(errorResponse({ id, ...failure })),
    end() {
      if (over) return;
      over = true;
      // Without an event, so that no client comes back for more.
      if (stream === undefined) begin().end();
      else stream.abandon();
      finish();
    },
    whenWritable(callback) {
      if (stream === undefined) backPressure.whenWritable(callback);
      else stream.whenWritable(callback);
    },
    whenGone: (callback) => void onGone.push(callback),
    recall: (message) => stream?.recall(message) ?? true,
    discard() {
      over = true;
      onGone = [];
      finish();
    },
    keepAlive(isLook) {
      if (over) return;
      if (connection !== undefined) {
        connection.keepAlive(isLook);
      } else if (quiet) {
        beginStream();
        response.write(encodeComment('keep-alive'));
      }
      quiet = true;
    },
  };
}
