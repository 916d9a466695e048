import { systemClock, type Clock } from '../../../platform/clock.ts';
import { createTokenBucket } from '../../../platform/token-bucket.ts';

/**
 * Frames with little or no content: each costs the relay as much as one with 64 KiB, for 8 bytes, and a piece of a body that
 * waits for its client takes a hundred bytes of memory, however short it is.
 */
const burst = 20_000;
const perSecond = 10_000;
const perRequest = 4;
/** A response to `ping` has 36 bytes, which its request pays for. */
const minContentBytes = 64;

export interface FrameBudget {
  onRequest(): void;
  /** Takes account of a frame from the agent. Returns why the connection has to end, or undefined. */
  objectTo(length: number): string | undefined;
}

/** Limits the frames with which one agent can keep the relay busy. */
export function createFrameBudget(clock: Clock = systemClock): FrameBudget {
  const frames = createTokenBucket({ burst, perSecond, clock });
  return {
    onRequest: () => frames.add(perRequest),
    objectTo: (length) =>
      length >= minContentBytes || frames.take(1) ? undefined : 'too many frames with little or no content',
  };
}
