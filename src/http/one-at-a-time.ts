import type { Socket } from 'node:net';

import type { HttpRequest, HttpResponse } from './message.ts';

/** Requests that may wait on one connection, beside the one that is being answered. */
const maxWaiting = 16;

/** The requests of one connection. */
interface Line<Request, Response> {
  isBusy: boolean;
  /** Those behind the one that is being answered, in order. */
  readonly waiting: (readonly [Request, Response])[];
}

/**
 * Lets requests that were pipelined on one HTTP/1.1 connection (RFC 9112 §9.3.2) be handled one after the other: each
 * when every earlier one of its connection has been answered, and not at all when the connection ends before.
 * node:http hands them over all at once, and a response that waits for its turn there has no connection yet: it is told
 * neither that a client is slow nor that it has gone.
 */
export function createOneAtATime<Request extends HttpRequest, Response extends HttpResponse>(
  handle: (request: Request, response: Response) => void,
): (request: Request, response: Response) => void {
  const lines = new WeakMap<Socket, Line<Request, Response>>();

  function begin(line: Line<Request, Response>, request: Request, response: Response): void {
    response.on('close', () => next(line, request.socket));
    handle(request, response);
  }

  function next(line: Line<Request, Response>, socket: Socket): void {
    const waiting = socket.destroyed ? undefined : line.waiting.shift();
    if (waiting === undefined) line.isBusy = false;
    else begin(line, ...waiting);
  }

  return (request, response) => {
    const { socket } = request;
    let line = lines.get(socket);
    // Once for each connection: to set and to delete it would cost every call.
    if (line === undefined) lines.set(socket, (line = { isBusy: false, waiting: [] }));
    if (!line.isBusy) {
      line.isBusy = true;
      begin(line, request, response);
    } else if (line.waiting.length < maxWaiting) {
      line.waiting.push([request, response]);
    } else {
      socket.destroy();
    }
  };
}
