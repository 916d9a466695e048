import type { Readable } from 'node:stream';

const newline = 0x0a;

/** How long the data of one stream is processed at a time, in milliseconds, before other streams have a turn. */
const sliceMs = 2;

/** After a gap of this length, in milliseconds, others have had a turn: Node reads a stream up to 32 times in a row. */
const gapMs = 0.5;

/** Bytes between two checks of the clock: a few milliseconds of work, even if every second byte ends a bad line. */
const stepBytes = 1024;

export interface SlicedReading {
  /** Stops until `resume`, also for data that has already arrived. */
  pause(): void;
  resume(): void;
  /** The stream has ended: passes on the waiting data at once. */
  finish(): void;
}

/**
 * Reads a stream so that an endless one leaves time for others. Splits data only after line breaks, so that a long line stays
 * in the pieces in which it arrived.
 */
export function readInSlices(stream: Readable, onPiece: (piece: Buffer) => void): SlicedReading {
  const waiting: Buffer[] = [];
  let isHeld = false;
  let isResting = false;
  let isWorking = false;
  let beganAt = 0;
  let endedAt = 0;

  function take(chunk: Buffer): void {
    // Data that was on its way when the stream was paused.
    if (!mayWork() || waiting.length > 0) {
      waiting.push(chunk);
      return;
    }
    const now = performance.now();
    if (now - endedAt > gapMs) beganAt = now;
    work(chunk);
  }

  function work(chunk: Buffer): void {
    isWorking = true;
    for (let at = 0; at < chunk.length;) {
      const cut = chunk.indexOf(newline, at + stepBytes);
      const end = cut === -1 ? chunk.length : cut + 1;
      onPiece(chunk.subarray(at, end));
      at = end;
      endedAt = performance.now();
      const isOver = endedAt - beganAt > sliceMs;
      if (isOver) rest();
      if (!isOver && !isHeld) continue;
      if (at < chunk.length) waiting.unshift(chunk.subarray(at));
      break;
    }
    isWorking = false;
  }

  function rest(): void {
    isResting = true;
    stream.pause();
    setImmediate(() => {
      isResting = false;
      beganAt = performance.now();
      readOn();
    });
  }

  const mayWork = (): boolean => !isHeld && !isResting && !isWorking;

  function readOn(): void {
    while (mayWork()) {
      const next = waiting.shift();
      if (next === undefined) {
        stream.resume();
        return;
      }
      work(next);
    }
  }

  stream.on('data', take);
  return {
    pause() {
      isHeld = true;
      stream.pause();
    },
    resume() {
      isHeld = false;
      // During `onPiece`, the rest of the piece comes first.
      if (isWorking) queueMicrotask(readOn);
      else readOn();
    },
    finish() {
      for (const piece of waiting.splice(0)) onPiece(piece);
    },
  };
}
