import { gather, piecesOf, type Bytes } from '../../platform/bytes.ts';
import type { PendingRequest } from '../../bridge/session/pending-request.ts';
import { errorResponse, rpcCode, type RequestId } from '../../mcp/json-rpc.ts';
import { createEventStream } from './event-stream.ts';
import { answerEmpty, answerJson } from './json-response.ts';
import type { ActiveResponse } from './active-responses.ts';
import type { HttpResponse } from '../message.ts';
import type { MessageStream } from './message-stream.ts';
import { createStreamCall, type CallStream } from './call-stream.ts';

/** What the responses of a batch that are collected for one answer may have together, in bytes; as one message may have. */
const maxCollectedBytes: number = 64 * 1024 * 1024;

export interface BatchResponse extends ActiveResponse {
  /** The way for what belongs to one request of the batch, or to one whose id must not be answered (null). */
  callFor(id: RequestId | null): PendingRequest;
}

export interface BatchResponseOptions {
  readonly response: HttpResponse;
  /** Undefined for a client that takes no event stream: it gets one array with all responses. */
  readonly stream: MessageStream | undefined;
  /** Number of requests in the batch, at least one. */
  readonly requests: number;
  /** The response is done with: all requests are answered, or the client has gone. */
  readonly onDone: () => void;
}

/** Where the responses go, and what is done with the last of them. */
interface BatchAnswer extends Pick<ActiveResponse, 'keepAlive'> {
  readonly stream: CallStream;
  readonly isResponseOnly: boolean;
  finish(): void;
  whenClosed(callback: () => void): void;
}

/**
 * The answer to a batch: an event stream with the response to each of its requests, which ends with the last of them, or
 * one array of them all (MCP 2025-03-26, Streamable HTTP, "Sending Messages to the Server").
 */
export function createBatchResponse({ response, stream, requests, onDone }: BatchResponseOptions): BatchResponse {
  const answer = stream === undefined ? collected(response) : streamed(response, stream);
  let unanswered = requests;
  let done = false;
  function finish(): void {
    if (done) return;
    done = true;
    onDone();
  }
  answer.whenClosed(finish);

  return {
    callFor: (id) =>
      createStreamCall({
        stream: answer.stream,
        isResponseOnly: answer.isResponseOnly,
        id,
        onOver() {
          if (--unanswered > 0) return;
          answer.finish();
          finish();
        },
      }),
    keepAlive: answer.keepAlive,
    place: -1,
  };
}

function streamed(response: HttpResponse, stream: MessageStream): BatchAnswer {
  const connection = createEventStream(response);
  stream.connect(connection);
  return {
    stream,
    isResponseOnly: false,
    finish: () => void stream.finish(),
    whenClosed: connection.whenClosed,
    keepAlive: connection.keepAlive,
  };
}

/** One JSON array for all (JSON-RPC 2.0 §6). */
function collected(response: HttpResponse): BatchAnswer {
  const parts: Buffer[] = [];
  let size = 0;
  let isGone = false;
  const onGone: (() => void)[] = [];

  function add(message: Bytes): void {
    parts.push(Buffer.from(parts.length === 0 ? '[' : ','), ...piecesOf(message));
    size += message.length + 1;
  }

  response.once('close', () => {
    isGone = true;
    for (const callback of onGone) callback();
  });
  return {
    isResponseOnly: true,
    stream: {
      isConnected: () => !isGone,
      absence: () => undefined,
      send: () => true,
      whenWritable: (callback) => callback(),
      whenGone: (callback) => void onGone.push(callback),
      recall: () => true,
      write(message, id) {
        if (isGone) return true;
        const fits = size + message.length <= maxCollectedBytes;
        add(fits ? message : errorResponse({ id: id ?? null, ...tooLarge }));
        return true;
      },
    },
    finish() {
      if (isGone) return;
      // Nothing is said of calls that were cancelled, and an empty array would be no batch.
      if (parts.length === 0) {
        answerEmpty(response, 202);
        return;
      }
      parts.push(Buffer.from(']'));
      answerJson(response, 200, gather(parts, size + 1));
    },
    whenClosed: (callback) => void onGone.push(callback),
    keepAlive() {},
  };
}

const tooLarge = {
  code: rpcCode.internalError,
  message: `the answers to the batch are larger than ${maxCollectedBytes} bytes together`,
  data: { reason: 'message_too_large' },
};
