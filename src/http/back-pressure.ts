import type { HttpResponse } from './message.ts';

/** What may wait in a response for a client that does not read, in bytes, before its upstream is made to wait. */
const maxWaitingBytes = 64 * 1024;

export interface BackPressure {
  /** Whether the client has taken enough for more to be sent, or has gone. */
  isWritable(): boolean;
  /** Calls back once, when it is so again; at once when the client has gone already. */
  whenWritable(callback: () => void): void;
  /** Calls back when the response is over: complete, or its client has gone. */
  whenClosed(callback: () => void): void;
  /** Whether something waits and the client has taken none of it since the last time this was asked. */
  hasStalled(): boolean;
}

/** Follows how fast a client takes what is written into its response. */
export function watchBackPressure(response: HttpResponse): BackPressure {
  let closed = false;
  const whenGone: (() => void)[] = [];
  let isListening = false;
  let lastLength = 0;
  let waiting: (() => void)[] = [];
  const release = (): void => {
    const released = waiting;
    waiting = [];
    for (const callback of released) callback();
  };
  const isWritable = (): boolean => closed || response.writableLength < maxWaitingBytes;
  // It comes once; `once` would only cost more.
  response.on('close', () => {
    closed = true;
    release();
    for (const callback of whenGone) callback();
  });
  return {
    isWritable,
    whenWritable(callback) {
      if (closed) {
        callback();
        return;
      }
      // Few responses are ever full: only those listen.
      if (!isListening) response.on('drain', release);
      isListening = true;
      waiting.push(callback);
    },
    whenClosed: (callback) => void whenGone.push(callback),
    hasStalled() {
      const stalled = !isWritable() && response.writableLength >= lastLength && lastLength > 0;
      lastLength = response.writableLength;
      return stalled;
    },
  };
}
