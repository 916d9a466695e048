import { asTextIfShort, type Bytes, type ByteText } from '../../platform/bytes.ts';
import type { UpstreamMessage } from '../../bridge/session/pending-request.ts';
import { errorResponse, rpcCode, type RequestId } from '../../mcp/json-rpc.ts';
import { encodeComment, encodeEvent, encodePriming } from '../../mcp/sse.ts';
import type { EventOwner, KeptEvent, SessionBuffer } from './event-store.ts';
import type { EventStream } from './event-stream.ts';

/** Longest id of a request, in characters, that is remembered to answer it with an error when its answer was dropped. */
const maxRememberedId = 1024;

/** What a stream needs to outlive its connection. */
export interface StreamIdentity {
  /** Unique within the session. */
  readonly name: string;
  readonly buffer: SessionBuffer;
  /** Told to clients that understand an event without data; undefined for those that would choke on it. */
  readonly retryMs: number | undefined;
  /** How long a client that has gone is expected back, in milliseconds. */
  readonly graceMs: number;
  /** It may have become useless to keep it. */
  readonly onChange: () => void;
}

/**
 * The messages of one event stream, over one connection or, with an identity, over several in turn (MCP 2025-11-25,
 * Streamable HTTP, "Resumability and Redelivery").
 */
export interface MessageStream {
  isConnected(): boolean;
  /** Whether a client knows an event of it by which it can ask for the rest. */
  canReturn(): boolean;
  /** As `PendingRequest.absence`. */
  absence(): 'short' | 'long' | undefined;
  isFinished(): boolean;
  /** Whether there was an event of this number (0: none has come yet). */
  knows(number: number): boolean;
  /** Whether there is something to send behind this event. */
  hasMore(after: number): boolean;
  /** Whether there is something to send at all; where not, at most errors are left for answers that were dropped. */
  isKept(): boolean;
  /** Sends what came after this event, and all that is still to come, on a connection, which takes the older one's place. */
  connect(connection: EventStream, after?: number): void;
  /** @param answers the request whose response this is. Returns false as `MessageSink.send` does. */
  write(message: Bytes, answers?: RequestId): boolean;
  /** As `MessageSink.send`. */
  send(message: UpstreamMessage): boolean;
  /** As `MessageSink.whenWritable`. */
  whenWritable(callback: () => void): void;
  /** As `PendingRequest.recall`. */
  recall(ask: UpstreamMessage): boolean;
  /** Everything has been said, with this message or before. What a client has missed stays for it. */
  finish(message?: Bytes, answers?: RequestId): boolean;
  /** Nobody wants the rest. */
  abandon(): void;
  /** Calls back whenever its client has gone before the stream is finished, and is not expected back. */
  whenGone(callback: () => void): void;
}

