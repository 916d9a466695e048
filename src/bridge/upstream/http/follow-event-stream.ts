import type { IncomingMessage } from 'node:http';

import { codingsOf } from '../../../mcp/headers.ts';
import type { RequestId, RpcMessage } from '../../../mcp/json-rpc.ts';
import { eventStreamType } from '../../../mcp/sse.ts';
import { createEventStreamReader } from './event-stream-reader.ts';
import type { MessageDecoder } from '../message-decoder.ts';
import type { PausableStreams } from './pausable-streams.ts';

/** Longest wait that a server can ask for, in milliseconds; beyond 2^31 a timer of Node's would fire at once. */
const maxRetryMs: number = 10 * 60 * 1000;

/** An event id that can stand in a header; with another one the stream cannot be gone on with. */
const usableEventId = /^[^\p{Cc}]{1,4096}$/u;

/** Where a stream stands that may go on over several connections (MCP 2025-11-25, Resumability and Redelivery). */
export interface StreamCursor {
  /** The last event that came, if the server names its events. */
  lastEventId: string | undefined;
  /** How long the server wants us to wait before the next connection, in milliseconds. */
  retryMs: number | undefined;
}

export interface FollowOptions {
  readonly response: IncomingMessage;
  readonly streams: PausableStreams;
  readonly decoder: MessageDecoder;
  readonly maxMessageBytes: number;
  /** The request whose answer is to come on this stream, and on no other. */
  readonly request?: RequestId;
  /** Kept up to date. */
  readonly cursor: StreamCursor;
  readonly onMessage: (message: RpcMessage) => void;
  /** An event with another name than `message`, which alone holds messages. */
  readonly onOtherEvent?: (name: string, data: string) => void;
  /** The connection is over. Called once. */
  readonly onEnd: (how: StreamEnd) => void;
}

export interface StreamEnd {
  /** The server ended it, rather than the network. */
  readonly isClean: boolean;
  /** Whether a message came on it; a bare event id, or a comment, brings nobody further. */
  readonly hadMessages: boolean;
  /** Whether something was dropped because it was too long, and would come again. */
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

  const reader = createEventStreamReader({
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

/** Whether a response is an event stream; what is compressed is none to us, since we asked for that not to be done. */
export function isEventStream(response: IncomingMessage): boolean {
  const type = response.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  return type === eventStreamType && !isCompressed(response);
}

export function isCompressed({ headers }: IncomingMessage): boolean {
  return codingsOf(headers['content-encoding']) !== undefined;
}
