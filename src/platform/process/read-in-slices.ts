import type { Readable } from 'node:stream';

const newline = 0x0a;

/** So long at a stretch what one stream brings is worked on, in milliseconds; then all others have a turn. */
const sliceMs = 2;

/** After a gap of so many milliseconds others have had a turn: Node reads up to 32 times before it looks elsewhere. */
const gapMs = 0.5;

/** Between two looks at the clock, in bytes: some milliseconds even where every second byte ends a bad line. */
const stepBytes = 1024;

export interface SlicedReading {
  /** Stops until `resume`. What has come already waits, too. */
  pause(): void;
  resume(): void;
  /** The stream is over: hands over at once what waits. */
  finish(): void;
}

/**
 * Reads a stream so that one that never stops leaves time for everybody else. Cuts what it hands over only behind line
 * breaks, so that a long line stays in the pieces in which it came.
 */
export function readInSlices(stream: Readable, onPiece: (piece: Buffer) => void): SlicedReading {
  const waiting: Buffer[] = [];
  let isHeld = false;
  let isResting = false;
  let isWorking = false;
  let beganAt = 0;
  let endedAt = 0;

  function take(chunk: Buffer): void {
    // What was on its way when the stream was paused.
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
      // Inside `onPiece`, what is left of the piece comes first.
      if (isWorking) queueMicrotask(readOn);
      else readOn();
    },
    finish() {
      for (const piece of waiting.splice(0)) onPiece(piece);
    },
  };
}
