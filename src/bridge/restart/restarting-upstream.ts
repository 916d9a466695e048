import { Backoff } from '../../platform/backoff.ts';
import { systemClock, type Clock } from '../../platform/clock.ts';
import type { RequestId, RpcMessage, RpcResponse } from '../../mcp/json-rpc.ts';
import { newResult } from '../../mcp/new-message.ts';
import { ServerRequestIds } from './server-request-ids.ts';
import { Introduction, type Held } from './introduction.ts';
import { Replay } from './replay.ts';
import { RestartBudget } from './restart-budget.ts';
import { cancelledBy } from '../../mcp/lifecycle.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream/upstream.ts';
import type { ManagedServer } from './managed-server.ts';
import { Outbox } from './outbox.ts';

/** While its server restarts, the client is read no further once this many bytes wait; the limit of a running server. */
const maxWaitingBytes = 1024 * 1024;

/** The exit event follows a broken pipe within 50 ms, unless the computer is busy. */
const endExpectedMs = 1000;

export interface RestartingUpstreamOptions {
  readonly server: Pick<ManagedServer, 'take' | 'coexistence' | 'health'>;
  /** `never`: only a session that the server has forgotten is opened again. */
  readonly restart: 'on-exit' | 'never';
  /** How long a restarted server may take to answer `initialize`, in milliseconds. */
  readonly startTimeoutMs: number;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly onWarning: (message: string) => void;
}

/** `closing`: the last connection ends on request. `closed`: `onClose` was called; no connection follows. */
type Phase = 'new' | 'running' | 'closing' | 'closed';

/**
 * One upstream made of one connection after the other. Messages pass untouched. When a connection ends after client and
 * server have completed `initialize`, the next one gets the same `initialize`, subscriptions and log level (`Replay`);
 * the client learns of it through `onLost` and `list_changed` notifications. What the server certainly has not acted on is
 * sent again; the other calls in flight fail, since a call must not be made twice.
 *
 * An end before that, and the end at which `RestartBudget` gives up, go to `onClose`.
 */
export class RestartingUpstream implements Upstream {
  readonly #options: RestartingUpstreamOptions;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #budget: RestartBudget;
  readonly #replay: Replay;
  readonly #waiting = new Outbox();
  #phase: Phase = 'new';
  #events: UpstreamEvents | undefined;
  #current: Upstream | undefined;
  /** Defined until the current connection, if it is not the first, has answered `initialize`. */
  #introduction: Introduction | undefined;
  #connections = 0;
  #serverRequestIds = new ServerRequestIds();
  #cancelAttempt: (() => void) | undefined;
  #cancelEnding: (() => void) | undefined;
  #cancelSilence: (() => void) | undefined;
  #lastEnd: UpstreamEnd = { reason: 'the connection was closed', code: 'upstream_exited', stderr: '' };
  #isPaused = false;
  #onWritable: (() => void)[] = [];
  /** Of all connections so far: what a dead server has left behind is ended, too. */
  readonly #endings = new Set<Promise<void>>();
  #closed: Promise<void> | undefined;

  constructor(options: RestartingUpstreamOptions) {
    const { clock = systemClock, random, onWarning } = options;
    this.#options = options;
    this.#clock = clock;
    this.#backoff = new Backoff(clock, random);
    this.#budget = new RestartBudget(clock);
    this.#replay = new Replay(onWarning);
  }