export function createMessageStream(identity?: StreamIdentity): MessageStream {
  const kept = new Map<number, KeptEvent>();
  const answered = new Map<number, RequestId>();
  const serverRequests = new Map<number, UpstreamMessage>();
  let connection: EventStream | undefined;
  /** Numbers of events: of the newest, of the last on this connection, and of the last that a client is known to have. */
  let newest = 0;
  let sent = 0;
  let received = 0;
  let finished = false;
  let grace: NodeJS.Timeout | undefined;
  let waiting: (() => void)[] = [];
  let onGone: (() => void)[] = [];
  const owner: EventOwner = {
    onDropped(number) {
      kept.delete(number);
      serverRequests.delete(number);
      identity?.onChange();
    },
  };

  function add(message: Bytes | ByteText, answers: RequestId | undefined): void {
    newest++;
    if (identity === undefined) return;
    if (answers !== undefined && String(answers).length <= maxRememberedId) answered.set(newest, answers);
    const event = identity.buffer.keep(message, owner, newest);
    if (event !== undefined) kept.set(newest, event);
  }

  function idOf(number: number): string | undefined {
    return identity === undefined ? undefined : `${identity.name}-${number}`;
  }

  function write(bytes: Bytes, answers?: RequestId): boolean {
    if (finished) return true;
    const isCaughtUp = sent === newest;
    const message = asTextIfShort(bytes);
    add(message, answers);
    if (connection === undefined) return true;
    if (!isCaughtUp) return false;
    sent = newest;
    return connection.write(encodeEvent(message, idOf(newest)));
  }

  /** An event as it is sent again, or what is said in its place. */
  function encodedAgain(number: number): Buffer | ByteText | undefined {
    const event = kept.get(number);
    if (event !== undefined) return encodeEvent(event.message, idOf(number));
    const id = answered.get(number);
    return id === undefined ? undefined : encodeEvent(errorResponse({ id, ...notKept }), idOf(number));
  }

  /** Sends what the connection lacks, as fast as the client takes it. */
  function catchUp(current: EventStream): void {
    while (sent < newest) {
      if (!current.isWritable()) {
        current.whenWritable(() => {
          if (connection === current) catchUp(current);
        });
        return;
      }
      const event = encodedAgain(++sent);
      if (event !== undefined) current.write(event);
    }
    if (finished) current.end();
    release(current);
  }

  function release(current: EventStream | undefined): void {
    const released = waiting;
    waiting = [];
    for (const callback of released) {
      if (current === undefined || current.isWritable()) callback();
      else current.whenWritable(callback);
    }
  }

  function canReturn(): boolean {
    return identity !== undefined && (newest > 0 || identity.retryMs !== undefined);
  }

  function lose(closed: EventStream): void {
    if (connection !== closed) return;
    connection = undefined;
    release(undefined);
    if (!finished) {
      if (identity !== undefined && canReturn()) grace = setTimeout(giveUp, identity.graceMs).unref();
      else giveUp();
    }
    identity?.onChange();
  }

  function giveUp(): void {
    grace = undefined;
    for (const callback of onGone) callback();
  }

  function stop(): void {
    finished = true;
    clearTimeout(grace);
    grace = undefined;
    onGone = [];
    serverRequests.clear();
  }

  return {
    isConnected: () => connection?.isOpen() === true,
    canReturn,
    absence() {
      if (finished || connection?.isOpen() === true || !canReturn()) return undefined;
      return grace === undefined ? 'long' : 'short';
    },
    isFinished: () => finished,
    knows: (number) => number <= newest,
    hasMore: (after) => [kept, answered].some((events) => [...events.keys()].some((number) => number > after)),
    isKept: () => kept.size > 0,
    connect(next, after = 0) {
      clearTimeout(grace);
      grace = undefined;
      const older = connection;
      connection = next;
      older?.end();
      sent = after;
      received = Math.max(received, after);
      // The first byte sends the headers on their way through every buffer.
      const id = idOf(after);
      const canPrime = id !== undefined && identity?.retryMs !== undefined;
      next.write(canPrime ? encodePriming(id, identity.retryMs) : encodeComment('listening'));
      next.whenClosed(() => lose(next));
      catchUp(next);
    },
    write,
    send(message) {
      if (identity !== undefined && message.kind === 'request' && !finished) serverRequests.set(newest + 1, message);
      return write(message.bytes);
    },
    whenWritable(callback) {
      if (connection === undefined) callback();
      else if (sent < newest) waiting.push(callback);
      else connection.whenWritable(callback);
    },
    recall(ask) {
      for (const [number, message] of serverRequests) {
        if (message !== ask) continue;
        if (number <= received) return false;
        serverRequests.delete(number);
        kept.get(number)?.forget();
        kept.delete(number);
        break;
      }
      return true;
    },
    finish(bytes, answers) {
      if (finished) return true;
      stop();
      const isCaughtUp = sent === newest;
      const message = bytes === undefined ? undefined : asTextIfShort(bytes);
      if (message !== undefined) add(message, answers);
      if (connection !== undefined && isCaughtUp) {
        sent = newest;
        connection.end(message === undefined ? undefined : encodeEvent(message, idOf(newest)));
      }
      identity?.onChange();
      return connection === undefined || (isCaughtUp && connection.isWritable());
    },
    abandon() {
      stop();
      answered.clear();
      for (const event of kept.values()) event.forget();
      kept.clear();
      connection?.end();
      identity?.onChange();
    },
    whenGone: (callback) => void onGone.push(callback),
  };
}

const notKept = {
  code: rpcCode.internalError,
  message: 'the answer was not kept until the client came back for it',
  data: { reason: 'answer_not_kept' },
};
