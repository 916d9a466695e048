import type { Socket } from 'node:net';

/** Requests that may wait on one connection, beside the one that is being answered. */
const maxWaiting = 16;

interface Turn {
  /** The requests behind the one that is being answered, in order. */
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
  const turns = new WeakMap<Socket, Turn>();

  function next(socket: Socket, turn: Turn): void {
    const handle = turn.waiting.shift();
    if (handle === undefined || socket.destroyed) turns.delete(socket);
    else handle();
  }

  return {
    run(socket, whenAnswered, handle) {
      const turn = turns.get(socket);
      if (turn === undefined) {
        const first: Turn = { waiting: [] };
        turns.set(socket, first);
        whenAnswered(() => next(socket, first));
        handle();
      } else if (turn.waiting.length < maxWaiting) {
        turn.waiting.push(() => {
          whenAnswered(() => next(socket, turn));
          handle();
        });
      } else {
        socket.destroy();
      }
    },
  };
}
