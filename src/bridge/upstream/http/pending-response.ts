import type { IncomingMessage } from 'node:http';

import { Backoff } from '../../../platform/backoff.ts';
import { rpcCode, type RequestId, type RpcMessage } from '../../../mcp/json-rpc.ts';
import { newError } from '../../../mcp/new-message.ts';
import {
  followEventStream,
  isEventStream,
  isJsonResponse,
  type StreamContext,
  type StreamCursor,
  type StreamEnd,
} from './follow-event-stream.ts';
import { isPassing, lingerMs, readResponseBody } from './http-response.ts';
import type { SessionStreamContext } from './http-session.ts';
import { compressedWords, statusWords } from './response-problems.ts';
import type { UpstreamExchange } from './upstream-client.ts';

/** Connections in a row that fail, or end without a message, before a broken answer is given up. */
const maxFruitlessTries = 5;

/** The same for a server that asks for polling with `retry`: hours, at one poll per second. */
const maxFruitlessPolls = 10_000;

/** Shortest time between two connections, in milliseconds: `retry: 0` must not keep the server busy. */
const minPollMs = 100;

const brokeWords = 'the connection broke before the server had answered';

export interface PendingResponseOptions {
  readonly id: RequestId;
  /** Without a session, a stream that breaks is not resumed (MCP 2026-07-28). */
  readonly context: StreamContext & Pick<SessionStreamContext, 'clock'> & Partial<SessionStreamContext>;
  /** Gets the messages before the answer, and the answer or an error in its place. */
  readonly onMessage: (message: RpcMessage) => void;
  /** Nothing is left to read. Called once. */
  readonly onOver: () => void;
}

/** What the server sends for one request: JSON, or an event stream that may span several connections. */
export class PendingResponse {
  readonly #options: PendingResponseOptions;
  readonly #cursor: StreamCursor = { lastEventId: undefined, retryMs: undefined };
  #backoff: Backoff | undefined;
  /** Connections in a row without a message. */
  #fruitless = 0;
  /** Connections in a row that failed. */
  #failures = 0;
  #isAwaited = true;
  #isOver = false;
  #response: IncomingMessage | undefined;
  #exchange: UpstreamExchange | undefined;
  #stopTimer: (() => void) | undefined;

  constructor(options: PendingResponseOptions) {
    this.#options = options;
  }

  /** Reads the response to the POST, whose status is a success. */
  read(first: IncomingMessage): void {
    if (this.#isOver) {
      first.destroy();
    } else if (isEventStream(first)) {
      this.#follow(first);
    } else if (isJsonResponse(first)) {
      void this.#readJson(first);
    } else {
      first.destroy();
      const status = first.statusCode ?? 0;
      const words = compressedWords(first) ?? `${statusWords(status)} with neither JSON nor an event stream`;
      this.fail(words, { reason: 'upstream_http_error', status });
    }
  }

  /** The answer has come, or nobody waits for it any more: the stream gets a moment to end. */
  release(): void {
    if (this.#isOver || !this.#isAwaited) return;
    this.#isAwaited = false;
    this.#stopTimer?.();
    this.#stopTimer = this.#options.context.clock.after(lingerMs, () => this.#finish());
  }

  /** There will be no answer: delivers an error with this `data` in its place. */
  fail(message: string, data: Readonly<Record<string, unknown>>): void {
    if (this.#isOver) return;
    const { id, onMessage } = this.#options;
    if (this.#isAwaited) onMessage(newError({ id, code: rpcCode.internalError, message, data }));
    this.#finish();
  }

  lose(words: string): void {
    this.fail(words, { reason: 'upstream_stream_lost' });
  }

  abort(): void {
    this.#isAwaited = false;
    this.#finish();
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopTimer?.();
    this.#response?.destroy();
    this.#exchange?.abort();
    this.#options.onOver();
  }

  #failTooLarge(): void {
    const { maxMessageBytes } = this.#options.context;
    const words = `the server's answer is larger than the ${maxMessageBytes} bytes that a message may have`;
    this.fail(words, { reason: 'message_too_large' });
  }

  async #readJson(response: IncomingMessage): Promise<void> {
    const { id, context, onMessage } = this.#options;
    this.#response = response;
    context.streams.add(response);
    const body = await readResponseBody(response, context.maxMessageBytes);
    if (this.#isOver) return;
    if (body === 'too large') {
      this.#failTooLarge();
    } else if (body === 'cut off') {
      this.lose('the connection broke in the middle of the server’s answer');
    } else {
      for (const message of context.decoder.read(body, { request: id })) onMessage(message);
      // Only finishes when the answer was among them.
      this.fail('the server’s answer cannot be read: it is not that of the request', { reason: 'message_unreadable' });
    }
  }

  #follow(response: IncomingMessage): void {
    const { id, context, onMessage } = this.#options;
    this.#response = response;
    const onEnd = (how: StreamEnd): void => this.#onStreamEnd(how);
    followEventStream({ ...context, response, request: id, cursor: this.#cursor, onMessage, onEnd });
  }

  #onStreamEnd(how: StreamEnd): void {
    this.#response = undefined;
    if (this.#isOver) return;
    if (!this.#isAwaited) this.#finish();
    else if (how.hadOverlong) this.#failTooLarge();
    else if (this.#cursor.lastEventId !== undefined && this.#options.context.session !== undefined) this.#resume(how);
    else this.lose(how.isClean ? 'the server ended its answer without a response' : brokeWords);
  }

  /** Continues a stream that ended before the answer came. */
  #resume({ isClean, hadMessages }: StreamEnd): void {
    this.#failures = 0;
    this.#fruitless = hadMessages ? 0 : this.#fruitless + 1;
    if (hadMessages) this.#backoff = undefined;
    const { retryMs } = this.#cursor;
    const pollMs = isClean ? retryMs : undefined;
    const maxTries = pollMs === undefined ? maxFruitlessTries : maxFruitlessPolls;
    if (this.#fruitless > maxTries) this.lose('the server does not resume its answer');
    else this.#reconnectLater(pollMs);
  }

  #reconnectLater(pollMs?: number): void {
    const { clock } = this.#options.context;
    this.#backoff ??= new Backoff(clock);
    const delayMs = Math.max(pollMs ?? this.#backoff.next(this.#cursor.retryMs), minPollMs);
    this.#stopTimer = clock.after(delayMs, () => void this.#reconnect());
  }

  async #reconnect(): Promise<void> {
    const { session, onSessionLost } = this.#options.context;
    this.#exchange = session?.get(this.#cursor.lastEventId);
    const outcome = await this.#exchange?.outcome;
    if (outcome === undefined || this.#isOver) return;
    if (outcome.kind === 'failed') {
      this.#retry(outcome.reason);
      return;
    }
    const { status, response } = outcome;
    if (status === 200 && isEventStream(response)) {
      this.#follow(response);
      return;
    }
    response.destroy();
    if (status === 404 && session?.id !== undefined) onSessionLost?.();
    else if (isPassing(status)) this.#retry(statusWords(status));
    else this.lose(`${brokeWords}, and cannot be resumed: ${compressedWords(response) ?? statusWords(status)}`);
  }

  #retry(why: string): void {
    if (++this.#failures < maxFruitlessTries) this.#reconnectLater();
    else this.lose(`${brokeWords}, and cannot be resumed: ${why}`);
  }
}
