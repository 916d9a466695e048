import type { RawData } from 'ws';
import { systemClock, type Clock } from '../../../platform/clock.ts';
import { ackBytes, ackMs, maxDataBytes, maxParkedBytes } from './limits.ts';
import { encodeMessage, isLost } from './protocol.ts';
import { ReplayBuffer } from './replay-buffer.ts';

/** What a pipe needs of a `WebSocket` of ws. */
export interface PipeSocket {
  readonly OPEN: number;
  readonly readyState: number;
  send(data: Buffer | string, options: object, callback?: (error?: Error) => void): void;
  terminate(): void;
  on(event: 'message', listener: (data: RawData, isBinary: boolean) => void): unknown;
  off(event: 'message', listener: (data: RawData, isBinary: boolean) => void): unknown;
  once(event: 'close', listener: (code: number) => void): unknown;
}

export interface PipeOptions {
  /** Whether the pipe outlives the loss of its socket. The peer must acknowledge what it receives. */
  readonly isResumable?: boolean;
  readonly clock?: Clock;
  /** Called with the content of each binary message. */
  readonly onReceived: (bytes: Buffer) => void;
  /** Called when there may be room for another message. */
  readonly onWritable: () => void;
}

/** The socket of a pipe and the bytes that wait in it. */
interface Carrier {
  readonly socket: PipeSocket;
  parkedBytes: number;
}

/**
 * The bytes of a WebSocket's binary messages, in order. Text messages are ignored: its owner has to pass acknowledgements to
 * `acknowledge`.
 * A resumable pipe keeps what it has sent until that is acknowledged. When its socket is lost, it waits, and `attach` continues
 * on another socket where the peer has stopped receiving; whoever uses the pipe notices nothing. The socket belongs to the
 * owner, who closes it.
 */
export class Pipe {
  readonly #clock: Clock;
  readonly #replay: ReplayBuffer | undefined;
  readonly #onReceived: (bytes: Buffer) => void;
  readonly #onWritable: () => void;
  #carrier: Carrier | undefined;
  #isClosed = false;
  #receivedBytes = 0;
  #acknowledgedBytes = 0;
  #cancelAck: (() => void) | undefined;

  constructor(socket: PipeSocket, { isResumable = false, clock = systemClock, onReceived, onWritable }: PipeOptions) {
    this.#clock = clock;
    this.#replay = isResumable ? new ReplayBuffer() : undefined;
    this.#onReceived = onReceived;
    this.#onWritable = onWritable;
    this.#use(socket);
  }

  /** Bytes received so far, on all sockets. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /**
   * Whether one more message of maxDataBytes may be sent: at most maxParkedBytes wait in the socket, and at most maxReplayBytes
   * for acknowledgement.
   */
  get isWritable(): boolean {
    const carrier = this.#carrier;
    return (
      carrier !== undefined &&
      carrier.socket.readyState === carrier.socket.OPEN &&
      carrier.parkedBytes + maxDataBytes <= maxParkedBytes &&
      (this.#replay === undefined || (this.#replay.next === undefined && this.#replay.hasRoomFor(maxDataBytes)))
    );
  }

  /** Sends a message of at most maxDataBytes, which must not be changed afterwards. Only while `isWritable`. */
  send(message: Buffer): void {
    this.#replay?.add(message);
    if (this.#carrier !== undefined) this.#pass(message, this.#carrier);
  }

  /** Whether a peer that has received this many bytes can continue. */
  canAttach(peerReceived: number): boolean {
    return !this.#isClosed && this.#replay?.has(peerReceived) === true;
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
    this.#pump();
  }

  /** The peer has received this many bytes. Returns false when they were not sent. */
  acknowledge(received: number): boolean {
    if (this.#replay === undefined) return true;
    if (!this.#replay.acknowledge(received)) return false;
    this.#pump();
    return true;
  }

  /** Nothing is passed on any more, in either direction. */
  close(): void {
    this.#isClosed = true;
    this.#cancelAck?.();
    this.#carrier?.socket.off('message', this.#onMessage);
    this.#carrier = undefined;
  }

  #use(socket: PipeSocket): void {
    const carrier: Carrier = { socket, parkedBytes: 0 };
    this.#carrier = carrier;
    socket.on('message', this.#onMessage);
    socket.once('close', (code) => {
      if (this.#carrier !== carrier) return;
      if (isLost(code) && this.#replay !== undefined) this.#carrier = undefined;
      else this.close();
    });
  }

  readonly #onMessage = (data: RawData, isBinary: boolean): void => {
    if (!isBinary || !Buffer.isBuffer(data)) return;
    this.#receivedBytes += data.length;
    if (this.#replay !== undefined) {
      if (this.#receivedBytes - this.#acknowledgedBytes >= ackBytes) this.#sendAck();
      else this.#cancelAck ??= this.#clock.after(ackMs, this.#sendAck);
    }
    this.#onReceived(data);
  };

  readonly #sendAck = (): void => {
    this.#cancelAck?.();
    this.#cancelAck = undefined;
    const socket = this.#carrier?.socket;
    // The next socket begins with this number.
    if (socket === undefined || socket.readyState !== socket.OPEN) return;
    this.#acknowledgedBytes = this.#receivedBytes;
    socket.send(encodeMessage({ type: 'ack', received: this.#receivedBytes }), {});
  };

  /** Sends again what the peer has not received, as far as the socket has room; after that there may be room for more. */
  #pump(): void {
    const carrier = this.#carrier;
    if (carrier === undefined) return;
    for (let again = this.#replay?.next; again !== undefined; again = this.#replay?.next) {
      if (carrier.parkedBytes > 0 && carrier.parkedBytes + again.length > maxParkedBytes) return;
      this.#replay?.sent();
      this.#pass(again, carrier);
    }
    if (this.isWritable) this.#onWritable();
  }

  #pass(message: Buffer, carrier: Carrier): void {
    carrier.parkedBytes += message.length;
    carrier.socket.send(message, binary, (error) => {
      carrier.parkedBytes -= message.length;
      // After an error, the close that follows is enough.
      if (!error && this.#carrier === carrier) this.#pump();
    });
  }
}

const binary = { binary: true, compress: false };
