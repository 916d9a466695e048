import { createBackoff } from '../../../platform/backoff.ts';
import type { Clock } from '../../../platform/clock.ts';
import { createDeferred } from '../../../platform/deferred.ts';
import type { RpcMessage } from '../../../mcp/json-rpc.ts';
import { followEventStream, isEventStream, type StreamCursor } from './follow-event-stream.ts';
import { isPassing } from './http-response.ts';
import { compressedWords, statusWords } from './response-problems.ts';
import type { UpstreamExchange } from './upstream-client.ts';
import type { HttpSession } from './http-session.ts';
import type { MessageDecoder } from '../message-decoder.ts';
import type { PausableStreams } from './pausable-streams.ts';

export interface StandaloneStreamOptions {
  readonly session: HttpSession;
  readonly streams: PausableStreams;
  readonly decoder: MessageDecoder;
  readonly maxMessageBytes: number;
  readonly clock: Clock;
  readonly onMessage: (message: RpcMessage) => void;
  readonly onSessionLost: () => void;
  readonly onWarning: (message: string) => void;
}

/** The stream of messages that belong to no request (MCP 2025-11-25, Listening for Messages from the Server). */
export interface StandaloneStream {
  /** The server has answered the first time, with the stream or without one, or could not be reached. Never rejects. */
  readonly answered: Promise<void>;
  close(): void;
}

/** Opens the stream, and again whenever it ends, as long as the server offers one. */
export function openStandaloneStream(options: StandaloneStreamOptions): StandaloneStream {
  const { session, clock, onSessionLost, onWarning, ...reading } = options;
  const cursor: StreamCursor = { lastEventId: undefined, retryMs: undefined };
  const backoff = createBackoff({ clock });
  const { promise: answered, resolve } = createDeferred<void>();
  let exchange: UpstreamExchange | undefined;
  let hasBeenOpen = false;
  let closed = false;
  let stopTimer: (() => void) | undefined;

  function openAgain(): void {
    if (!closed) stopTimer = clock.after(backoff.next(cursor.retryMs), () => void open());
  }

  async function open(): Promise<void> {
    exchange = session.get(cursor.lastEventId);
    const outcome = await exchange.outcome;
    resolve();
    if (closed) return;
    if (outcome.kind === 'failed') {
      if (outcome.isFinal) giveUp(outcome.reason);
      else openAgain();
    } else if (outcome.status === 200 && isEventStream(outcome.response)) {
      hasBeenOpen = true;
      backoff.connected();
      followEventStream({ ...reading, response: outcome.response, cursor, onEnd: openAgain });
    } else {
      outcome.response.destroy();
      readRefusal(outcome.status, compressedWords(outcome.response));
    }
  }

  function readRefusal(status: number, compressed: string | undefined): void {
    if (isPassing(status)) {
      openAgain();
    } else if (status === 404 && hasBeenOpen && session.id !== undefined) {
      onSessionLost();
    } else if (status >= 400 && status < 500 && cursor.lastEventId !== undefined) {
      // The server may have forgotten the event; what comes from now on is worth having all the same.
      cursor.lastEventId = undefined;
      openAgain();
    } else if (hasBeenOpen || ![404, 405, 501].includes(status)) {
      // A server without such a stream may say 404 or 501 as well as 405.
      giveUp(status === 200 ? (compressed ?? 'it answered with no event stream') : statusWords(status));
    }
  }

  function giveUp(why: string): void {
    onWarning(`messages of the server outside of calls are not received: ${why}`);
  }

  void open();
  return {
    answered,
    close() {
      closed = true;
      stopTimer?.();
      exchange?.abort();
      resolve();
    },
  };
}
