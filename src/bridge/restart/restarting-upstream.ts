import { createBackoff } from '../../platform/backoff.ts';
import { systemClock, type Clock } from '../../platform/clock.ts';
import type { RequestId, RpcMessage, RpcResponse } from '../../mcp/json-rpc.ts';
import { newResult } from '../../mcp/new-message.ts';
import { createServerRequestIds, originalServerRequestIds } from './server-request-ids.ts';
import { createReplay } from './replay.ts';
import { createRestartBudget } from './restart-budget.ts';
import { cancelledBy, isInitialized } from '../../mcp/lifecycle.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream/upstream.ts';
import { createOutbox } from './outbox.ts';

/** Beyond it, no more is read from the client while its server is away, in bytes; the same as for one that runs. */
const maxWaitingBytes = 1024 * 1024;

/** What a server says before it has answered `initialize`; a few log lines are usual. More of it is dropped. */
const maxHeld = 100;
const maxHeldBytes = 1024 * 1024;

/** From a broken pipe to the news of the exit it is 50 ms at most, unless the machine is busy. */
const endExpectedMs = 1000;

export interface RestartingUpstreamOptions {
  /** Makes a connection, not yet started. */
  readonly create: () => Upstream;
  /** Calls back when a connection may be made: at once unless given. Returns how to call it off. */
  readonly whenClear?: (connect: () => void) => () => void;
  /** `never`: only a session that the server has forgotten is opened again. */
  readonly restart: 'on-exit' | 'never';
  /** How long a server that was started again may take to answer `initialize`, in milliseconds. */
  readonly startTimeoutMs: number;
  readonly clock?: Clock;
  /** Returns 0 to 1 as Math.random does. */
  readonly random?: () => number;
  /** The client can go on with a new connection. */
  readonly onRestarted?: () => void;
  readonly onWarning: (message: string) => void;
}

/** What an early message and its origin are kept as. */
interface Held {
  readonly message: RpcMessage;
  readonly origin?: RequestId | undefined;
}

/** The beginning of a connection that was made anew: its server does not know the client yet. */
interface Introduction {
  /** Of our own `initialize`. */
  readonly id: RequestId;
  readonly held: Held[];
  heldBytes: number;
  readonly cancelTimeout: () => void;
}

/**
 * One upstream made of one connection after the other. Messages pass untouched. When a connection ends after client and
 * server have agreed, the next one is told what the client had told the last one (`createReplay`); the client learns of
 * it through `onLost` and by being asked to look at its lists again. What was certainly not acted on is sent again; the
 * rest of what was in flight is lost, since a call must not be made twice.
 *
 * An end before that, and the end that `createRestartBudget` calls the last one, go to `onClose`.
 */
