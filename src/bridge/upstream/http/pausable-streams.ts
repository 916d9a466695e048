import type { IncomingMessage } from 'node:http';

import { readInSlices, type SlicedReading } from '../../../platform/process/read-in-slices.ts';

/** The responses that are being read, so that they can be held and let go together. */
export interface PausableStreams {
  /** Adds a response that nobody has begun to read; it leaves by itself when it is over. */
  add(response: IncomingMessage): void;
  /** Adds one that may go on for ever, and reads it. */
  read(response: IncomingMessage, onPiece: (piece: Buffer) => void): SlicedReading;
  pause(): void;
  resume(): void;
}

export function createPausableStreams(): PausableStreams {
  const open = new Set<Pick<SlicedReading, 'pause' | 'resume'>>();
  let paused = false;

  function enter(response: IncomingMessage, reading: Pick<SlicedReading, 'pause' | 'resume'>): void {
    open.add(reading);
    response.once('close', () => open.delete(reading));
    // A stream that was paused explicitly stays so when somebody begins to listen to it.
    if (paused) reading.pause();
  }

  return {
    add: (response) => enter(response, response),
    read(response, onPiece) {
      const reading = readInSlices(response, onPiece);
      enter(response, reading);
      return reading;
    },
    pause() {
      paused = true;
      for (const reading of open) reading.pause();
    },
    resume() {
      paused = false;
      for (const reading of open) reading.resume();
    },
  };
}
