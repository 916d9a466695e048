import { asTextIfShort, type Bytes, type ByteText } from '../../platform/bytes.ts';
import type { ListeningStream, UpstreamMessage } from '../../bridge/session/pending-request.ts';
import { errorResponse, rpcCode, type RequestId } from '../../mcp/json-rpc.ts';
import { encodeComment, encodeEvent, encodePriming } from '../../mcp/sse.ts';
import type { EventOwner, KeptEvent, SessionBuffer } from './event-store.ts';
import type { EventStream } from './event-stream.ts';

/** Longest request id, in characters, that is remembered to send an error if the response is dropped from the store. */
const maxRememberedId = 1024;

/** What a stream needs to outlive its connection. */
export interface StreamIdentity {
  /** Unique within the session. */
  readonly name: string;
  readonly buffer: SessionBuffer;
  /** Sent to clients that accept an event without data; undefined for clients that would fail on it. */
  readonly retryMs: number | undefined;
  /** How long a disconnected client is expected to return, in milliseconds. */
  readonly graceMs: number;
  /** Called when the stream may no longer be worth keeping. */
  readonly onChange: () => void;
}

/**
 * The messages of one event stream, over one connection or, with an identity, over several in turn (MCP 2025-11-25,
 * Streamable HTTP, "Resumability and Redelivery").
 */
export class MessageStream implements EventOwner {
  readonly #identity: StreamIdentity | undefined;
  readonly #kept = new Map<number, KeptEvent>();
  /** Ids of requests by the number of the event with their response. */
  readonly #answered = new Map<number, RequestId>();
  readonly #serverRequests = new Map<number, UpstreamMessage>();
  #connection: EventStream | undefined;
  /** Event numbers: the newest, the last one sent on this connection, the last one that the client is known to have. */
  #newest = 0;
  #sent = 0;
  #received = 0;
  #isFinished = false;
  #grace: NodeJS.Timeout | undefined;
  #waiting: (() => void)[] = [];
  #onGone: (() => void)[] = [];

  constructor(identity?: StreamIdentity) {
    this.#identity = identity;
  }

  isConnected(): boolean {
    return this.#connection?.isOpen() === true;
  }

  /** Whether the client has an event id with which it can resume the stream. */
  canReturn(): boolean {
    return this.#identity !== undefined && (this.#newest > 0 || this.#identity.retryMs !== undefined);
  }

