import type { IncomingMessage } from 'node:http';

/** The responses that are being read, so that they can be held and let go together. */
export interface PausableStreams {
  /** Adds a response that nobody has begun to read; it leaves by itself when it is over. */
  add(response: IncomingMessage): void;
  pause(): void;
  resume(): void;
}

export function createPausableStreams(): PausableStreams {
  const open = new Set<IncomingMessage>();
  let paused = false;
  return {
    add(response) {
      open.add(response);
      response.once('close', () => open.delete(response));
      // A stream that was paused explicitly stays so when somebody begins to listen to it.
      if (paused) response.pause();
    },
    pause() {
      paused = true;
      for (const response of open) response.pause();
    },
    resume() {
      paused = false;
      for (const response of open) response.resume();
    },
  };
}
