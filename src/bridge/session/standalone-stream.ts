import { systemClock, type Clock } from '../../platform/clock.ts';
import type { MessageSink, UpstreamMessage } from './pending-request.ts';

/** Messages that wait for a client to listen, and their bytes; the oldest go first when there are more. */
const maxWaiting = 1000;
const maxWaitingBytes = 1024 * 1024;

/** For so long a server request waits for a client to listen, in milliseconds: a server's call may wait for the answer. */
const maxAskWaitMs = 60_000;

/** Streams that a client may have open at a time; the oldest is ended when there are more. */
const maxStreams = 8;

export interface StandaloneStream extends MessageSink {
  /** Adds a stream. From now on messages go to it, and first those that have waited. */
  attach(stream: MessageSink): void;
}

/**
 * The way for what belongs to no request: the newest of the client's GET streams, or while there is none, a short queue
 * (MCP 2025-11-25, Streamable HTTP, "Listening for Messages from the Server"). Each message goes one way only.
 * @param onDropped called with a message that will never be delivered.
 */
export function createStandaloneStream(
  onDropped: (message: UpstreamMessage) => void,
  clock: Clock = systemClock,
): StandaloneStream {
  const waiting: UpstreamMessage[] = [];
  /** The asks among them, with what calls off their end. */
  const patience = new Map<UpstreamMessage, () => void>();
  let waitingBytes = 0;
  let streams: MessageSink[] = [];
  const impatient = new Set<() => void>();
  let over = false;

  const newest = (): MessageSink | undefined => streams.findLast((stream) => stream.isOpen());

  function enqueue(message: UpstreamMessage): void {
    waiting.push(message);
    waitingBytes += message.bytes.length;
    if (message.kind === 'request')
      patience.set(
        message,
        clock.after(maxAskWaitMs, () => drop(message)),
      );
    while (waiting.length > maxWaiting || waitingBytes > maxWaitingBytes) drop(waiting[0]);
  }

  function drop(message: UpstreamMessage | undefined): void {
    if (message === undefined) return;
    waiting.splice(waiting.indexOf(message), 1);
    waitingBytes -= message.bytes.length;
    endPatience(message);
    onDropped(message);
  }

  function endPatience(message: UpstreamMessage): void {
    patience.get(message)?.();
    patience.delete(message);
  }

  return {
    isOpen: () => newest() !== undefined,
    send(message) {
      const stream = newest();
      if (stream !== undefined) return stream.send(message);
      if (!over) enqueue(message);
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
      over = true;
      for (const message of patience.keys()) endPatience(message);
      for (const stream of streams) stream.end();
    },
    attach(stream) {
      streams = [...streams.filter((earlier) => earlier.isOpen()), stream];
      if (streams.length > maxStreams) streams.shift()?.end();
      waitingBytes = 0;
      for (const message of waiting.splice(0)) {
        endPatience(message);
        stream.send(message);
      }
      // An earlier stream that its client no longer reads, asleep or on another network, holds nobody up any more.
      for (const goOn of impatient) goOn();
    },
  };
}
