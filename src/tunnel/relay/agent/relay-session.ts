import type { WebSocket } from 'ws';
import type { Clock } from '../../../platform/clock.ts';
import type { Multiplexer } from '../protocol/multiplexer.ts';
import { Pipe } from '../protocol/pipe.ts';
import { isLost, type Welcome } from '../protocol/protocol.ts';
import type { ServePipe } from './stream-server.ts';

/** The longest wait for a relay to come back, in milliseconds, whatever the relay says. */
const maxResumeMs = 10 * 60 * 1000;

/** The agent's end of a session at a relay: the pipe and its streams, which can outlive their socket. */
export class RelaySession {
  readonly id: string;
  readonly pipe: Pipe;
  readonly streams: Multiplexer;
  /** Called when the relay breaks the protocol. */
  onFault: (reason: string) => void = () => undefined;
  readonly #resumeMs: number;
  readonly #clock: Clock;
  #cancelExpiry: (() => void) | undefined;

  constructor(socket: WebSocket, { session, resumeMs }: Welcome, serve: ServePipe, clock: Clock) {
    this.id = session;
    this.#clock = clock;
    this.#resumeMs = Math.min(resumeMs, maxResumeMs);
    this.pipe = new Pipe(socket, {
      isResumable: resumeMs > 0,
      clock,
      onReceived: (bytes) => this.streams.receive(bytes),
      onWritable: () => this.streams.flush(),
    });
    this.streams = serve(this.pipe, (reason) => this.onFault(reason));
  }

  /** Whether the session can outlive a socket that ended with this code. */
  survives(code: number): boolean {
    return isLost(code) && this.#resumeMs > 0 && this.isAlive;
  }

  get isAlive(): boolean {
    return !this.streams.isClosed;
  }

  /** For the hello of a resume. */
  get position(): { readonly session: string; readonly received: number } {
    return { session: this.id, received: this.pipe.receivedBytes };
  }

  /** Waits for `resume`, as long as the relay does. */
  detach(): void {
    this.#cancelExpiry = this.#clock.after(this.#resumeMs, () => this.end());
  }

  /** Continues on another socket. Returns false when the relay says that it has received what it cannot have. */
  resume(socket: WebSocket, peerReceived: number): boolean {
    if (!this.isAlive || !this.pipe.canAttach(peerReceived)) return false;
    this.#cancelExpiry?.();
    this.pipe.attach(socket, peerReceived);
    return true;
  }

  /** Ends all streams: their handlers see that the clients have gone. */
  end(): void {
    this.#cancelExpiry?.();
    this.streams.close();
    this.pipe.close();
  }
}
