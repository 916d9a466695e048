import type { OutgoingHttpHeaders } from 'node:http';

import type { Call, CallFailure, Outlet } from '../bridge/call.ts';
import { errorResponse, type RequestId } from '../mcp/json-rpc.ts';
import { encodeComment, encodeEvent, eventStreamType } from '../mcp/sse.ts';
import { watchBackPressure } from './back-pressure.ts';
import { answerJson } from './json-answer.ts';
import type { Listed } from './live-list.ts';
import { cutOff, type HttpResponse } from './message.ts';

/** Proxies must neither hold an event stream back (nginx's word for it) nor compress it. */
const eventStreamHeaders = {
  'content-type': eventStreamType,
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** Looks at a client that takes nothing, `keepAliveMs` apart, before it is taken for gone: asleep, or on another network. */
const maxStalls = 6;

export interface EventStream extends Outlet {
  /** As `send`, for any message. */
  write(message: Buffer): boolean;
  /** Sends a comment when nothing was sent since the last call, so that no proxy takes the connection for dead. */
  keepAlive(): void;
}

/** An answer that is an event stream from the start. */
export function createEventStream(response: HttpResponse): EventStream {
  const { isWritable, whenWritable, hasStalled } = watchBackPressure(response);
  let open = true;
  let quiet = false;
  let stalls = 0;
  response.once('close', () => (open = false));
  response.writeHead(200, eventStreamHeaders);
  // The first byte sends the headers on their way through every buffer.
  response.write(encodeComment('listening'));

  function write(message: Buffer): boolean {
    quiet = false;
    if (open) response.write(encodeEvent(message));
    return isWritable();
  }

  return {
    isOpen: () => open,
    write,
    send: (message) => write(message.bytes),
    whenWritable,
    end() {
      open = false;
      response.end();
    },
    keepAlive() {
      if (!open) return;
      stalls = hasStalled() ? stalls + 1 : 0;
      if (stalls >= maxStalls) cutOff(response);
      else if (quiet) response.write(encodeComment('keep-alive'));
      quiet = true;
    },
  };
}

export interface Reply extends Call, Listed {
  /** As `EventStream.keepAlive`; a reply that has said nothing yet becomes an event stream to say it. */
  keepAlive(): void;
  /** Somebody else answers: nothing has been written, and nothing will be. */
  discard(): void;
}

/** Whether an answer begins before the response has come, as an event stream, or with it. */
export type AnswerBegin = 'early' | 'final';

export interface ReplyOptions {
  readonly response: HttpResponse;
  readonly id: RequestId;
  /** Headers to send with the answer, asked for when it begins. */
  readonly headersAt?: (begin: AnswerBegin) => OutgoingHttpHeaders;
  /** The reply is over, whether the client has got it or has gone. */
  readonly onDone: () => void;
}

/**
 * The answer to a POSTed request: JSON when the response is all there is to say, an event stream as soon as something
 * comes before it (MCP 2025-11-25, Streamable HTTP, "Sending Messages to the Server").
 */
export function createReply({ response, id, headersAt, onDone }: ReplyOptions): Reply {
  const { isWritable, whenWritable, hasStalled } = watchBackPressure(response);
  let state: 'waiting' | 'streaming' | 'over' = 'waiting';
  let quiet = false;
  let stalls = 0;
  let onGone: (() => void)[] = [];
  response.once('close', () => {
    if (state === 'over') return;
    over();
    for (const callback of onGone) callback();
  });

  function over(): void {
    state = 'over';
    onDone();
  }

  function beginStream(): void {
    state = 'streaming';
    response.writeHead(200, { ...eventStreamHeaders, ...headersAt?.('early') });
  }

  function conclude(bytes: Buffer): boolean {
    if (state === 'over') return true;
    if (state === 'streaming') response.end(encodeEvent(bytes));
    else answerJson(response, 200, bytes, headersAt?.('final'));
    over();
    return isWritable();
  }

  return {
    place: -1,
    isOpen: () => state !== 'over',
    send(message) {
      if (state === 'over') return true;
      if (state === 'waiting') beginStream();
      quiet = false;
      response.write(encodeEvent(message.bytes));
      return isWritable();
    },
    finish: (message) => conclude(message.bytes),
    fail: (failure: CallFailure) => void conclude(errorResponse({ id, ...failure })),
    end() {
      if (state === 'over') return;
      if (state === 'waiting') beginStream();
      response.end();
      over();
    },
    whenWritable,
    whenGone: (callback) => void onGone.push(callback),
    discard() {
      if (state === 'over') return;
      onGone = [];
      over();
    },
    keepAlive() {
      if (state === 'over') return;
      stalls = hasStalled() ? stalls + 1 : 0;
      if (stalls >= maxStalls) {
        cutOff(response);
      } else if (quiet) {
        if (state === 'waiting') beginStream();
        response.write(encodeComment('keep-alive'));
      }
      quiet = true;
    },
  };
}
