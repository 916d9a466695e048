import { Backoff } from '../../platform/backoff.ts';
import { systemClock, type Clock } from '../../platform/clock.ts';
import type { RequestId, RpcMessage } from '../../mcp/json-rpc.ts';
import { cancelledBy } from '../../mcp/lifecycle.ts';
import type { ManagedServer } from '../restart/managed-server.ts';
import { Outbox } from '../restart/outbox.ts';
import { RestartBudget } from '../restart/restart-budget.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream/upstream.ts';

/** While there is no connection, clients are read no further once this many bytes wait; the limit of a running server. */
const maxWaitingBytes = 1024 * 1024;

/** The exit event follows a broken pipe within 50 ms, unless the computer is busy. */
const endExpectedMs = 1000;

export interface OnDemandUpstreamOptions {
  readonly server: Pick<ManagedServer, 'take' | 'coexistence' | 'health'>;
  readonly clock?: Clock;
  readonly random?: (() => number) | undefined;
  readonly onWarning: (message: string) => void;
}

/**
 * One upstream made of one connection after the other, each of which is made when a request needs it: a modern server knows
 * nothing of a connection, so nothing has to be said again to the next one. What was certainly not acted on is sent again; the
 * rest that was in flight is told in `onLost`, since a call must not be made twice.
 *
 * It goes on until `close`. A server that does not come back costs what waits for it, and is tried again with the next request.
 */
export class OnDemandUpstream implements Upstream {
  readonly #options: OnDemandUpstreamOptions;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #waiting = new Outbox();
  /** For what waits now. */
  #budget: RestartBudget;
  #events: UpstreamEvents | undefined;
  #current: Upstream | undefined;
  /** Whether the current connection has said something, and whether one ever has. */
  #isHeard = false;
  #hasWorked = false;
  #connections = 0;
  /** The next connection is to be made. */
  #isAttempting = false;
  #cancelAttempt: (() => void) | undefined;
  #cancelEnding: (() => void) | undefined;
  #isPaused = false;
  #onWritable: (() => void)[] = [];
  /** Of all connections so far: what a dead server has left behind is ended, too. */
  readonly #endings = new Set<Promise<void>>();
  #closed: Promise<void> | undefined;

  constructor(options: OnDemandUpstreamOptions) {
    const { clock = systemClock, random } = options;
    this.#options = options;
    this.#clock = clock;
    this.#backoff = new Backoff(clock, random);
    this.#budget = new RestartBudget(clock);
  }

  /** Makes no connection yet. */
  start(events: UpstreamEvents): void {
    this.#events = events;
  }

