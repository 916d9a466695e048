import { createBackoff } from '../../../backoff.ts';
import type { Clock } from '../../../clock.ts';
import { createDeferred } from '../../../deferred.ts';
import type { RpcMessage } from '../../../mcp/json-rpc.ts';
import { followEventStream, isEventStream, type StreamCursor } from './event-stream.ts';
import type { HttpExchange } from './http-client.ts';
import type { HttpSession } from './http-session.ts';
import type { MessageIntake } from './message-intake.ts';
import type { PausableStreams } from './pausable-streams.ts';

/** Answers that may be others the next time; 409 is for a stream whose end the server has not noticed yet. */
const passingStatuses: ReadonlySet<number> = new Set([408, 409, 425, 429, 500, 502, 503, 504]);

export interface GeneralGetStreamOptions {
  readonly session: HttpSession;
  readonly streams: PausableStreams;
  readonly intake: MessageIntake;
  readonly maxMessageBytes: number;
  readonly clock: Clock;
  readonly onMessage: (message: RpcMessage) => void;
  readonly onSessionLost: () => void;
}

/** The stream of messages that belong to no request (MCP 2025-11-25, Listening for Messages from the Server). */
export interface GeneralGetStream {
  /** The server has answered the first time, with the stream or without one, or could not be reached. Never rejects. */
  readonly answered: Promise<void>;
  close(): void;
}

/** Opens the stream, and again whenever it ends, as long as the server offers one. */
export function openGeneralGetStream(options: GeneralGetStreamOptions): GeneralGetStream {
  const { session, clock, onSessionLost, ...reading } = options;
  const cursor: StreamCursor = { lastEventId: undefined, retryMs: undefined };
  const backoff = createBackoff({ clock });
  const { promise: answered, resolve } = createDeferred<void>();
  let exchange: HttpExchange | undefined;
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
      if (!outcome.final) openAgain();
    } else if (outcome.status === 200 && isEventStream(outcome.response)) {
      hasBeenOpen = true;
      backoff.connected();
      followEventStream({ ...reading, response: outcome.response, cursor, onEnd: openAgain });
    } else {
      outcome.response.destroy();
      if (passingStatuses.has(outcome.status)) openAgain();
      // A server without such a stream may say 404 as well as 405.
      else if (outcome.status === 404 && hasBeenOpen && session.id !== undefined) onSessionLost();
    }
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
