import type { IncomingMessage } from 'node:http';

import { createBackoff } from '../../../platform/backoff.ts';
import type { Clock } from '../../../platform/clock.ts';
import { isJson } from '../../../mcp/headers.ts';
import { rpcCode, type RequestId, type RpcMessage } from '../../../mcp/json-rpc.ts';
import { newError } from '../../../mcp/new-message.ts';
import { lingerMs, readResponseBody } from './response-body.ts';
import {
  followEventStream,
  isCompressed,
  isEventStream,
  type StreamCursor,
  type StreamEnd,
} from './follow-event-stream.ts';
import { isPassing } from './http-response.ts';
import { compressedWords, statusWords } from './response-problems.ts';
import type { UpstreamExchange } from './upstream-client.ts';
import type { HttpSession } from './http-session.ts';
import type { MessageDecoder } from '../message-decoder.ts';
import type { PausableStreams } from './pausable-streams.ts';

/** Connections in a row that fail, or end without anything having come, before a broken answer is given up. */
const maxFruitlessTries = 5;

/** The same for a server that wants to be asked again and again, which it says with `retry`: hours, by the second. */
const maxFruitlessPolls = 10_000;

/** Least time between two connections, in milliseconds: `retry: 0` is no leave to keep the server busy. */
const minPollMs = 100;

export interface PendingResponseOptions {
  readonly id: RequestId;
  readonly session: HttpSession;
  readonly streams: PausableStreams;
  readonly decoder: MessageDecoder;
  readonly maxMessageBytes: number;
  readonly clock: Clock;
  /** Everything that comes on the way to the answer, and the answer, or an error in its place. */
  readonly onMessage: (message: RpcMessage) => void;
  readonly onSessionLost: () => void;
  /** Nothing is left of it. Called once. */
  readonly onOver: () => void;
}

/** What comes back for one request: JSON, or an event stream that may go on over several connections. */
export interface PendingResponse {
  /** Reads the response to the POST, whose status is a success. */
  read(response: IncomingMessage): void;
  /** The answer has come, or nobody waits for it any more: what is left of the stream gets a moment to end. */
  release(): void;
  /** There will be no answer: an error takes its place, with `reason` in its data. */
  fail(words: string, reason: string, data?: Readonly<Record<string, unknown>>): void;
  abort(): void;
}

export function createPendingResponse(options: PendingResponseOptions): PendingResponse {
  const { id, session, streams, decoder, maxMessageBytes, clock, onMessage, onSessionLost, onOver } = options;
  const cursor: StreamCursor = { lastEventId: undefined, retryMs: undefined };
  let backoff = createBackoff({ clock });
  let fruitless = 0;
  let failures = 0;
  let isAwaited = true;
  let over = false;
  let response: IncomingMessage | undefined;
  let exchange: UpstreamExchange | undefined;
  let stopTimer: (() => void) | undefined;

  function finish(): void {
    if (over) return;
    over = true;
    stopTimer?.();
    response?.destroy();
    exchange?.abort();
    onOver();
  }

  function fail(words: string, reason: string, data: Readonly<Record<string, unknown>> = {}): void {
    if (over) return;
    if (isAwaited) {
      const error = { id, code: rpcCode.internalError, message: words, data: { reason, ...data } };
      onMessage(newError(error));
    }
    finish();
  }

  async function readJson(from: IncomingMessage): Promise<void> {
    streams.add(from);
    const body = await readResponseBody(from, maxMessageBytes);
    if (over) return;
    if (body === 'too large') {
      fail(
        `the server's answer is larger than the ${maxMessageBytes} bytes that a message may have`,
        'message_too_large',
      );
    } else if (body === 'cut off') {
      fail('the connection broke in the middle of the server’s answer', 'upstream_stream_lost');
    } else {
      for (const message of decoder.read(body, { request: id })) onMessage(message);
      if (isAwaited) fail('the server’s answer cannot be read: it is not that of the request', 'message_unreadable');
      else finish();
    }
  }

  function follow(from: IncomingMessage): void {
    response = from;
    const reading = { streams, decoder, maxMessageBytes, cursor, onMessage };
    followEventStream({ ...reading, response: from, request: id, onEnd: resume });
  }

  /** Goes on with a stream that ended before the answer had come. */
  function resume({ isClean, hadMessages, hadOverlong }: StreamEnd): void {
    response = undefined;
    if (over) return;
    if (!isAwaited) {
      finish();
    } else if (hadOverlong) {
      fail(
        `the server's answer is larger than the ${maxMessageBytes} bytes that a message may have`,
        'message_too_large',
      );
    } else if (cursor.lastEventId === undefined) {
      lose(
        isClean
          ? 'the server ended its answer without a response'
          : 'the connection broke before the server had answered',
      );
    } else {
      failures = 0;
      fruitless = hadMessages ? 0 : fruitless + 1;
      if (hadMessages) backoff = createBackoff({ clock });
      const asked = isClean && cursor.retryMs !== undefined;
      if (fruitless > (asked ? maxFruitlessPolls : maxFruitlessTries)) lose('the server does not resume its answer');
      else tryAgain(asked ? (cursor.retryMs ?? 0) : backoff.next(cursor.retryMs));
    }
  }

  function lose(words: string): void {
    fail(words, 'upstream_stream_lost');
  }

  function tryAgain(delayMs: number): void {
    stopTimer = clock.after(Math.max(delayMs, minPollMs), () => void reconnect());
  }

  async function reconnect(): Promise<void> {
    exchange = session.get(cursor.lastEventId);
    const outcome = await exchange.outcome;
    if (over) return;
    if (outcome.kind === 'response' && outcome.status === 200 && isEventStream(outcome.response)) {
      follow(outcome.response);
      return;
    }
    if (outcome.kind === 'response') outcome.response.destroy();
    if (outcome.kind === 'response' && outcome.status === 404 && session.id !== undefined) {
      onSessionLost();
    } else if (outcome.kind === 'response' && !isPassing(outcome.status)) {
      const why = compressedWords(outcome.response) ?? statusWords(outcome.status);
      lose(`the connection broke before the server had answered, and cannot be resumed: ${why}`);
    } else if (++failures >= maxFruitlessTries) {
      const why = outcome.kind === 'failed' ? outcome.reason : statusWords(outcome.status);
      lose(`the connection broke before the server had answered, and cannot be resumed: ${why}`);
    } else {
      tryAgain(backoff.next(cursor.retryMs));
    }
  }

  return {
    read(first) {
      if (over) {
        first.destroy();
      } else if (isEventStream(first)) {
        follow(first);
      } else if (isJson(first.headers['content-type']) && !isCompressed(first)) {
        response = first;
        void readJson(first);
      } else {
        first.destroy();
        const status = first.statusCode ?? 0;
        const words = compressedWords(first) ?? `${statusWords(status)} with neither JSON nor an event stream`;
        fail(words, 'upstream_http_error', { status });
      }
    },
    release() {
      if (over || !isAwaited) return;
      isAwaited = false;
      stopTimer?.();
      stopTimer = clock.after(lingerMs, finish);
    },
    fail,
    abort() {
      isAwaited = false;
      finish();
    },
  };
}
