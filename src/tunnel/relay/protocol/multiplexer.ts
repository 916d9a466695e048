import { endFlag, frameHeader, FrameReader, frameTypes, numberFrame, type FrameSink } from './frames.ts';
import { maxDataBytes, maxHeadBytes, maxOpenStreams } from './limits.ts';
import { MuxStream, resetCodes, type StreamHost, type StreamReceiver } from './mux-stream.ts';

/** No data frame is begun for less than this in a message that has other frames already. */
const minFrameBytes: number = 1024;
const maxStreamId = 0xffff_ffff;

/** Where frames go; a `Pipe`. */
export interface FrameCarrier {
  /** Whether it takes one more message of maxDataBytes. */
  readonly isWritable: boolean;
  send(message: Buffer): void;
}

export interface MultiplexerOptions {
  readonly carrier: FrameCarrier;
  /**
   * At the agent: takes a request that the relay sends, whose head is JSON as in `parseRequestHead`, and sets the receiver of the
   * stream. Undefined at the relay, to which no requests are sent.
   */
  readonly onRequest?: (stream: MuxStream, head: Buffer) => void;
  /** Sees each frame that arrives. Returns why the connection has to end, or undefined. */
  readonly objectTo?: (type: number, length: number) => string | undefined;
  /** The other end broke the protocol: the connection has to end. Called once. */
  readonly onFault: (reason: string) => void;
}

/**
 * Many requests and their responses over one pipe. The relay opens streams, whose ids rise; the agent responds. A stream ends
 * with its response, with a reset, or with the session; what still arrives for it then is ignored. Streams take turns to send,
 * and each has a window (see MuxStream), so that a slow reader holds up nothing but its own stream: this end always reads.
 * All that one turn of the event loop has to send is packed into as few messages as possible.
 */
export class Multiplexer implements FrameSink, StreamHost {
  readonly #carrier: FrameCarrier;
  readonly #onRequest: MultiplexerOptions['onRequest'];
  readonly #objectTo: MultiplexerOptions['objectTo'];
  readonly #onFault: (reason: string) => void;
  readonly #reader = new FrameReader(this);
  readonly #streams = new Map<number, MuxStream>();
  /** Heads, resets and windows: before any data. */
  #frames: Buffer[] = [];
  #ready: MuxStream[] = [];
  #isFlushDue = false;
  #lastId = 0;
  #isRefusing = false;
  #isClosed = false;
  #onIdle: (() => void) | undefined;

  constructor({ carrier, onRequest, objectTo, onFault }: MultiplexerOptions) {
    this.#carrier = carrier;
    this.#onRequest = onRequest;
    this.#objectTo = objectTo;
    this.#onFault = onFault;
  }

