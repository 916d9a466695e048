/** Frame types of HTTP/2 that are inspected (RFC 9113, section 6). */
export const frameTypes = { data: 0, headers: 1, settings: 4, pushPromise: 5, goaway: 7, continuation: 9 } as const;
export const ackFlag = 0x1;
export const paddedFlag = 0x8;

const headBytes = 9;
/** Frame header of GOAWAY, last stream id and error code. */
const goawayBytes: number = headBytes + 8;
/** `PRI * HTTP/2.0 …`, which a client sends first (RFC 9113, section 3.4). */
const prefaceBytes = 24;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  /** Bytes of the payload. */
  readonly length: number;
  /** The error code of a GOAWAY, 0 for all others. */
  readonly errorCode: number;
}

/**
 * Finds the frames in one direction of an HTTP/2 connection, whose bytes come in chunks of any size. Costs a copy of nine bytes
 * per frame; payloads are skipped. `onFrame` gets the same object each time.
 */
export function createFrameReader(onFrame: (frame: Frame) => void): (bytes: Buffer) => void {
  const head = Buffer.alloc(goawayBytes);
  const frame = { type: 0, flags: 0, length: 0, errorCode: 0 };
  let filled = 0;
  let wanted = headBytes;
  /** Bytes of the payload that are still to come; -1 until the first byte. */
  let skip = -1;
  return (bytes) => {
    if (skip === -1 && bytes.length > 0) skip = bytes[0] === 0x50 ? prefaceBytes : 0;
    let at = 0;
    while (at < bytes.length) {
      const skipped = Math.min(skip, bytes.length - at);
      skip -= skipped;
      at += skipped;
      const copied = bytes.copy(head, filled, at, Math.min(bytes.length, at + wanted - filled));
      filled += copied;
      at += copied;
      if (filled < wanted) return;
      const length = head.readUIntBE(0, 3);
      const isGoaway = head[3] === frameTypes.goaway && length >= 8;
      if (isGoaway && wanted === headBytes) {
        wanted = goawayBytes;
        continue;
      }
      frame.type = head[3] ?? 0;
      frame.flags = head[4] ?? 0;
      frame.length = length;
      frame.errorCode = isGoaway ? head.readUInt32BE(headBytes + 4) : 0;
      skip = length - (wanted - headBytes);
      filled = 0;
      wanted = headBytes;
      onFrame(frame);
    }
  };
}
