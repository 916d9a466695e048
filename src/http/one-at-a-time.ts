import type { Socket } from 'node:net';

/** Requests that may wait on one connection, beside the one that is being answered. */
const maxWaiting = 16;

/** The requests of one connection. */
interface Line {
  isBusy: boolean;
  /** Those behind the one that is being answered, in order. */
  readonly waiting: (() => void)[];
}

export interface OneAtATime {
  /** Calls `handle` when every earlier request of the connection has been answered; never, when the connection ends. */
  run(socket: Socket, whenAnswered: (callback: () => void) => unknown, handle: () => void): void;
}

/**
 * Lets requests that were pipelined on one HTTP/1.1 connection (RFC 9112 §9.3.2) be handled one after the other.
 * node:http hands them over all at once, and a response that waits for its turn there has no connection yet: it is told
 * neither that a client is slow nor that it has gone.
 */
export function createOneAtATime(): OneAtATime {
  const lines = new WeakMap<Socket, Line>();

  function next(socket: Socket, line: Line): void {
    const handle = socket.destroyed ? undefined : line.waiting.shift();
    if (handle === undefined) line.isBusy = false;
    else handle();
  }

  return {
    run(socket, whenAnswered, handle) {
      let line = lines.get(socket);
      // Once for each connection: to set and to delete it would cost every call.
      if (line === undefined) lines.set(socket, (line = { isBusy: false, waiting: [] }));
      const known = line;
      if (!known.isBusy) {
        known.isBusy = true;
        whenAnswered(() => next(socket, known));
        handle();
      } else if (known.waiting.length < maxWaiting) {
        known.waiting.push(() => {
          whenAnswered(() => next(socket, known));
          handle();
        });
      } else {
        socket.destroy();
      }
    },
  };
}
