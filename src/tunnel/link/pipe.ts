import { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { maxDataBytes, maxParkedBytes } from './limits.ts';
import { closeCodes } from './protocol.ts';

/**
 * The bytes of a WebSocket's binary messages, in order, as one Duplex. Text messages are not its business.
 *
 * Back-pressure: a write completes when at most maxParkedBytes wait in the socket; the socket is paused while the
 * reader is full. `end()` closes the socket with 1000, and that close from the peer ends the readable side; every other
 * close destroys the pipe with an error that names the code. `destroy()` cuts the socket.
 */
export function createPipe(socket: WebSocket): Duplex {
  let parkedBytes = 0;
  let whenDrained: (() => void) | undefined;
  let waitingWrite: ((error: Error) => void) | undefined;
  let socketError: Error | undefined;

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
    callback();
  };

  const pipe = new Duplex({
    // A closed socket carries nothing in either direction, so a half-open pipe does not exist.
    allowHalfOpen: false,
    readableHighWaterMark: maxDataBytes,
    writableHighWaterMark: maxDataBytes,
    read() {
      socket.resume();
    },
    write(chunk: Buffer, _encoding, callback) {
      send(toMessages([chunk]), 0, callback);
    },
    writev(chunks, callback) {
      const buffers = chunks.map(({ chunk }: { chunk: Buffer }) => chunk);
      send(toMessages(buffers), 0, callback);
    },
    final(callback) {
      socket.close(closeCodes.normal);
      callback();
    },
    destroy(error, callback) {
      whenDrained = undefined;
      waitingWrite?.(error ?? new Error('the pipe was destroyed'));
      socket.off('message', onMessage);
      // A socket that is already closing ends by itself; cutting it would lose the bytes before its close frame.
      if (socket.readyState === socket.OPEN || socket.readyState === socket.CONNECTING) socket.terminate();
      else socket.resume();
      callback(error);
    },
  });

  const onMessage = (data: RawData, isBinary: boolean): void => {
    if (isBinary && Buffer.isBuffer(data) && !pipe.push(data)) socket.pause();
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
 * Packs writes into messages of at most maxDataBytes. HTTP/2 writes a 9-byte frame header and its payload apart;
 * copying them together costs less than a WebSocket frame and a system call for each.
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