  /** Streams that are open. */
  get size(): number {
    return this.#streams.size;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Opens a stream. @param head of at most maxHeadBytes. @param isEnd whether the request has no body. */
  open(head: Buffer, isEnd: boolean, receiver: StreamReceiver): MuxStream {
    this.#lastId += 1;
    const stream = new MuxStream(this.#lastId, this);
    stream.receiver = receiver;
    this.#streams.set(stream.id, stream);
    this.#sendHead(stream, head, isEnd);
    if (this.#lastId === maxStreamId) this.#fault('the ids of streams are used up');
    return stream;
  }

  /** Sends the head of a response. @param head of at most maxHeadBytes. */
  respond(stream: MuxStream, head: Buffer): void {
    if (!stream.isClosed) this.#sendHead(stream, head, false);
  }

  /** Takes what the pipe has received. */
  receive(bytes: Buffer): void {
    if (this.#isClosed) return;
    const fault = this.#reader.read(bytes);
    if (fault !== undefined) this.#fault(fault);
  }

  /** Sends what waits, as far as the carrier has room; to be called when it has room again. */
  readonly flush = (): void => {
    this.#isFlushDue = false;
    while (!this.#isClosed && this.#carrier.isWritable) {
      const message = this.#nextMessage();
      if (message === undefined) break;
      this.#carrier.send(message);
    }
    if (this.#streams.size === 0 && this.#frames.length === 0) this.#reportIdle();
  };

  /** Refuses new streams, and calls back when no stream is open. */
  finish(onIdle: () => void): void {
    this.#isRefusing = true;
    this.#onIdle = onIdle;
    this.#scheduleFlush();
  }

  /** Ends all streams, which are lost. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stream of this.#streams.values()) {
      stream.close();
      stream.receiver.onClose('lost');
    }
    this.#streams.clear();
    this.#frames = [];
    this.#ready = [];
    this.#reportIdle();
  }

  onFrame(type: number, length: number): string | undefined {
    // What has just arrived may have led to `close`.
    return this.#isClosed ? 'the connection is closed' : this.#objectTo?.(type, length);
  }

  onHead(streamId: number, head: Buffer, isEnd: boolean): string | undefined {
    if (this.#onRequest === undefined) {
      const stream = this.#find(streamId);
      if (typeof stream !== 'object') return stream;
      if (stream.hasHead) return `a second head in the stream ${streamId}`;
      stream.hasHead = true;
      stream.receiver.onHead(head);
      if (isEnd && !stream.isClosed) this.#onReceived(stream);
      return undefined;
    }
    if (streamId <= this.#lastId) return `the stream ${streamId} was opened twice`;
    this.#lastId = streamId;
    const stream = new MuxStream(streamId, this);
    this.#streams.set(streamId, stream);
    stream.hasHead = true;
    stream.isReceived = isEnd;
    if (this.#isRefusing || this.#streams.size > maxOpenStreams) {
      stream.reset(resetCodes.refused);
      return undefined;
    }
    this.#onRequest(stream, head);
    if (isEnd && !stream.isClosed) stream.receiver.onEnd();
    return undefined;
  }

  onData(streamId: number, bytes: Buffer, isEnd: boolean): string | undefined {
    const stream = this.#find(streamId);
    if (typeof stream !== 'object') return stream;
    if (!stream.hasHead || stream.isReceived) return `data outside the body of the stream ${streamId}`;
    if (!stream.takeWindow(bytes.length)) return `more data in the stream ${streamId} than its window allows`;
    if (bytes.length > 0) stream.receiver.onData(bytes);
    if (isEnd && !stream.isClosed) this.#onReceived(stream);
    return undefined;
  }

  onReset(streamId: number, code: number): string | undefined {
    const stream = this.#find(streamId);
    if (typeof stream !== 'object') return stream;
    this.#close(stream, code);
    return undefined;
  }

  onWindow(streamId: number, bytes: number): string | undefined {
    const stream = this.#find(streamId);
    if (typeof stream !== 'object') return stream;
    return stream.addWindow(bytes) ? undefined : `the window of the stream ${streamId} is larger than it can be`;
  }

  onReady(stream: MuxStream): void {
    stream.isQueued = true;
    this.#ready.push(stream);
    this.#scheduleFlush();
  }

  sendReset(stream: MuxStream, code: number): void {
    this.#streams.delete(stream.id);
    stream.close();
    // Otherwise requests that are given up would pile up here while the carrier takes nothing.
    const isUnknown = this.#dropHead(stream) && this.#onRequest === undefined;
    if (isUnknown) this.#scheduleFlush();
    else this.#send(numberFrame(frameTypes.reset, stream.id, code));
  }

  sendWindow(stream: MuxStream, bytes: number): void {
    this.#send(numberFrame(frameTypes.window, stream.id, bytes));
  }

  /** An open stream; undefined for one that was open, for which frames may be on their way; a fault for any other. */
  #find(streamId: number): MuxStream | string | undefined {
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) return stream;
    return streamId > 0 && streamId <= this.#lastId
      ? undefined
      : `a frame for the stream ${streamId}, which was not opened`;
  }

  /** The other end has sent all of a stream; at the relay, that ends it: what is left of the request is not needed. */
  #onReceived(stream: MuxStream): void {
    stream.isReceived = true;
    stream.receiver.onEnd();
    if (this.#onRequest === undefined) this.#close(stream);
  }

  #close(stream: MuxStream, reset?: number): void {
    if (stream.isClosed) return;
    this.#streams.delete(stream.id);
    stream.close();
    this.#dropHead(stream);
    stream.receiver.onClose(reset);
    if (this.#onIdle !== undefined) this.#scheduleFlush();
  }

  #sendHead(stream: MuxStream, head: Buffer, isEnd: boolean): void {
    if (head.length > maxHeadBytes) throw new RangeError(`a head of ${head.length} bytes`);
    const type = isEnd ? frameTypes.head | endFlag : frameTypes.head;
    stream.head = Buffer.concat([frameHeader(type, stream.id, head.length), head]);
    this.#send(stream.head);
  }

  /** Takes back the head of a stream, if it has not been sent. */
  #dropHead({ head }: MuxStream): boolean {
    const at = head === undefined ? -1 : this.#frames.indexOf(head);
    if (at >= 0) this.#frames.splice(at, 1);
    return at >= 0;
  }

  #send(frame: Buffer): void {
    if (this.#isClosed) return;
    this.#frames.push(frame);
    this.#scheduleFlush();
  }

  #scheduleFlush(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(this.flush);
  }

  /** As many frames as fit, or undefined when there is nothing to send. */
  #nextMessage(): Buffer | undefined {
    const parts: Buffer[] = [];
    let room = maxDataBytes;
    let taken = 0;
    for (const frame of this.#frames) {
      if (frame.length > room) break;
      parts.push(frame);
      room -= frame.length;
      taken += 1;
    }
    this.#frames.splice(0, taken);
    while (this.#frames.length === 0 && room >= minFrameBytes) {
      const stream = this.#ready.shift();
      if (stream === undefined) break;
      stream.isQueued = false;
      if (!stream.isReady) continue;
      room -= stream.takeFrame(room, parts);
      // At the agent, the end of a response ends its stream.
      if (stream.isSent && this.#onRequest !== undefined) this.#close(stream);
      else {
        if (stream.isReady) this.onReady(stream);
        stream.drain();
      }
    }
    return parts.length === 0 ? undefined : Buffer.concat(parts, maxDataBytes - room);
  }

  #fault(reason: string): void {
    if (!this.#isClosed) this.#onFault(reason);
  }

  #reportIdle(): void {
    const onIdle = this.#onIdle;
    this.#onIdle = undefined;
    onIdle?.();
  }
}
