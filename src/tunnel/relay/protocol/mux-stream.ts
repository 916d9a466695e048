import { endFlag, frameHeader, frameHeaderBytes, frameTypes } from './frames.ts';
import { streamWindowBytes } from './limits.ts';

/** Why a stream ends before its response is complete; the numbers of a reset frame. */
export const resetCodes = { cancelled: 0, refused: 1, failed: 2 } as const;

/** Bytes that wait in a stream, above which its writer has to wait. */
const highWaterBytes: number = 64 * 1024;

/** What receives a stream. None of it is called again after `onClose`, or after the stream was reset at this end. */
export interface StreamReceiver {
  /** The head of a response: JSON, as in `parseResponseHead`. Only at the relay. */
  onHead(head: Buffer): void;
  /** The receiver says with `consumed` when it has processed the bytes. */
  onData(bytes: Buffer): void;
  onEnd(): void;
  /** There is room again after `write` has returned false. */
  onDrain(): void;
  /**
   * The stream is over.
   * @param reset the number of the other end's reset, `lost` when the session has ended, or undefined after a complete response.
   */
  onClose(reset: number | 'lost' | undefined): void;
}

/** The receiver of a stream whose request cannot be read. */
const ignoring: StreamReceiver = { onHead() {}, onData() {}, onEnd() {}, onDrain() {}, onClose() {} };

/** What a stream needs of its multiplexer. */
export interface StreamHost {
  /** The stream has something to send. */
  onReady(stream: MuxStream): void;
  sendReset(stream: MuxStream, code: number): void;
  sendWindow(stream: MuxStream, bytes: number): void;
}

/** One request and its response. */
export class MuxStream {
  readonly id: number;
  readonly #host: StreamHost;
  receiver: StreamReceiver = ignoring;
  /** The frame of the head that this end sends. */
  head: Buffer | undefined;
  isClosed = false;
  /** Whether the other end has sent its head. */
  hasHead = false;
  /** Whether the other end has ended what it sends. */
  isReceived = false;
  /** Whether it waits for its turn to send. */
  isQueued = false;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #hasEnded = false;
  #isSent = false;
  #mustDrain = false;
  #sendWindow: number = streamWindowBytes;
  #receiveWindow: number = streamWindowBytes;
  /** Processed bytes that the other end does not know of. */
  #consumedBytes = 0;

  constructor(id: number, host: StreamHost) {
    this.id = id;
    this.#host = host;
  }

  /** Bytes that wait for the window or for their turn. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Whether all of it was sent, and its end. */
  get isSent(): boolean {
    return this.#isSent;
  }

  /** Returns false when the writer should wait for `onDrain`. The bytes must not be changed afterwards. */
  write(bytes: Buffer): boolean {
    if (this.isClosed || this.#hasEnded || bytes.length === 0) return true;
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    this.#announce();
    if (this.#pendingBytes < highWaterBytes) return true;
    this.#mustDrain = true;
    return false;
  }

  end(): void {
    if (this.isClosed || this.#hasEnded) return;
    this.#hasEnded = true;
    this.#announce();
  }

  /** Ends the stream at once; what waits is not sent. */
  reset(code: number): void {
    if (!this.isClosed) this.#host.sendReset(this, code);
  }

  /** The receiver has processed this many bytes: the other end may send as many again. */
  consumed(bytes: number): void {
    this.#consumedBytes += bytes;
    if (this.isClosed || this.isReceived || this.#consumedBytes < streamWindowBytes / 2) return;
    this.#receiveWindow += this.#consumedBytes;
    this.#host.sendWindow(this, this.#consumedBytes);
    this.#consumedBytes = 0;
  }

  /** Counts received bytes. Returns false when they are more than the window allows. */
  takeWindow(bytes: number): boolean {
    this.#receiveWindow -= bytes;
    return this.#receiveWindow >= 0;
  }

  /** The other end has processed this many bytes. Returns false when it did not get them. */
  addWindow(bytes: number): boolean {
    this.#sendWindow += bytes;
    this.#announce();
    return this.#sendWindow <= streamWindowBytes;
  }

  /** Whether it has something that the window allows to send. */
  get isReady(): boolean {
    if (this.isClosed || this.#isSent) return false;
    return this.#pendingBytes > 0 ? this.#sendWindow > 0 : this.#hasEnded;
  }

  /** Adds one data frame of at most `room` bytes to `parts`, and returns its length with the header. Only when `isReady`. */
  takeFrame(room: number, parts: Buffer[]): number {
    const length = Math.min(this.#pendingBytes, this.#sendWindow, room - frameHeaderBytes);
    this.#isSent = this.#hasEnded && length === this.#pendingBytes;
    parts.push(frameHeader(this.#isSent ? frameTypes.data | endFlag : frameTypes.data, this.id, length));
    this.#sendWindow -= length;
    this.#pendingBytes -= length;
    for (let missing = length; missing > 0;) {
      const [first] = this.#pending;
      if (first === undefined) break;
      if (first.length <= missing) this.#pending.shift();
      else this.#pending[0] = first.subarray(missing);
      const part = first.length <= missing ? first : first.subarray(0, missing);
      parts.push(part);
      missing -= part.length;
    }
    return frameHeaderBytes + length;
  }

  /** To be called after `takeFrame`. */
  drain(): void {
    if (!this.#mustDrain || this.#pendingBytes >= highWaterBytes) return;
    this.#mustDrain = false;
    this.receiver.onDrain();
  }

  /** Forgets what waits. */
  close(): void {
    this.isClosed = true;
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  #announce(): void {
    if (!this.isQueued && this.isReady) this.#host.onReady(this);
  }
}
