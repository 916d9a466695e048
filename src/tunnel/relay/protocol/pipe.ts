import type { Http2Session } from 'node:http2';
import { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import type { Frame } from './frame-reader.ts';
import { createFrameReader } from './frame-reader.ts';
import { maxDataBytes, maxParkedBytes } from './limits.ts';
import { closeCodes } from './protocol.ts';

export interface PipeOptions {
  /** Sees every frame before HTTP/2 does. Returns why the connection has to end, or undefined. */
  readonly objectTo?: (frame: Frame) => string | undefined;
}

export interface Pipe extends Duplex {
  readonly breakOff: (reason: string) => void;
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
export function createPipe(socket: WebSocket, options: PipeOptions = {}): Pipe {
  let parkedBytes = 0;
  let whenDrained: (() => void) | undefined;
  let waitingWrite: ((error: Error) => void) | undefined;
  let socketError: Error | undefined;
  let brokenReason: string | undefined;
  let isReadOnDue = false;

  const breakOff = (reason: string): void => {
    if (brokenReason !== undefined) return;
    brokenReason = reason;
    // Not while HTTP/2 is working, and not before anybody listens.
    setImmediate(() => {
      pipe.emit('broken', reason);
    });
  };
  const watchSent = createFrameReader(({ errorCode }) => {
    if (errorCode !== 0) breakOff(`HTTP/2 error ${errorCode}`);
  });
  const { objectTo } = options;
  const watchReceived =
    objectTo &&
    createFrameReader((frame) => {
      const objection = objectTo(frame);
      if (objection !== undefined) breakOff(objection);
    });

  /**
   * node:http2 pauses while it writes. When a reset waits for the end of every write, as in a flood of dropped requests on a
   * busy machine, it starts the next write first and never resumes reading.
   */
  const readOn = (): void => {
    isReadOnDue = false;
    if (whenDrained === undefined && pipe.isPaused()) pipe.resume();
  };
  const written = (callback: (error?: Error) => void): void => {
    callback();
    if (isReadOnDue) return;
    isReadOnDue = true;
    setImmediate(readOn);
  };

  const send = (messages: readonly Buffer[], from: number, callback: (error?: Error) => void): void => {
    waitingWrite = undefined;
    for (let index = from; index < messages.length; index += 1) {
      const message = messages[index];
      if (message === undefined) break;
      if (parkedBytes > 0 && parkedBytes + message.length > maxParkedBytes) {
        waitingWrite = callback;
        whenDrained = () => {
          send(messages, index, callback);
        };
        return;
      }
      parkedBytes += message.length;
      socket.send(message, { binary: true, compress: false }, (error) => {
        parkedBytes -= message.length;
        if (error) {
          pipe.destroy(error);
          return;
        }
        const next = whenDrained;
        whenDrained = undefined;
        next?.();
      });
    }
    written(callback);
  };

  const duplex = new Duplex({
    // A closed socket carries nothing in either direction, so a half-open pipe does not exist.
    allowHalfOpen: false,
    readableHighWaterMark: maxDataBytes,
    writableHighWaterMark: maxDataBytes,
    read() {
      socket.resume();
    },
    write(chunk: Buffer, _encoding, callback) {
      watchSent(chunk);
      send(toMessages([chunk]), 0, callback);
    },
    writev(chunks, callback) {
      const buffers = chunks.map(({ chunk }: { chunk: Buffer }) => chunk);
      for (const buffer of buffers) watchSent(buffer);
      send(toMessages(buffers), 0, callback);
    },
    final(callback) {
      if (brokenReason === undefined) socket.close(closeCodes.normal);
      else socket.close(closeCodes.protocolError, brokenReason);
      callback();
    },
    destroy(error, callback) {
      whenDrained = undefined;
      waitingWrite?.(error ?? new Error('the pipe was destroyed'));
      socket.off('message', onMessage);
      // A socket that is already closing ends by itself; terminating it would lose the bytes before its close frame.
      if (socket.readyState === socket.OPEN || socket.readyState === socket.CONNECTING) socket.terminate();
      else socket.resume();
      callback(error);
    },
  });

  const pipe = Object.assign(duplex, { breakOff });

  const onMessage = (data: RawData, isBinary: boolean): void => {
    if (!isBinary || !Buffer.isBuffer(data)) return;
    watchReceived?.(data);
    if (brokenReason === undefined && !pipe.push(data)) socket.pause();
  };
  socket.on('message', onMessage);
  socket.once('error', (error) => {
    socketError = error;
  });
  socket.once('close', (code, reason) => {
    if (pipe.destroyed) return;
    if (code === closeCodes.normal) pipe.push(null);
    else pipe.destroy(socketError ?? new Error(`the link was closed with ${code} ${reason.toString()}`.trim()));
  });
  return pipe;
}

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
