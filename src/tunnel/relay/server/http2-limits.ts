import { systemClock, type Clock } from '../../../platform/clock.ts';
import { ackFlag, frameTypes, paddedFlag, type Frame } from '../protocol/frame-reader.ts';
import { createTokenBucket } from '../../../platform/token-bucket.ts';

/**
 * Header bytes of an agent. A byte of a header block costs the relay a hundred times what a byte of a body costs, and all
 * agents share its one thread. Each request adds what its response needs; the rest is for large headers.
 */
const headerBurstBytes: number = 1024 * 1024;
const headerBytesPerSecond: number = 256 * 1024;
const headerBytesPerRequest = 1024;
/** What a header block costs in addition to its bytes: even one of five bytes is an event in JavaScript. */
const headerBlockCost = 256;
/**
 * Frames with little or no body: each is an event in JavaScript or needs an answer, for 9 bytes, and a piece of a body that
 * waits for its reader takes a hundred bytes, however short it is. Some HTTP/2 servers send two WINDOW_UPDATE for every DATA
 * frame, 6,400 per second at 50 MB/s.
 */
const frameBurst = 20_000;
const framesPerSecond = 10_000;
const framesPerRequest = 4;
/** A shorter DATA frame counts as one without a body. A response to `ping` has 36 bytes, which its request pays for. */
const minBodyBytes = 64;
/**
 * Header blocks before the agent has acknowledged our settings. Until then its HPACK table has 4 KiB, and each byte of a block
 * can stand for all of it (RFC 7541, section 4.2); our own agent acknowledges before its first response.
 */
const maxBlocksBeforeAck = 64;

export interface FrameBudget {
  onRequest(): void;
  /** Inspects a frame from the agent before HTTP/2 does. Returns why the connection has to end, or undefined. */
  objectTo(frame: Frame): string | undefined;
}

/** Limits what one agent can make the relay's HTTP/2 do. */
export function createFrameBudget(clock: Clock = systemClock): FrameBudget {
  const headerBytes = createTokenBucket({ burst: headerBurstBytes, perSecond: headerBytesPerSecond, clock });
  const frames = createTokenBucket({ burst: frameBurst, perSecond: framesPerSecond, clock });
  let blocksBeforeAck = 0;
  let hasAcknowledged = false;

  return {
    onRequest() {
      headerBytes.add(headerBytesPerRequest);
      frames.add(framesPerRequest);
    },
    objectTo({ type, flags, length }) {
      switch (type) {
        case frameTypes.data:
          // A padded frame may consist of padding only.
          if (length >= minBodyBytes && (flags & paddedFlag) === 0) return undefined;
          break;
        case frameTypes.headers:
        case frameTypes.pushPromise:
        case frameTypes.continuation:
          if (!hasAcknowledged) blocksBeforeAck += 1;
          if (blocksBeforeAck > maxBlocksBeforeAck) return 'the HTTP/2 settings were not acknowledged';
          return headerBytes.take(headerBlockCost + length) ? undefined : 'too many header bytes';
        case frameTypes.settings:
          if ((flags & ackFlag) !== 0) hasAcknowledged = true;
          break;
        default:
      }
      return frames.take(1) ? undefined : 'too many frames with little or no content';
    },
  };
}

/**
 * nghttp2 ends a connection whose client resets more than 1000 streams at once or 33 per second for long (its defence against
 * CVE-2023-44487). For the agent, the relay is that client: without a limit, anybody who opens and drops requests quickly could
 * disconnect an agent. Both numbers are below nghttp2's.
 */
const resetBurst = 900;
const resetsPerSecond = 30;

export interface RstStreamLimiter {
  /** Runs `reset` now, or later when the budget is used up; in order. It returns false when there was nothing left to reset. */
  spend(reset: () => boolean): void;
  close(): void;
}

export function createRstStreamLimiter(clock: Clock = systemClock): RstStreamLimiter {
  const bucket = createTokenBucket({ burst: resetBurst, perSecond: resetsPerSecond, clock });
  let cancel: (() => void) | undefined;
  const waiting = new Set<() => boolean>();

  const run = (): void => {
    cancel = undefined;
    for (const reset of waiting) {
      if (!bucket.take(1)) {
        cancel = clock.after(1000 / resetsPerSecond, run);
        return;
      }
      waiting.delete(reset);
      if (!reset()) bucket.add(1);
    }
  };

  return {
    spend(reset) {
      waiting.add(reset);
      if (cancel === undefined) run();
    },
    close() {
      cancel?.();
      waiting.clear();
    },
  };
}
