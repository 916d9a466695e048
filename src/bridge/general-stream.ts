import type { Outlet, UpstreamMessage } from './call.ts';

/** Messages that wait for a client to listen, and their bytes; the oldest go first when there are more. */
const maxWaiting = 1000;
const maxWaitingBytes = 1024 * 1024;

/** Streams that a client may have open at a time; the oldest is ended when there are more. */
const maxStreams = 8;

export interface GeneralStream extends Outlet {
  /** Adds a stream. From now on messages go to it, and first those that have waited. */
  attach(stream: Outlet): void;
}

/**
 * The way for what belongs to no request: the newest of the client's GET streams, or while there is none, a short queue
 * (MCP 2025-11-25, Streamable HTTP, "Listening for Messages from the Server"). Each message goes one way only.
 * @param onDropped called with a message that will never be delivered.
 */
export function createGeneralStream(onDropped: (message: UpstreamMessage) => void): GeneralStream {
  const waiting: UpstreamMessage[] = [];
  let waitingBytes = 0;
  let streams: Outlet[] = [];
  const impatient = new Set<() => void>();

  const newest = (): Outlet | undefined => streams.findLast((stream) => stream.isOpen());

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
    isOpen: () => newest() !== undefined,
    send(message) {
      const stream = newest();
      if (stream !== undefined) return stream.send(message);
      enqueue(message);
      return true;
    },
    whenWritable(callback) {
      const goOn = (): void => {
        if (impatient.delete(goOn)) callback();
      };
      impatient.add(goOn);
      const stream = newest();
      if (stream === undefined) goOn();
      else stream.whenWritable(goOn);
    },
    end() {
      for (const stream of streams) stream.end();
    },
    attach(stream) {
      streams = [...streams.filter((earlier) => earlier.isOpen()), stream];
      if (streams.length > maxStreams) streams.shift()?.end();
      waitingBytes = 0;
      for (const message of waiting.splice(0)) stream.send(message);
      // An earlier stream that its client no longer reads, asleep or on another network, holds nobody up any more.
      for (const goOn of impatient) goOn();
    },
  };
}
