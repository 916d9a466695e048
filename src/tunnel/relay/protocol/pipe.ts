import type { Http2Session } from 'node:http2';
import { Duplex } from 'node:stream';
import type { RawData } from 'ws';
import { systemClock, type Clock } from '../../../platform/clock.ts';
import { createFrameReader, type Frame } from './frame-reader.ts';
import { ackBytes, ackMs, maxDataBytes, maxParkedBytes, maxUnreadBytes } from './limits.ts';
import { closeCodes, encodeMessage, isLost } from './protocol.ts';
import { ReplayBuffer } from './replay-buffer.ts';

/** What a pipe needs of a `WebSocket` of ws. */
export interface PipeSocket {
  readonly OPEN: number;
  readonly CONNECTING: number;
  readonly readyState: number;
  send(data: Buffer | string, options: object, callback?: (error?: Error) => void): void;
  pause(): void;
  resume(): void;
  close(code: number, reason?: string): void;
  terminate(): void;
  on(event: 'message', listener: (data: RawData, isBinary: boolean) => void): unknown;
  off(event: 'message', listener: (data: RawData, isBinary: boolean) => void): unknown;
  once(event: 'error', listener: (error: Error) => void): unknown;
  once(event: 'close', listener: (code: number, reason: Buffer) => void): unknown;
}

export interface PipeOptions {
  /** Sees every frame before HTTP/2 does. Returns why the connection has to end, or undefined. */
  readonly objectTo?: (frame: Frame) => string | undefined;
  /** Whether the pipe outlives the loss of its socket. The peer must acknowledge what it receives. */
  readonly isResumable?: boolean;
  readonly clock?: Clock;
}

/** The socket of a pipe and the bytes that wait in it. */
interface Carrier {
  readonly socket: PipeSocket;
  parkedBytes: number;
}

/** A write that has not been passed to the socket completely. */
interface Write {
  readonly messages: readonly Buffer[];
  at: number;
  readonly callback: WriteCallback;
}

/**
 * The bytes of a WebSocket's binary messages, in order, as one Duplex; text messages are ignored, so that its owner has to pass
 * acknowledgements to `acknowledge`.
 * A resumable pipe keeps what it has sent until that is acknowledged. When its socket is lost, it waits, and `attach` continues
 * on another socket where the peer has stopped receiving; HTTP/2 notices nothing.
 * It breaks when this end's HTTP/2 sends a GOAWAY for an error, when a frame is refused, or by `breakOff`: it emits `broken`
 * with the reason, discards what arrives, and `end()` closes the socket with 4000. nghttp2 itself ignores everything after its
 * GOAWAY, and node:http2 does not report most errors.
 * Back-pressure: a write completes when at most maxParkedBytes wait in the socket and at most maxReplayBytes for
 * acknowledgement; the socket is paused while the reader is full. `end()` closes the socket with 1000, and that close from the
 * peer ends the readable side; every other close destroys the pipe with an error that contains the code. `destroy()`
 * terminates the socket.
 */
export class Pipe extends Duplex {
  readonly #clock: Clock;
  readonly #replay: ReplayBuffer | undefined;
  readonly #watchSent: (bytes: Buffer) => void;
  readonly #watchReceived: ((bytes: Buffer) => void) | undefined;
  #carrier: Carrier | undefined;
  #write: Write | undefined;
  #receivedBytes = 0;
  #acknowledgedBytes = 0;
  #cancelAck: (() => void) | undefined;
  #brokenReason: string | undefined;
  #isReadOnDue = false;

