import { Backoff } from '../../../platform/backoff.ts';
import { createDeferred } from '../../../platform/deferred.ts';
import type { RpcMessage } from '../../../mcp/json-rpc.ts';
import { followEventStream, isEventStream, type StreamCursor } from './follow-event-stream.ts';
import { isPassing } from './http-response.ts';
import { compressedWords, statusWords } from './response-problems.ts';
import type { UpstreamExchange } from './upstream-client.ts';
import type { SessionStreamContext } from './http-session.ts';

export interface StandaloneStreamOptions {
  readonly context: SessionStreamContext;
  readonly onMessage: (message: RpcMessage) => void;
  readonly onWarning: (message: string) => void;
}

/** The stream of messages that are not related to a request (MCP 2025-11-25, Listening for Messages from the Server). */
export interface StandaloneStream {
  /** Resolves with the first response, or when there is none. Never rejects. */
  readonly answered: Promise<void>;
  close(): void;
}

/** Opens the stream, and reopens it whenever it ends, as long as the server offers it. */
export function openStandaloneStream(options: StandaloneStreamOptions): StandaloneStream {
  const { context, onMessage, onWarning } = options;
  const { session, clock, onSessionLost } = context;
  const cursor: StreamCursor = { lastEventId: undefined, retryMs: undefined };
  const backoff = new Backoff(clock);
  const { promise: answered, resolve } = createDeferred<void>();
  let exchange: UpstreamExchange | undefined;
  let hasBeenOpen = false;
  let closed = false;
  let stopTimer: (() => void) | undefined;

  function reopen(): void {
    if (!closed) stopTimer = clock.after(backoff.next(cursor.retryMs), () => void open());
  }

  async function open(): Promise<void> {
    exchange = session.get(cursor.lastEventId);
    const outcome = await exchange.outcome;
    resolve();
    if (closed) return;
    if (outcome.kind === 'failed') {
      if (outcome.isFinal) giveUp(outcome.reason);
      else reopen();
    } else if (outcome.status === 200 && isEventStream(outcome.response)) {
      hasBeenOpen = true;
      backoff.connected();
      followEventStream({ ...context, response: outcome.response, cursor, onMessage, onEnd: reopen });
    } else {
      outcome.response.destroy();
      readRefusal(outcome.status, compressedWords(outcome.response));
    }
  }

  function readRefusal(status: number, compressed: string | undefined): void {
    if (isPassing(status)) {
      reopen();
    } else if (status === 404 && hasBeenOpen && session.id !== undefined) {
      onSessionLost();
    } else if (status >= 400 && status < 500 && cursor.lastEventId !== undefined) {
      // The server may have forgotten the event: reopen without it.
      cursor.lastEventId = undefined;
      reopen();
    } else if (hasBeenOpen || ![404, 405, 501].includes(status)) {
      // Servers without this stream answer 404 or 501 as well as 405.
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
