import type { Outlet, UpstreamMessage } from './call.ts';

/** Messages that wait for a client to listen, and their bytes; the oldest go first when there are more. */
const maxWaiting = 1000;
const maxWaitingBytes = 1024 * 1024;

export interface GeneralStream extends Outlet {
  /** Sends everything from now on to this outlet, first what has waited. */
  attach(outlet: Outlet): void;
}

/**
 * The way for what belongs to no request: the client's GET stream while there is one, else a short queue until there is
 * (MCP 2025-11-25, Streamable HTTP, "Listening for Messages from the Server").
 * @param onDropped called with a message that will never be delivered.
 */
export function createGeneralStream(onDropped: (message: UpstreamMessage) => void): GeneralStream {
  const waiting: UpstreamMessage[] = [];
  let waitingBytes = 0;
  let current: Outlet | undefined;

  function enqueue(message: UpstreamMessage): void {
    waiting.push(message);
    waitingBytes += message.bytes.length;
    while (waiting.length > maxWaiting || waitingBytes > maxWaitingBytes) {
      const dropped = waiting.shift();
      if (dropped === undefined) return;
      waitingBytes -= dropped.bytes.length;
      onDropped(dropped);
    }
  }

  return {
    isOpen: () => current?.isOpen() === true,
    send(message) {
      if (current?.isOpen() === true) return current.send(message);
      enqueue(message);
      return true;
    },
    whenWritable(callback) {
      if (current?.isOpen() === true) current.whenWritable(callback);
      else callback();
    },
    end() {
      current?.end();
    },
    attach(outlet) {
      // A client that reconnects may not have noticed yet that its former stream is still open.
      current?.end();
      current = outlet;
      waitingBytes = 0;
      for (const message of waiting.splice(0)) outlet.send(message);
    },
  };
}
