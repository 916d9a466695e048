import { EventEmitter } from 'node:events';
import type { PipeSocket } from '../../../src/tunnel/relay/protocol/pipe.ts';

interface Sent {
  readonly data: Buffer | string;
  readonly callback: ((error?: Error) => void) | undefined;
}

/** One end of a WebSocket whose messages arrive when the test says so. */
export class FakeSocket extends EventEmitter implements PipeSocket {
  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSED = 3;
  readyState = 1;
  /** Sent by this end and not yet delivered. */
  readonly underWay: Sent[] = [];
  peer: FakeSocket | undefined;

  send(data: Buffer | string, _options: object, callback?: (error?: Error) => void): void {
    this.underWay.push({ data, callback });
  }

  close(code: number, reason = ''): void {
    if (this.readyState === this.CLOSED) return;
    this.readyState = this.CLOSED;
    this.underWay.length = 0;
    this.emit('close', code, Buffer.from(reason));
  }

  /** This end is lost; the other one does not notice. */
  terminate(): void {
    this.close(1006);
  }

  /** Delivers the oldest message. Returns false when there is none, or the other end is lost. */
  deliver(): boolean {
    const { peer } = this;
    if (peer === undefined || peer.readyState !== peer.OPEN) return false;
    const sent = this.underWay.shift();
    if (sent === undefined) return false;
    sent.callback?.();
    peer.emit('message', Buffer.from(sent.data), typeof sent.data !== 'string');
    return true;
  }
}

/** Both ends of a WebSocket. */
export function socketPair(): [FakeSocket, FakeSocket] {
  const [near, far] = [new FakeSocket(), new FakeSocket()];
  near.peer = far;
  far.peer = near;
  return [near, far];
}
