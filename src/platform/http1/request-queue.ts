import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Most requests that wait on one connection, in addition to the one that is being answered. */
const maxWaiting = 16;

/** Most requests that are ignored after the last one that is answered; then the connection is closed. */
const maxIgnored = 1000;

/** How long a client may take to stop sending, read its last answer and close the connection, in milliseconds. */
const lingerMs = 5000;

/** Why the server itself rejects a request, before it is handled. */
export interface Refusal {
  readonly status: number;
  readonly message: string;
}

export interface QueueHandlers {
  onRequest(request: IncomingMessage, response: ServerResponse): void;
  refuse(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void;
  /** A whole HTTP/1.1 response, with `Connection: close`, for bytes that are not a valid request. */
  rawResponse(refusal: Refusal): Buffer;
}

class Line {
  /** The request that began last. */
  request: IncomingMessage | undefined;
  response: ServerResponse | undefined;
  isBusy = false;
  readonly waiting: (readonly [IncomingMessage, ServerResponse, Refusal | undefined])[] = [];
  /** Whether it accepts no further requests: the connection ends with the last answer. */
  isClosed = false;
  ignored = 0;
  /** The last answer, to invalid bytes after all requests. */
  ending: Refusal | undefined;
}

/** The connections of all servers, since the class of requests has to know whether one is pending on its socket. */
const lines = new WeakMap<Duplex, Line>();

/** Whether every request of this connection has been answered and it accepts further ones. */
export function isIdle(socket: Duplex): boolean {
  const line = lines.get(socket);
  return line === undefined || !(line.isBusy || line.isClosed);
}

export interface RequestQueue {
  /**
   * Handles a request after every earlier one of its connection has been answered.
   * @param isLast later requests on the connection are ignored, and it ends with this answer.
   */
  add(request: IncomingMessage, response: ServerResponse, refusal: Refusal | undefined, isLast: boolean): void;
  /** For a connection that cannot continue: answers pending requests, then sends the error and ends it. */
  fail(socket: Duplex, refusal: Refusal): void;
}

/**
 * Handles the requests that were pipelined on one HTTP/1.1 connection (RFC 9112 §9.3.2) one after the other, or not at all
 * if the connection ends before. node:http emits all of them at once, and a response that waits for its turn there has no
 * connection yet, so that it notices neither back-pressure nor a disconnect. Errors of the server itself wait in the same
 * queue, so that they cannot be taken for the answer to an earlier request.
 */
export function createRequestQueue({ onRequest, refuse, rawResponse }: QueueHandlers): RequestQueue {
  function begin(line: Line, request: IncomingMessage, response: ServerResponse, refusal: Refusal | undefined): void {
    const { socket } = request;
    line.isBusy = true;
    line.request = request;
    line.response = response;
    response.on('close', () => next(line, socket));
    if (line.isClosed && line.waiting.length === 0 && line.ending === undefined) response.shouldKeepAlive = false;
    if (refusal === undefined) {
      onRequest(request, response);
    } else {
      response.on('error', ignore);
      refuse(request, response, refusal);
    }
  }

  function next(line: Line, socket: Socket): void {
    line.isBusy = false;
    // The answer may have ended the connection: the next request must not be executed, since it cannot be answered.
    if (!socket.writable) return;
    const waiting = line.waiting.shift();
    if (waiting !== undefined) begin(line, ...waiting);
    else if (line.ending !== undefined) endConnection(socket, rawResponse(line.ending));
  }

  return {
    add(request, response, refusal, isLast) {
      const { socket } = request;
      const line = lineOf(socket);
      if (line.isClosed || !socket.writable) {
        line.ignored += 1;
        if (line.ignored > maxIgnored) socket.destroy();
        return;
      }
      if (line.waiting.length === maxWaiting) {
        line.isClosed = true;
        return;
      }
      line.isClosed = isLast;
      if (line.isBusy) line.waiting.push([request, response, refusal]);
      else begin(line, request, response, refusal);
    },
    fail(socket, refusal) {
      const line = lineOf(socket);
      if (line.ending !== undefined) return;
      const newest = line.waiting.at(-1)?.[0] ?? line.request;
      const isBodyBroken = newest?.complete === false;
      if (line.isClosed && !isBodyBroken) return;
      line.isClosed = true;
      line.ending = refusal;
      if (!isBodyBroken || line.waiting.pop() !== undefined) {
        if (!line.isBusy) endConnection(socket, rawResponse(refusal));
      } else if (line.isBusy && line.response?.headersSent === false) {
        // The error is the answer to the request with the invalid body.
        endConnection(socket, rawResponse(refusal));
      } else {
        endConnection(socket);
      }
    },
  };
}

function lineOf(socket: Duplex): Line {
  let line = lines.get(socket);
  // Set once per connection, since setting and deleting it would cost time in every call.
  if (line === undefined) {
    line = new Line();
    lines.set(socket, line);
  }
  return line;
}

/**
 * Sends the last bytes and ends a connection. Meanwhile, further bytes of the client are read and dropped: a socket that is
 * closed with unread bytes is reset, and the answer is lost (RFC 9112 §9.6).
 */
export function endConnection(socket: Duplex, bytes?: Buffer): void {
  if (!socket.writable) return;
  socket.on('error', ignore);
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer));
  socket.resume();
  socket.end(bytes);
}

function ignore(): void {}