  send(message: RpcMessage): boolean {
    if (this.#closed !== undefined || this.#events === undefined) return false;
    const connection = this.#current;
    if (connection === undefined && this.#waiting.isEmpty) this.#budget = new RestartBudget(this.#clock);
    if (connection === undefined || !this.#waiting.isEmpty) return this.#keep(message);
    if (connection.send(message)) return true;
    if (!connection.isWritable()) return false;
    this.#expectEndOf(connection);
    return this.#keep(message);
  }

  isWritable(): boolean {
    if (this.#closed !== undefined) return true;
    if (!this.#waiting.isEmpty) return this.#waiting.bytes < maxWaitingBytes;
    return this.#current?.isWritable() ?? true;
  }

  whenWritable(callback: () => void): void {
    this.#onWritable.push(callback);
    this.#drain();
  }

  pause(): void {
    this.#isPaused = true;
    this.#current?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#current?.resume();
  }

  close(): Promise<void> {
    this.#closed ??= this.#endAll();
    return this.#closed;
  }

  /** Keeps what cannot be sent now. Returns false when there is no room for it. */
  #keep(message: RpcMessage): boolean {
    const cancelled = cancelledBy(message);
    if (cancelled !== undefined && this.#waiting.withdraw(cancelled)) return true;
    // What is no request was said to a server that is gone.
    if (message.kind !== 'request' && this.#current === undefined) return true;
    if (!this.#waiting.push(message)) return false;
    if (this.#current === undefined) this.#attempt();
    return true;
  }

  #attempt(): void {
    if (this.#isAttempting) return;
    this.#isAttempting = true;
    const connect = (): void => {
      this.#cancelAttempt = this.#options.server.coexistence.whenClear(() => this.#connect());
    };
    const delayMs = Math.min(this.#backoff.next(), this.#budget.remainingMs());
    if (delayMs > 0) this.#cancelAttempt = this.#clock.after(delayMs, connect);
    else connect();
  }

  #connect(): void {
    const connection = this.#options.server.take('modern');
    this.#isAttempting = false;
    this.#current = connection;
    this.#isHeard = false;
    this.#connections++;
    connection.start({
      onMessage: (message, origin) => {
        if (this.#current === connection) this.#receive(message, origin);
      },
      onClose: (end) => {
        if (this.#current === connection) this.#lose(connection, end);
      },
    });
    if (this.#current !== connection) return;
    if (this.#isPaused) connection.pause();
    this.#flush(connection);
  }

  #receive(message: RpcMessage, origin: RequestId | undefined): void {
    if (!this.#isHeard) {
      this.#isHeard = true;
      this.#hasWorked = true;
      this.#backoff.connected();
      if (this.#connections > 1) this.#options.server.health.restarts++;
    }
    this.#events?.onMessage(message, origin);
  }

  /** Sends what has waited, as fast as the server reads it. */
  #flush(connection: Upstream): void {
    while (this.#current === connection && !this.#waiting.isEmpty) {
      if (!connection.isWritable()) {
        connection.whenWritable(() => this.#flush(connection));
        break;
      }
      const message = this.#waiting.shift();
      if (message === undefined || connection.send(message)) continue;
      this.#waiting.putBack(message);
      this.#expectEndOf(connection);
      break;
    }
    this.#drain();
  }

  /** A connection that refuses a message without being full has ended or closed its input: closes it if no end follows. */
  #expectEndOf(connection: Upstream): void {
    this.#cancelEnding ??= this.#clock.after(endExpectedMs, () => void connection.close());
  }

  #lose(connection: Upstream, end: UpstreamEnd): void {
    this.#cancelEnding?.();
    this.#cancelEnding = undefined;
    this.#current = undefined;
    if (this.#closed !== undefined) return;
    this.#track(connection.close());
    const unsent = [...(end.untaken ?? []), ...this.#waiting.takeAll()];
    const finalReason = this.#finalReason(end);
    if (finalReason === undefined) for (const message of unsent) this.#keep(message);
    this.#drain();
    if (end.isUnused === true) return;
    this.#options.onWarning(finalReason ?? `${end.reason}; it is started again when it is needed`);
    this.#events?.onLost?.({ ...end, reason: finalReason ?? end.reason, untaken: this.#waiting.list() });
  }

  /** Why what waits is not sent to another connection; undefined if it is. */
  #finalReason(end: UpstreamEnd): string | undefined {
    if (end.isUnused === true) return undefined;
    return this.#hasWorked ? this.#budget.spend(end, this.#isHeard) : end.reason;
  }

  #track(ending: Promise<void>): void {
    const tracked = ending.finally(() => this.#endings.delete(tracked));
    this.#endings.add(tracked);
  }

  async #endAll(): Promise<void> {
    this.#cancelAttempt?.();
    this.#cancelEnding?.();
    this.#waiting.takeAll();
    this.#drain();
    if (this.#current !== undefined) this.#track(this.#current.close());
    await Promise.all(this.#endings);
    this.#current = undefined;
    this.#events?.onClose(ended);
  }

  #drain(): void {
    if (this.isWritable()) {
      const released = this.#onWritable;
      this.#onWritable = [];
      for (const callback of released) callback();
    } else if (this.#waiting.isEmpty && this.#onWritable.length > 0) {
      this.#current?.whenWritable(() => this.#drain());
    }
  }
}

const ended: UpstreamEnd = { reason: 'the server has been ended', code: 'upstream_exited', stderr: '' };
