import type { IncomingMessage } from 'node:http';

import { codingsOf, isJson } from '../../../mcp/headers.ts';
import type { RequestId, RpcMessage } from '../../../mcp/json-rpc.ts';
import { eventStreamType } from '../../../mcp/sse.ts';
import { readInSlices, type SlicedReading } from '../../../platform/process/read-in-slices.ts';
import { EventStreamReader } from './event-stream-reader.ts';
import type { MessageDecoder } from '../message-decoder.ts';

/** Longest wait that a server can ask for, in milliseconds; Node's timers fire at once beyond 2^31. */
const maxRetryMs: number = 10 * 60 * 1000;

/** An event id that fits into a header; a stream cannot be resumed after any other. */
const usableEventId = /^[^\p{Cc}]{1,4096}$/u;

type Pausable = Pick<SlicedReading, 'pause' | 'resume'>;

/** The responses that are being read on one connection to a server, paused and resumed together. */
export class PausableStreams {
  readonly #open = new Set<Pausable>();
  #isPaused = false;

  /** Adds a response that is not being read yet; it is removed when it closes. */
  add(response: IncomingMessage, reading: Pausable = response): void {
    this.#open.add(reading);
    response.once('close', () => this.#open.delete(reading));
    // A stream that was paused explicitly stays paused when a listener is added.
    if (this.#isPaused) reading.pause();
  }

  /** Adds a response that may never end, and reads it. */
  read(response: IncomingMessage, onPiece: (piece: Buffer) => void): SlicedReading {
    const reading = readInSlices(response, onPiece);
    this.add(response, reading);
    return reading;
  }

  pause(): void {
    this.#isPaused = true;
    for (const reading of this.#open) reading.pause();
  }

  resume(): void {
    this.#isPaused = false;
    for (const reading of this.#open) reading.resume();
  }
}

/** What all streams of one connection to a server have in common. */
export interface StreamContext {
  readonly streams: PausableStreams;
  readonly decoder: MessageDecoder;
  readonly maxMessageBytes: number;
}

/** The position in a stream that may span several connections (MCP 2025-11-25, Resumability and Redelivery). */
export interface StreamCursor {
  /** Id of the last event, if the server sends ids. */
  lastEventId: string | undefined;
  /** How long the server asks to wait before the next connection, in milliseconds. */
  retryMs: number | undefined;
}

export interface FollowOptions extends StreamContext {
  readonly response: IncomingMessage;
  /** The request whose answer comes on this stream and on no other. */
  readonly request?: RequestId;
  /** Kept up to date. */
  readonly cursor: StreamCursor;
  readonly onMessage: (message: RpcMessage) => void;
  /** An event with another name than `message`; only `message` events hold messages. */
  readonly onOtherEvent?: (name: string, data: string) => void;
  /** The connection is over. Called once. */
  readonly onEnd: (how: StreamEnd) => void;
}

export interface StreamEnd {
  /** The server ended it, rather than the network. */
  readonly isClean: boolean;
  /** Whether it carried a message; an event id or a comment alone is no progress. */
  readonly hadMessages: boolean;
  /** Whether an event was dropped because it was too long; the server would send it again. */
  readonly hadOverlong: boolean;
}

/** Reads the messages of an event stream until its connection is over. */
export function followEventStream(options: FollowOptions): void {
  const { response, streams, decoder, maxMessageBytes, request, cursor, onMessage, onOtherEvent, onEnd } = options;
  let hadMessages = false;
  let hadOverlong = false;

  function deliver(messages: readonly RpcMessage[]): void {
    hadMessages ||= messages.length > 0;
    for (const message of messages) onMessage(message);
  }

  const reader = new EventStreamReader({
    maxBytes: maxMessageBytes,
    onEvent({ id, event = 'message', data }) {
      if (id !== undefined) {
        cursor.lastEventId = usableEventId.test(id) ? id : undefined;
        hadOverlong = false;
      }
      if (event !== 'message') onOtherEvent?.(event, data.toString());
      else deliver(decoder.read(data, { request }));
    },
    onRetry(retryMs) {
      cursor.retryMs = Math.min(retryMs, maxRetryMs);
    },
    onOverlong(event, isOver) {
      hadOverlong = true;
      deliver(decoder.overlong(event, isOver, request));
    },
  });
  const reading = streams.read(response, (piece) => reader.push(piece));
  response.once('close', () => {
    reading.finish();
    onEnd({ isClean: response.complete, hadMessages, hadOverlong });
  });
}

/** Uncompressed, as for JSON: mcp-expose asks for no compression. */
export function isEventStream(response: IncomingMessage): boolean {
  const type = response.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  return type === eventStreamType && !isCompressed(response);
}

export function isJsonResponse(response: IncomingMessage): boolean {
  return isJson(response.headers['content-type']) && !isCompressed(response);
}

function isCompressed({ headers }: IncomingMessage): boolean {
  return codingsOf(headers['content-encoding']) !== undefined;
}