  start(given: UpstreamEvents): void {
    if (this.#phase !== 'new') return;
    this.#phase = 'running';
    this.#events = given;
    this.#attempt();
  }

  send(message: RpcMessage): boolean {
    if (this.#phase !== 'running') return false;
    const connection = this.#usable();
    if (connection === undefined || !this.#waiting.isEmpty) return this.#keep(message);
    if (this.#transmit(connection, message)) return true;
    if (!this.#replay.isAgreed || !connection.isWritable()) return false;
    this.#expectEndOf(connection);
    return this.#keep(message);
  }

  isWritable(): boolean {
    if (this.#phase === 'closed') return true;
    if (!this.#waiting.isEmpty) return this.#waiting.bytes < maxWaitingBytes;
    return this.#usable()?.isWritable() ?? true;
  }

  whenWritable(callback: () => void): void {
    this.#onWritable.push(callback);
    this.#drain();
  }

  pause(): void {
    this.#isPaused = true;
    this.#usable()?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#usable()?.resume();
  }

  close(): Promise<void> {
    if (this.#phase !== 'closed') this.#phase = 'closing';
    this.#closed ??= this.#endAll();
    return this.#closed;
  }

  /** The connection that the client's messages go to. */
  #usable(): Upstream | undefined {
    return this.#introduction === undefined ? this.#current : undefined;
  }

  #attempt(): void {
    this.#cancelAttempt = this.#options.server.coexistence.whenClear(() => this.#connect());
  }

  #connect(): void {
    const connection = this.#options.server.take();
    this.#current = connection;
    if (++this.#connections > 1)
      this.#serverRequestIds = new ServerRequestIds(`${this.#replay.prefix}${this.#connections}-`);
    const introduction = this.#replay.isAgreed ? new Introduction(this.#replay.initialize()) : undefined;
    if (introduction !== undefined) {
      const { startTimeoutMs } = this.#options;
      const silence = `it did not answer initialize within ${startTimeoutMs / 1000} s`;
      this.#cancelSilence = this.#clock.after(startTimeoutMs, () => this.#abandon(connection, silence));
      this.#introduction = introduction;
    }
    connection.start({
      // Messages of an abandoned connection concern calls that have failed.
      onMessage: (message, origin) => {
        if (this.#current === connection) this.#receive(connection, this.#serverRequestIds.toClient(message), origin);
      },
      onClose: (end) => {
        if (this.#current === connection) this.#lose(connection, end);
      },
    });
    if (this.#current !== connection) return;
    if (introduction !== undefined) connection.send(introduction.initialize);
    else this.#flush(connection);
  }

  #receive(connection: Upstream, message: RpcMessage, origin: RequestId | undefined): void {
    if (this.#introduction !== undefined) {
      this.#receiveEarly(connection, this.#introduction, { message, origin });
    } else if (message.kind === 'response' && this.#replay.isOwn(message.id)) {
      const refusal = this.#replay.refusal(message);
      if (refusal !== undefined) this.#options.onWarning(`the server that was started again refused ${refusal}`);
    } else {
      if (message.kind === 'response') this.#replay.answered(message);
      this.#events?.onMessage(message, origin);
    }
  }

  /** Until the server has agreed to the same as before, the client gets nothing from it. */
  #receiveEarly(connection: Upstream, early: Introduction, { message, origin }: Held): void {
    if (this.#phase !== 'running') return;
    if (message.kind === 'response') {
      if (message.id !== early.initialize.id) return;
      const objection = this.#replay.objection(message);
      if (objection === undefined) this.#open(connection, early, message);
      else this.#abandon(connection, objection);
    } else if (message.kind === 'request' && message.method === 'ping') {
      // Allowed before the answer to initialize, which may wait for it (MCP 2025-11-25, lifecycle).
      const pong = this.#serverRequestIds.toServer(newResult(message.id, {}));
      if (pong !== undefined) connection.send(pong);
    } else {
      early.hold({ message, origin });
    }
  }

  #abandon(connection: Upstream, objection: string): void {
    const reason = `the server was started again, but ${objection}`;
    this.#lose(connection, { reason, code: 'upstream_refused', stderr: '' });
  }

  /** From here on the connection is the client's. */
  #open(connection: Upstream, { held }: Introduction, agreement: RpcResponse): void {
    this.#cancelSilence?.();
    this.#introduction = undefined;
    this.#backoff.connected();
    if (this.#isPaused) connection.pause();
    for (const message of this.#replay.rest()) connection.send(message);
    this.#options.server.health.restarts++;
    const changes: Held[] = this.#replay.changes(agreement).map((message) => ({ message }));
    for (const { message, origin } of [...changes, ...held]) {
      if (this.#current === connection) this.#events?.onMessage(message, origin);
    }
    this.#flush(connection);
  }

  /** Sends what has waited, as fast as the server reads it. */
  #flush(connection: Upstream): void {
    while (this.#current === connection && !this.#waiting.isEmpty) {
      if (!connection.isWritable()) {
        connection.whenWritable(() => this.#flush(connection));
        break;
      }
      const message = this.#waiting.shift();
      if (message === undefined || this.#transmit(connection, message)) continue;
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

  #transmit(connection: Upstream, message: RpcMessage): boolean {
    const addressed = this.#serverRequestIds.toServer(message);
    // It answers a request of an earlier server.
    if (addressed === undefined) return true;
    this.#replay.sending(message);
    const taken = connection.send(addressed);
    if (!taken && message.kind === 'request') this.#replay.notSent(message.id);
    return taken;
  }

  /** Keeps what cannot be sent now. Returns false when there is no room for it. */
  #keep(message: RpcMessage): boolean {
    const cancelled = cancelledBy(message);
    if (cancelled !== undefined && this.#waiting.withdraw(cancelled)) return true;
    if (this.#usable() === undefined && this.#replay.replaces(message)) return true;
    return this.#waiting.push(message);
  }

  #lose(connection: Upstream, end: UpstreamEnd): void {
    const wasUsable = this.#usable() === connection;
    this.#cancelTimers();
    this.#introduction = undefined;
    this.#current = undefined;
    this.#lastEnd = end;
    if (this.#phase !== 'running') {
      this.#finish(end);
      return;
    }
    this.#track(connection.close());
    if (end.isUnused !== true) {
      const canHeal =
        this.#replay.isAgreed && (this.#options.restart === 'on-exit' || end.code === 'upstream_session_lost');
      const lastReason = canHeal ? this.#budget.spend(end, wasUsable) : end.reason;
      if (lastReason !== undefined) {
        this.#finish({ ...end, reason: lastReason });
        return;
      }
    }
    this.#replay.lose();
    for (const message of [...(end.untaken ?? []), ...this.#waiting.takeAll()]) this.#keep(message);
    if (end.isUnused === true) {
      this.#attempt();
      return;
    }
    const delayMs = Math.max(
      end.retryAfterMs ?? 0,
      Math.min(this.#backoff.next(end.retryAfterMs), this.#budget.remainingMs()),
    );
    this.#cancelAttempt = this.#clock.after(delayMs, () => this.#attempt());
    if (wasUsable) {
      const next = end.code === 'upstream_exited' ? 'it is started again' : 'connecting again';
      this.#options.onWarning(`${end.reason}; ${next}`);
      this.#events?.onLost?.({ ...end, untaken: this.#waiting.list() });
    }
    this.#drain();
  }

  #track(ending: Promise<void>): void {
    const tracked = ending.finally(() => this.#endings.delete(tracked));
    this.#endings.add(tracked);
  }

  #finish(end: UpstreamEnd): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#cancelTimers();
    this.#waiting.takeAll();
    this.#drain();
    this.#events?.onClose(end);
  }

  #cancelTimers(): void {
    for (const cancel of [this.#cancelAttempt, this.#cancelEnding, this.#cancelSilence]) cancel?.();
    this.#cancelEnding = undefined;
  }

  async #endAll(): Promise<void> {
    this.#cancelTimers();
    if (this.#current !== undefined) this.#track(this.#current.close());
    await Promise.all(this.#endings);
    this.#finish(this.#lastEnd);
  }

  #drain(): void {
    if (this.isWritable()) {
      const released = this.#onWritable;
      this.#onWritable = [];
      for (const callback of released) callback();
    } else if (this.#waiting.isEmpty && this.#onWritable.length > 0) {
      this.#usable()?.whenWritable(() => this.#drain());
    }
  }
}