export function createRestartingUpstream(options: RestartingUpstreamOptions): Upstream {
  const { create, whenClear = atOnce, restart, startTimeoutMs, clock = systemClock, onRestarted, onWarning } = options;
  const backoff = createBackoff({ clock, ...(options.random === undefined ? {} : { random: options.random }) });
  const budget = createRestartBudget(clock);
  const replay = createReplay(onWarning);
  const waiting = createOutbox();
  let events: UpstreamEvents | undefined;
  let current: Upstream | undefined;
  let introduction: Introduction | undefined;
  let connections = 0;
  let serverRequestIds = originalServerRequestIds;
  let cancelAttempt: (() => void) | undefined;
  let cancelEnding: (() => void) | undefined;
  let lastEnd: UpstreamEnd = { reason: 'the connection was closed', code: 'upstream_exited', stderr: '' };
  let paused = false;
  let impatient: (() => void)[] = [];
  /** Of all connections that there have been: what a server that died has left behind is ended, too. */
  const endings = new Set<Promise<void>>();
  let isClosing = false;
  let closed: Promise<void> | undefined;
  let over = false;

  /** The connection that the client's messages go to. */
  const usable = (): Upstream | undefined => (introduction === undefined ? current : undefined);

  function attempt(): void {
    cancelAttempt = whenClear(connect);
  }

  function connect(): void {
    const connection = create();
    current = connection;
    if (++connections > 1) serverRequestIds = createServerRequestIds(`${replay.prefix}${connections}-`);
    const initialize = replay.isAgreed ? replay.initialize() : undefined;
    if (initialize !== undefined) {
      const silence = `it did not answer initialize within ${startTimeoutMs / 1000} s`;
      const cancelTimeout = clock.after(startTimeoutMs, () => abandon(connection, silence));
      introduction = { id: initialize.id, held: [], heldBytes: 0, cancelTimeout };
    }
    connection.start({
      // What a connection says after we are done with it is about calls that have failed.
      onMessage(message, origin) {
        if (current === connection) receive(connection, serverRequestIds.toClient(message), origin);
      },
      onClose(end) {
        if (current === connection) lose(connection, end);
      },
    });
    if (current !== connection) return;
    if (initialize !== undefined) connection.send(initialize);
    else flush(connection);
  }

  function receive(connection: Upstream, message: RpcMessage, origin: RequestId | undefined): void {
    if (introduction !== undefined) {
      receiveEarly(connection, introduction, { message, origin });
    } else if (message.kind === 'response' && replay.isOwn(message.id)) {
      const refusal = replay.refusal(message);
      if (refusal !== undefined) onWarning(`the server that was started again refused ${refusal}`);
    } else {
      if (message.kind === 'response') replay.answered(message);
      events?.onMessage(message, origin);
    }
  }

  /** The client hears nothing of a server that may not do. */
  function receiveEarly(connection: Upstream, early: Introduction, { message, origin }: Held): void {
    if (isClosing) return;
    if (message.kind === 'response') {
      if (message.id !== early.id) return;
      const objection = replay.objection(message);
      if (objection === undefined) open(connection, early, message);
      else abandon(connection, objection);
    } else if (message.kind === 'request' && message.method === 'ping') {
      // Allowed before the answer to initialize, which may wait for it (MCP 2025-11-25, lifecycle).
      const pong = serverRequestIds.toServer(newResult(message.id, {}));
      if (pong !== undefined) connection.send(pong);
    } else if (early.held.length < maxHeld && early.heldBytes + message.bytes.length <= maxHeldBytes) {
      early.held.push({ message, origin });
      early.heldBytes += message.bytes.length;
    }
  }

  function abandon(connection: Upstream, objection: string): void {
    lose(connection, {
      reason: `the server was started again, but ${objection}`,
      code: 'upstream_refused',
      stderr: '',
    });
  }

  /** From here on the connection is the client's. */
  function open(connection: Upstream, { held, cancelTimeout }: Introduction, agreement: RpcResponse): void {
    cancelTimeout();
    introduction = undefined;
    backoff.connected();
    if (paused) connection.pause();
    for (const message of replay.rest()) connection.send(message);
    onRestarted?.();
    const changes: Held[] = replay.changes(agreement).map((message) => ({ message }));
    for (const { message, origin } of [...changes, ...held]) {
      if (current === connection) events?.onMessage(message, origin);
    }
    flush(connection);
  }

  /** Sends what has waited, as fast as the server reads it. */
  function flush(connection: Upstream): void {
    let message = nextFor(connection);
    while (message !== undefined) {
      if (!transmit(connection, message)) {
        waiting.putBack(message);
        expectEndOf(connection);
        break;
      }
      message = nextFor(connection);
    }
    goOn();
  }

  function nextFor(connection: Upstream): RpcMessage | undefined {
    if (current !== connection || waiting.isEmpty) return undefined;
    if (connection.isWritable()) return waiting.shift();
    connection.whenWritable(() => flush(connection));
    return undefined;
  }

  /** What takes nothing and is not full is gone, and about to tell; or it has closed its input and is of no use. */
  function expectEndOf(connection: Upstream): void {
    cancelEnding ??= clock.after(endExpectedMs, () => void connection.close());
  }

  function transmit(connection: Upstream, message: RpcMessage): boolean {
    const addressed = serverRequestIds.toServer(message);
    // The answer to an ask of a server that has gone: nobody waits for it.
    if (addressed === undefined) return true;
    replay.sending(message);
    const taken = connection.send(addressed);
    if (!taken && message.kind === 'request') replay.notSent(message.id);
    return taken;
  }

  /** Keeps what cannot be sent now. Returns false when there is no room for it. */
  function keep(message: RpcMessage): boolean {
    const cancelled = cancelledBy(message);
    if (cancelled !== undefined && waiting.withdraw(cancelled)) return true;
    if (usable() === undefined) {
      if (isMeantForOneConnection(message) || (message.kind === 'request' && replay.isOwn(message.id))) return true;
      if (isInitialized(message)) {
        replay.sending(message);
        return true;
      }
    }
    return waiting.push(message);
  }

  function lose(connection: Upstream, end: UpstreamEnd): void {
    const wasUsable = usable() === connection;
    cancelTimers();
    introduction = undefined;
    current = undefined;
    lastEnd = end;
    if (isClosing) {
      finish(end);
      return;
    }
    track(connection.close());
    if (end.isUnused !== true) {
      const canHeal = replay.isAgreed && (restart === 'on-exit' || end.code === 'upstream_session_lost');
      const lastReason = canHeal ? budget.spend(end, wasUsable) : end.reason;
      if (lastReason !== undefined) {
        finish({ ...end, reason: lastReason });
        return;
      }
    }
    replay.lose();
    for (const message of [...(end.untaken ?? []), ...waiting.takeAll()]) keep(message);
    if (end.isUnused === true) {
      attempt();
      return;
    }
    const delayMs = Math.max(end.retryAfterMs ?? 0, Math.min(backoff.next(end.retryAfterMs), budget.remainingMs()));
    cancelAttempt = clock.after(delayMs, attempt);
    if (wasUsable) {
      onWarning(`${end.reason}; ${end.code === 'upstream_exited' ? 'it is started again' : 'connecting again'}`);
      events?.onLost?.({ ...end, untaken: waiting.list() });
    }
    goOn();
  }

  function track(ending: Promise<void>): void {
    const tracked = ending.finally(() => endings.delete(tracked));
    endings.add(tracked);
  }

  function finish(end: UpstreamEnd): void {
    if (over) return;
    over = true;
    cancelTimers();
    waiting.takeAll();
    goOn();
    events?.onClose(end);
  }

  function cancelTimers(): void {
    for (const cancel of [cancelAttempt, cancelEnding, introduction?.cancelTimeout]) cancel?.();
    cancelEnding = undefined;
  }

  async function endAll(): Promise<void> {
    cancelTimers();
    if (current !== undefined) track(current.close());
    await Promise.all(endings);
    finish(lastEnd);
  }

  function isWritable(): boolean {
    if (over) return true;
    if (!waiting.isEmpty) return waiting.bytes < maxWaitingBytes;
    return usable()?.isWritable() ?? true;
  }

  function goOn(): void {
    if (isWritable()) {
      const released = impatient;
      impatient = [];
      for (const callback of released) callback();
    } else if (waiting.isEmpty && impatient.length > 0) {
      usable()?.whenWritable(goOn);
    }
  }

  return {
    start(given) {
      if (isClosing) return;
      events = given;
      attempt();
    },
    send(message) {
      if (over || isClosing || events === undefined) return false;
      const connection = usable();
      if (connection === undefined || !waiting.isEmpty) return keep(message);
      if (transmit(connection, message)) return true;
      if (!replay.isAgreed || !connection.isWritable()) return false;
      expectEndOf(connection);
      return keep(message);
    },
    isWritable,
    whenWritable(callback) {
      impatient.push(callback);
      goOn();
    },
    pause() {
      paused = true;
      usable()?.pause();
    },
    resume() {
      paused = false;
      usable()?.resume();
    },
    close() {
      isClosing = true;
      closed ??= endAll();
      return closed;
    },
  };
}

function atOnce(connect: () => void): () => void {
  connect();
  return () => {};
}

/** Whether a message answers or names something that a server forgets with its connection. */
function isMeantForOneConnection(message: RpcMessage): boolean {
  const isProgress = message.kind === 'notification' && message.method === 'notifications/progress';
  return message.kind === 'response' || isProgress || cancelledBy(message) !== undefined;
}