  /** As `PendingRequest.absence`. */
  absence(): 'short' | 'long' | undefined {
    if (this.#isFinished || this.isConnected() || !this.canReturn()) return undefined;
    return this.#grace === undefined ? 'long' : 'short';
  }

  isFinished(): boolean {
    return this.#isFinished;
  }

  /** Whether an event has had this number; 0 is before the first event. */
  knows(number: number): boolean {
    return number <= this.#newest;
  }

  /** Whether there is something to send after this event. */
  hasMore(after: number): boolean {
    return [this.#kept, this.#answered].some((events) => [...events.keys()].some((number) => number > after));
  }

  /** Whether any event is stored. If not, at most errors can be sent, for responses that were dropped. */
  isKept(): boolean {
    return this.#kept.size > 0;
  }

  /** Sends all events after this one, stored and future, on a connection. It replaces the previous connection. */
  connect(next: EventStream, after = 0): void {
    clearTimeout(this.#grace);
    this.#grace = undefined;
    const older = this.#connection;
    this.#connection = next;
    older?.end();
    this.#sent = after;
    this.#received = Math.max(this.#received, after);
    // The first byte takes the headers through every buffer on the way.
    const id = this.#idOf(after);
    const retryMs = this.#identity?.retryMs;
    next.write(id !== undefined && retryMs !== undefined ? encodePriming(id, retryMs) : encodeComment('listening'));
    next.whenClosed(() => this.#disconnect(next));
    this.#catchUp(next);
  }

  /** @param answers the request whose response this is. Returns false as `MessageSink.send` does. */
  write(bytes: Bytes, answers?: RequestId): boolean {
    if (this.#isFinished) return true;
    const event = this.#add(bytes, answers);
    return this.#connection === undefined || (event !== undefined && this.#connection.write(event));
  }

  /** As `MessageSink.send`. */
  send(message: UpstreamMessage): boolean {
    if (this.#identity !== undefined && message.kind === 'request' && !this.#isFinished)
      this.#serverRequests.set(this.#newest + 1, message);
    return this.write(message.bytes);
  }

  /** As `MessageSink.whenWritable`. */
  whenWritable(callback: () => void): void {
    if (this.#connection === undefined) callback();
    else if (this.#sent < this.#newest) this.#waiting.push(callback);
    else this.#connection.whenWritable(callback);
  }

  /** As `PendingRequest.recall`. */
  recall(serverRequest: UpstreamMessage): boolean {
    for (const [number, message] of this.#serverRequests) {
      if (message !== serverRequest) continue;
      if (number <= this.#received) return false;
      this.#serverRequests.delete(number);
      this.#kept.get(number)?.forget();
      this.#kept.delete(number);
      break;
    }
    return true;
  }

  /** Ends the stream, after this message if there is one. Events that the client has missed are kept for it. */
  finish(bytes?: Bytes, answers?: RequestId): boolean {
    if (this.#isFinished) return true;
    this.#stop();
    const connection = this.#connection;
    const isCaughtUp = this.#sent === this.#newest;
    const event = bytes === undefined ? undefined : this.#add(bytes, answers);
    if (isCaughtUp) connection?.end(event);
    this.#identity?.onChange();
    return connection === undefined || (isCaughtUp && connection.isWritable());
  }

  /** Ends the stream and forgets its events. */
  abandon(): void {
    this.#stop();
    this.#answered.clear();
    for (const event of this.#kept.values()) event.forget();
    this.#kept.clear();
    this.#connection?.end();
    this.#identity?.onChange();
  }

  /** Calls back each time the client disconnects before the end of the stream and is not expected to return. */
  whenGone(callback: () => void): void {
    this.#onGone.push(callback);
  }

  onDropped(number: number): void {
    this.#kept.delete(number);
    this.#serverRequests.delete(number);
    this.#identity?.onChange();
  }

  /** Returns the event if it is to be sent now: there is a connection, and the client has all earlier events. */
  #add(bytes: Bytes, answers: RequestId | undefined): Buffer | ByteText | undefined {
    const isCaughtUp = this.#sent === this.#newest++;
    const number = this.#newest;
    const message = asTextIfShort(bytes);
    if (this.#identity !== undefined) {
      if (answers !== undefined && String(answers).length <= maxRememberedId) this.#answered.set(number, answers);
      const kept = this.#identity.buffer.keep(message, this, number);
      if (kept !== undefined) this.#kept.set(number, kept);
    }
    if (this.#connection === undefined || !isCaughtUp) return undefined;
    this.#sent = number;
    return encodeEvent(message, this.#idOf(number));
  }

  #idOf(number: number): string | undefined {
    return this.#identity === undefined ? undefined : `${this.#identity.name}-${number}`;
  }

  /** Sends what the connection lacks, as fast as the client reads it. */
  #catchUp(current: EventStream): void {
    while (this.#sent < this.#newest) {
      if (!current.isWritable()) {
        current.whenWritable(() => {
          if (this.#connection === current) this.#catchUp(current);
        });
        return;
      }
      const event = this.#encodedAgain(++this.#sent);
      if (event !== undefined) current.write(event);
    }
    if (this.#isFinished) current.end();
    this.#release(current);
  }

  /** A stored event, an error in place of a response that was dropped, or undefined for another dropped event. */
  #encodedAgain(number: number): Buffer | ByteText | undefined {
    const event = this.#kept.get(number);
    if (event !== undefined) return encodeEvent(event.message, this.#idOf(number));
    const id = this.#answered.get(number);
    return id === undefined ? undefined : encodeEvent(errorResponse({ id, ...notKept }), this.#idOf(number));
  }

  #release(current: EventStream | undefined): void {
    const released = this.#waiting;
    this.#waiting = [];
    for (const callback of released) {
      if (current === undefined || current.isWritable()) callback();
      else current.whenWritable(callback);
    }
  }

  #disconnect(closed: EventStream): void {
    if (this.#connection !== closed) return;
    this.#connection = undefined;
    this.#release(undefined);
    if (!this.#isFinished) {
      const graceMs = this.canReturn() ? this.#identity?.graceMs : undefined;
      if (graceMs === undefined) this.#giveUp();
      else this.#grace = setTimeout(() => this.#giveUp(), graceMs).unref();
    }
    this.#identity?.onChange();
  }

  #giveUp(): void {
    this.#grace = undefined;
    for (const callback of this.#onGone) callback();
  }

  #stop(): void {
    this.#isFinished = true;
    clearTimeout(this.#grace);
    this.#grace = undefined;
    this.#onGone = [];
    this.#serverRequests.clear();
  }
}

/** A stream as a session sees it that sends its own messages there, those that belong to no request. */
export function listeningStream(stream: MessageStream, connection: EventStream): ListeningStream {
  return {
    isOpen: () => connection.isOpen(),
    send: (message) => stream.send(message),
    whenWritable: (callback) => stream.whenWritable(callback),
    whenGone: (callback) => connection.whenClosed(callback),
    end: () => connection.end(),
  };
}

const notKept = {
  code: rpcCode.internalError,
  message: 'the answer was not kept until the client came back for it',
  data: { reason: 'answer_not_kept' },
};