  constructor(socket: PipeSocket, { objectTo, isResumable = false, clock = systemClock }: PipeOptions = {}) {
    // A closed socket carries nothing in either direction, so a half-open pipe does not exist.
    super({ allowHalfOpen: false, readableHighWaterMark: maxDataBytes, writableHighWaterMark: maxDataBytes });
    this.#clock = clock;
    this.#replay = isResumable ? new ReplayBuffer() : undefined;
    this.#watchSent = createFrameReader(({ errorCode }) => {
      if (errorCode !== 0) this.breakOff(`HTTP/2 error ${errorCode}`);
    });
    this.#watchReceived =
      objectTo &&
      createFrameReader((frame) => {
        const objection = objectTo(frame);
        if (objection !== undefined) this.breakOff(objection);
      });
    this.#use(socket);
  }

  /** Bytes received so far, on all sockets. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Whether a peer that has received this many bytes can continue. */
  canAttach(peerReceived: number): boolean {
    return !this.destroyed && this.#brokenReason === undefined && this.#replay?.has(peerReceived) === true;
  }

  /**
   * Continues on this socket; one that is still there is terminated.
   * @param peerReceived bytes that the peer has received, for which `canAttach` is true. It knows `receivedBytes` already.
   */
  attach(socket: PipeSocket, peerReceived: number): void {
    const old = this.#carrier?.socket;
    this.#replay?.rewind(peerReceived);
    this.#acknowledgedBytes = this.#receivedBytes;
    this.#use(socket);
    if (old !== undefined) {
      old.off('message', this.#onMessage);
      old.terminate();
    }
    if (this.readableLength >= this.readableHighWaterMark && this.#write === undefined) socket.pause();
    this.#pump();
  }

  /** The peer has received this many bytes. Returns false when they were not sent. */
  acknowledge(received: number): boolean {
    if (this.#replay === undefined) return true;
    if (!this.#replay.acknowledge(received)) return false;
    this.#pump();
    return true;
  }

  breakOff(reason: string): void {
    if (this.#brokenReason !== undefined) return;
    this.#brokenReason = reason;
    // Not while HTTP/2 is working, and not before anybody listens.
    setImmediate(() => this.emit('broken', reason));
  }

  override _read(): void {
    this.#carrier?.socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    this.#watchSent(chunk);
    this.#begin(toMessages([chunk]), callback);
  }

  override _writev(chunks: { readonly chunk: Buffer }[], callback: WriteCallback): void {
    const buffers = chunks.map(({ chunk }) => chunk);
    for (const buffer of buffers) this.#watchSent(buffer);
    this.#begin(toMessages(buffers), callback);
  }

  override _final(callback: WriteCallback): void {
    const socket = this.#carrier?.socket;
    if (this.#brokenReason === undefined) socket?.close(closeCodes.normal);
    else socket?.close(closeCodes.protocolError, this.#brokenReason);
    callback();
  }

  override _destroy(error: Error | null, callback: WriteCallback): void {
    this.#cancelAck?.();
    this.#failWrite(error ?? new Error('the pipe was destroyed'));
    if (this.#carrier !== undefined) {
      const { socket } = this.#carrier;
      socket.off('message', this.#onMessage);
      // A socket that is already closing ends by itself; terminating it would lose the bytes before its close frame.
      if (socket.readyState === socket.OPEN || socket.readyState === socket.CONNECTING) socket.terminate();
      else socket.resume();
    }
    callback(error);
  }

  #use(socket: PipeSocket): void {
    const carrier: Carrier = { socket, parkedBytes: 0 };
    this.#carrier = carrier;
    let socketError: Error | undefined;
    socket.on('message', this.#onMessage);
    socket.once('error', (error) => {
      socketError = error;
    });
    socket.once('close', (code, reason) => {
      if (this.destroyed || this.#carrier !== carrier) return;
      if (isLost(code) && this.#replay !== undefined) {
        this.#carrier = undefined;
        return;
      }
      const error = socketError ?? new Error(`the link was closed with ${code} ${reason.toString()}`.trim());
      if (code === closeCodes.normal && this.#write === undefined) this.push(null);
      else this.destroy(error);
    });
  }

  readonly #onMessage = (data: RawData, isBinary: boolean): void => {
    if (!isBinary || !Buffer.isBuffer(data)) return;
    this.#onReceived(data.length);
    this.#watchReceived?.(data);
    if (this.#brokenReason !== undefined || this.push(data)) return;
    // While a write waits, HTTP/2 does not read, and an acknowledgement that ends the wait may be next.
    if (this.#write === undefined || this.readableLength >= maxUnreadBytes) this.#carrier?.socket.pause();
  };

  #onReceived(bytes: number): void {
    this.#receivedBytes += bytes;
    if (this.#replay === undefined) return;
    if (this.#receivedBytes - this.#acknowledgedBytes >= ackBytes) this.#sendAck();
    else this.#cancelAck ??= this.#clock.after(ackMs, this.#sendAck);
  }

  readonly #sendAck = (): void => {
    this.#cancelAck?.();
    this.#cancelAck = undefined;
    const socket = this.#carrier?.socket;
    // The next socket begins with this number.
    if (socket === undefined || socket.readyState !== socket.OPEN) return;
    this.#acknowledgedBytes = this.#receivedBytes;
    socket.send(encodeMessage({ type: 'ack', received: this.#receivedBytes }), {});
  };

  #begin(messages: readonly Buffer[], callback: WriteCallback): void {
    this.#write = { messages, at: 0, callback };
    this.#pump();
    if (this.#write !== undefined && this.readableLength < maxUnreadBytes) this.#carrier?.socket.resume();
  }

  /** Passes on what the socket and the replay buffer have room for: first what is sent again, then the current write. */
  #pump(): void {
    const carrier = this.#carrier;
    if (carrier === undefined) return;
    while (carrier.socket.readyState === carrier.socket.OPEN) {
      const again = this.#replay?.next;
      const message = again ?? this.#write?.messages[this.#write.at];
      if (message === undefined) {
        this.#endWrite();
        return;
      }
      const hasRoom = again !== undefined || this.#replay === undefined || this.#replay.hasRoomFor(message.length);
      if (!hasRoom || (carrier.parkedBytes > 0 && carrier.parkedBytes + message.length > maxParkedBytes)) return;
      if (again !== undefined) this.#replay?.sent();
      else {
        this.#replay?.add(message);
        if (this.#write !== undefined) this.#write.at += 1;
      }
      carrier.parkedBytes += message.length;
      carrier.socket.send(message, { binary: true, compress: false }, (error) => {
        carrier.parkedBytes -= message.length;
        // After an error, the close that follows is enough.
        if (!error && this.#carrier === carrier) this.#pump();
      });
    }
  }

  #endWrite(): void {
    const write = this.#write;
    if (write === undefined) return;
    this.#write = undefined;
    write.callback();
    if (this.#isReadOnDue) return;
    this.#isReadOnDue = true;
    setImmediate(this.#readOn);
  }

  #failWrite(error: Error): void {
    const write = this.#write;
    this.#write = undefined;
    write?.callback(error);
  }

  /**
   * node:http2 pauses while it writes. When a reset waits for the end of every write, as in a flood of dropped requests on a
   * busy machine, it starts the next write first and never resumes reading.
   */
  readonly #readOn = (): void => {
    this.#isReadOnDue = false;
    if (this.#write === undefined && this.isPaused()) this.resume();
  };
}

type WriteCallback = (error?: Error | null) => void;

/**
 * Packs writes into messages of at most maxDataBytes. HTTP/2 writes a 9-byte frame header and its payload separately; joining
 * them costs less than a WebSocket frame and a system call for each.
 */
function toMessages(chunks: readonly Buffer[]): Buffer[] {
  const messages: Buffer[] = [];
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  const flush = (): void => {
    const [first] = pending;
    if (first !== undefined) messages.push(pending.length === 1 ? first : Buffer.concat(pending, pendingBytes));
    pending = [];
    pendingBytes = 0;
  };
  for (const chunk of chunks) {
    for (let offset = 0; offset < chunk.length; offset += maxDataBytes) {
      const part = chunk.length <= maxDataBytes ? chunk : chunk.subarray(offset, offset + maxDataBytes);
      if (pendingBytes + part.length > maxDataBytes) flush();
      pending.push(part);
      pendingBytes += part.length;
    }
  }
  flush();
  return messages;
}

/**
 * Breaks the pipe when node:http2 destroys its session. The `error` event comes too late: by then node:http2 has ended the pipe
 * as if nothing had happened.
 */
export function reportFaults(session: Http2Session, pipe: Pipe): void {
  const destroy = session.destroy.bind(session);
  session.destroy = (error?: Error, code?: number): void => {
    // node:http2 itself may pass null.
    if (error instanceof Error) pipe.breakOff(`HTTP/2: ${error.message}`.slice(0, 100));
    destroy(error, code);
  };
}
