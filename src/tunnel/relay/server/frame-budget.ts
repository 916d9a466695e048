import { systemClock, type Clock } from '../../../platform/clock.ts';
import { createTokenBucket } from '../../../platform/token-bucket.ts';
import { frameTypes } from '../protocol/frames.ts';

/**
 * Bytes of heads. One costs the relay a hundred times what a byte of a body costs, and all agents share its one thread. Each
 * request adds what its response needs; the rest is for large heads.
 */
const headBurstBytes: number = 1024 * 1024;
const headBytesPerSecond: number = 256 * 1024;
const headBytesPerRequest = 1024;
/**
 * Frames, or parts of them, with little or no content: each costs the relay as much as one with 64 KiB, for 8 bytes, and a piece
 * of a body that waits for its client takes 400 bytes of memory, however short it is.
 */
const burst = 20_000;
const perSecond = 10_000;
const perRequest = 4;
/** A response to `ping` has 36 bytes, which its request pays for. */
const minContentBytes = 64;

export interface FrameBudget {
  onRequest(): void;
  /** Takes account of a frame from the agent, or a part of a data frame. Returns why the connection has to end, or undefined. */
  objectTo(type: number, length: number): string | undefined;
}

/** Limits the frames with which one agent can keep the relay busy. */
export function createFrameBudget(clock: Clock = systemClock): FrameBudget {
  const headBytes = createTokenBucket({ burst: headBurstBytes, perSecond: headBytesPerSecond, clock });
  const frames = createTokenBucket({ burst, perSecond, clock });
  return {
    onRequest() {
      headBytes.add(headBytesPerRequest);
      frames.add(perRequest);
    },
    objectTo(type, length) {
      if (type === frameTypes.head && !headBytes.take(length)) return 'too many bytes of heads';
      return length >= minContentBytes || frames.take(1) ? undefined : 'too many frames with little or no content';
    },
  };
}
