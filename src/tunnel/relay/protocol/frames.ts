import { maxHeadBytes } from './limits.ts';

/**
 * The frames of the pipe: 24 bits of length, 8 of type, 32 of stream, big-endian, then the payload (docs/tunnel-protocol.md,
 * "Frames").
 */
export const frameTypes = { head: 1, data: 2, reset: 3, window: 4 } as const;
/** Added to the type of a head or data frame: the last one of its sender in this stream. */
export const endFlag = 0x80;
export const frameHeaderBytes = 8;

export function frameHeader(type: number, streamId: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  header.writeUIntBE(length, 0, 3);
  header[3] = type;
  header.writeUInt32BE(streamId, 4);
  return header;
}

/** A reset or window frame. */
export function numberFrame(type: number, streamId: number, value: number): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + 4);
  frameHeader(type, streamId, 4).copy(frame);
  frame.writeUInt32BE(value, frameHeaderBytes);
  return frame;
}

/** What takes frames apart. Each method returns why the connection has to end, or undefined. */
export interface FrameSink {
  /**
   * Called before the payload is passed on, with the type without endFlag and the length; of a data frame, for each part that
   * has come.
   */
  onFrame(type: number, length: number): string | undefined;
  onHead(streamId: number, head: Buffer, isEnd: boolean): string | undefined;
  /** A part of a data frame; `isEnd` with the last part of the last one. */
  onData(streamId: number, bytes: Buffer, isEnd: boolean): string | undefined;
  onReset(streamId: number, code: number): string | undefined;
  onWindow(streamId: number, bytes: number): string | undefined;
}

/** Reads frames from bytes that come in pieces of any size. Data is passed on as it comes, without a copy. */
export class FrameReader {
  readonly #sink: FrameSink;
  /** A frame that has come in part, or only the header of one, and how much of it has come. */
  #partial: Buffer = Buffer.alloc(0);
  #filled = 0;
  /** Bytes of the current data frame that have not come yet. */
  #bytesLeft = 0;
  #streamId = 0;
  #isEnd = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Returns why the connection has to end, or undefined. */
  read(bytes: Buffer): string | undefined {
    let fault: string | undefined;
    let at = 0;
    while (at < bytes.length && fault === undefined) {
      if (this.#bytesLeft > 0) {
        const part = bytes.subarray(at, at + this.#bytesLeft);
        at += part.length;
        fault = this.#passData(part);
        continue;
      }
      const needed = this.#filled === 0 ? neededBytes(bytes, at) : this.#partial.length;
      if (needed > frameHeaderBytes + maxHeadBytes)
        return `a frame of ${needed - frameHeaderBytes} bytes that is not data`;
      if (this.#filled === 0 && bytes.length - at >= needed) {
        fault = this.#passFrame(bytes.subarray(at, at + needed));
        at += needed;
        continue;
      }
      if (this.#filled === 0) this.#partial = Buffer.allocUnsafe(needed);
      const copied = bytes.copy(this.#partial, this.#filled, at);
      at += copied;
      this.#filled += copied;
      if (this.#filled === this.#partial.length) fault = this.#passPartial();
    }
    return fault;
  }

  /** What was collected is a frame, or the header of one that is longer. */
  #passPartial(): string | undefined {
    const frame = this.#partial;
    const needed = neededBytes(frame, 0);
    if (needed > frame.length && needed <= frameHeaderBytes + maxHeadBytes) {
      this.#partial = Buffer.allocUnsafe(needed);
      frame.copy(this.#partial);
      return undefined;
    }
    this.#filled = 0;
    if (needed > frame.length) return `a frame of ${needed - frameHeaderBytes} bytes that is not data`;
    return this.#passFrame(frame);
  }

  /** @param frame a whole frame, or the header of a data frame. */
  #passFrame(frame: Buffer): string | undefined {
    const length = frame.readUIntBE(0, 3);
    const flaggedType = frame[3] ?? 0;
    const type = flaggedType & ~endFlag;
    const isEnd = (flaggedType & endFlag) !== 0;
    const streamId = frame.readUInt32BE(4);
    if (type === frameTypes.data) {
      this.#bytesLeft = length;
      this.#streamId = streamId;
      this.#isEnd = isEnd;
      return length === 0 ? this.#passData(frame.subarray(frameHeaderBytes)) : undefined;
    }
    const fault = this.#sink.onFrame(type, length);
    if (fault !== undefined) return fault;
    const payload = frame.subarray(frameHeaderBytes);
    if (type === frameTypes.head) return this.#sink.onHead(streamId, payload, isEnd);
    // Types of later versions.
    if (type !== frameTypes.reset && type !== frameTypes.window) return undefined;
    if (payload.length !== 4) return `a frame of type ${type} has ${payload.length} bytes`;
    const value = payload.readUInt32BE(0);
    return type === frameTypes.reset ? this.#sink.onReset(streamId, value) : this.#sink.onWindow(streamId, value);
  }

  #passData(part: Buffer): string | undefined {
    this.#bytesLeft -= part.length;
    const fault = this.#sink.onFrame(frameTypes.data, part.length);
    return fault ?? this.#sink.onData(this.#streamId, part, this.#isEnd && this.#bytesLeft === 0);
  }
}

/** How many bytes of the frame at this place are read together: the header, and the payload unless it is data. */
function neededBytes(bytes: Buffer, at: number): number {
  if (bytes.length - at < frameHeaderBytes || ((bytes[at + 3] ?? 0) & ~endFlag) === frameTypes.data)
    return frameHeaderBytes;
  return frameHeaderBytes + bytes.readUIntBE(at, 3);
}
