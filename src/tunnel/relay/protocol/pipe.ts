import type { Http2Session } from 'node:http2';
import { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { createFrameReader, type Frame } from './frame-reader.ts';
import { maxDataBytes, maxParkedBytes } from './limits.ts';
import { closeCodes } from './protocol.ts';

export interface PipeOptions {
  /** Sees every frame before HTTP/2 does. Returns why the connection has to end, or undefined. */
  readonly objectTo?: (frame: Frame) => string | undefined;
}

/**
 * The bytes of a WebSocket's binary messages, in order, as one Duplex; text messages are ignored.
 * It breaks when this end's HTTP/2 sends a GOAWAY for an error, when a frame is refused, or by `breakOff`: it emits `broken`
 * with the reason, discards what arrives, and `end()` closes the socket with 4000. nghttp2 itself ignores everything after its
 * GOAWAY, and node:http2 does not report most errors.
 * Back-pressure: a write completes when at most maxParkedBytes wait in the socket; the socket is paused while the reader is
 * full. `end()` closes the socket with 1000, and that close from the peer ends the readable side; every other close destroys
 * the pipe with an error that contains the code. `destroy()` terminates the socket.
 */
export class Pipe extends Duplex {
  readonly #socket: WebSocket;
  readonly #watchSent: (bytes: Buffer) => void;
  readonly #watchReceived: ((bytes: Buffer) => void) | undefined;
  #parkedBytes = 0;
  #whenDrained: (() => void) | undefined;
  #waitingWrite: ((error: Error) => void) | undefined;
  #brokenReason: string | undefined;
  #isReadOnDue = false;

  constructor(socket: WebSocket, { objectTo }: PipeOptions = {}) {
    // A closed socket carries nothing in either direction, so a half-open pipe does not exist.
    super({ allowHalfOpen: false, readableHighWaterMark: maxDataBytes, writableHighWaterMark: maxDataBytes });
    this.#socket = socket;
    this.#watchSent = createFrameReader(({ errorCode }) => {
      if (errorCode !== 0) this.breakOff(`HTTP/2 error ${errorCode}`);
    });
    this.#watchReceived =
      objectTo &&
      createFrameReader((frame) => {
        const objection = objectTo(frame);
        if (objection !== undefined) this.breakOff(objection);
      });
    let socketError: Error | undefined;
    socket.on('message', this.#onMessage);
    socket.once('error', (error) => {
      socketError = error;
    });
    socket.once('close', (code, reason) => {
      if (this.destroyed) return;
      if (code === closeCodes.normal) this.push(null);
      else this.destroy(socketError ?? new Error(`the link was closed with ${code} ${reason.toString()}`.trim()));
    });
  }

  breakOff(reason: string): void {
    if (this.#brokenReason !== undefined) return;
    this.#brokenReason = reason;
    // Not while HTTP/2 is working, and not before anybody listens.
    setImmediate(() => this.emit('broken', reason));
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    this.#watchSent(chunk);
    this.#send(toMessages([chunk]), 0, callback);
  }

  override _writev(chunks: { readonly chunk: Buffer }[], callback: WriteCallback): void {
    const buffers = chunks.map(({ chunk }) => chunk);
    for (const buffer of buffers) this.#watchSent(buffer);
    this.#send(toMessages(buffers), 0, callback);
  }

  override _final(callback: WriteCallback): void {
    if (this.#brokenReason === undefined) this.#socket.close(closeCodes.normal);
    else this.#socket.close(closeCodes.protocolError, this.#brokenReason);
    callback();
  }

  override _destroy(error: Error | null, callback: WriteCallback): void {
    const socket = this.#socket;
    this.#whenDrained = undefined;
    this.#waitingWrite?.(error ?? new Error('the pipe was destroyed'));
    socket.off('message', this.#onMessage);
    // A socket that is already closing ends by itself; terminating it would lose the bytes before its close frame.
    if (socket.readyState === socket.OPEN || socket.readyState === socket.CONNECTING) socket.terminate();
    else socket.resume();
    callback(error);
  }

  readonly #onMessage = (data: RawData, isBinary: boolean): void => {
    if (!isBinary || !Buffer.isBuffer(data)) return;
    this.#watchReceived?.(data);
    if (this.#brokenReason === undefined && !this.push(data)) this.#socket.pause();
  };

  #send(messages: readonly Buffer[], from: number, callback: WriteCallback): void {
    this.#waitingWrite = undefined;
    for (let index = from; index < messages.length; index += 1) {
      const message = messages[index];
      if (message === undefined) break;
      if (this.#parkedBytes > 0 && this.#parkedBytes + message.length > maxParkedBytes) {
        this.#waitingWrite = callback;
        this.#whenDrained = () => this.#send(messages, index, callback);
        return;
      }
      this.#parkedBytes += message.length;
      this.#socket.send(message, { binary: true, compress: false }, (error) => this.#sent(message.length, error));
    }
    callback();
    if (this.#isReadOnDue) return;
    this.#isReadOnDue = true;
    setImmediate(this.#readOn);
  }

  #sent(bytes: number, error: Error | undefined): void {
    this.#parkedBytes -= bytes;
    if (error) {
      this.destroy(error);
      return;
    }
    const next = this.#whenDrained;
    this.#whenDrained = undefined;
    next?.();
  }

  /**
   * node:http2 pauses while it writes. When a reset waits for the end of every write, as in a flood of dropped requests on a
   * busy machine, it starts the next write first and never resumes reading.
   */
  readonly #readOn = (): void => {
    this.#isReadOnDue = false;
    if (this.#whenDrained === undefined && this.isPaused()) this.resume();
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
