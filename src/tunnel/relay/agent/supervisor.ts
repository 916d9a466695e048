import type { Backoff } from '../../../platform/backoff.ts';
import type { Clock } from '../../../platform/clock.ts';
import { sleep } from '../../../platform/clock.ts';
import { closeCodes } from '../protocol/protocol.ts';
import type { TunnelStatus } from '../../provider.ts';
import type { Connection, ConnectResult } from './connection.ts';
import type { Failure } from './failures.ts';

export interface SupervisorOptions {
  /** The connection that is up already. */
  readonly first: Connection;
  /** One attempt; rejects only when `signal` aborts. */
  readonly connect: (signal: AbortSignal) => Promise<ConnectResult>;
  readonly backoff: Backoff;
  readonly clock: Clock;
  readonly onStatus: (status: TunnelStatus) => void;
}

export interface Supervisor {
  readonly publicUrls: readonly string[];
  /** Stops reconnecting and ends every connection; resolves when nothing of it is left. */
  close(): Promise<void>;
}

/**
 * Keeps a connection up: reconnects for ever with the back-off, dials before it drops on `goaway`, and gives up only on a
 * refusal that will not change (a name that another key took may be free again) or when the same key was used elsewhere.
 * The loop watches state, never single events, so no failure can leave it waiting for an event that has passed.
 */
export function superviseConnection(options: SupervisorOptions): Supervisor {
  const stop = new AbortController();
  const finishing = new Set<Connection>();
  let current: Connection | undefined = options.first;
  let publicUrls = options.first.welcome.urls;
  let lastChange = JSON.stringify(['up', publicUrls, undefined]);

  const report = (state: TunnelStatus['state'], reason?: string): void => {
    // Attempts that fail alike are one change, not many.
    const change = JSON.stringify([state, publicUrls, reason]);
    if (stop.signal.aborted || change === lastChange) return;
    lastChange = change;
    options.onStatus(reason === undefined ? { state, publicUrls } : { state, publicUrls, reason });
  };

  const attempt = async (retryAfterMs: number | undefined): Promise<ConnectResult | undefined> => {
    await sleep(options.clock, options.backoff.next(retryAfterMs), stop.signal);
    if (stop.signal.aborted) return undefined;
    try {
      return await options.connect(stop.signal);
    } catch {
      return undefined;
    }
  };

  /** Attempts until one succeeds or fails for good; undefined when stopped. */
  const reconnect = async (): Promise<Connection | Failure | undefined> => {
    let retryAfterMs: number | undefined;
    async function* attempts(): AsyncGenerator<ConnectResult | undefined> {
      while (!stop.signal.aborted) yield attempt(retryAfterMs);
    }
    for await (const result of attempts()) {
      if (result === undefined) return undefined;
      if (result.type === 'connected') return result.connection;
      // The name was this agent's before, and will be again when whoever took it over a restart of the relay has gone.
      if (result.failure.isFatal && result.failure.isNameTaken !== true) return result.failure;
      retryAfterMs = result.failure.retryAfterMs;
      if (finishing.size === 0) report('reconnecting', result.failure.error.message);
    }
    return undefined;
  };

  /** Lets a connection end by itself; until then its URLs still work. */
  const letFinish = async (connection: Connection): Promise<void> => {
    finishing.add(connection);
    const { reason } = await connection.ended;
    finishing.delete(connection);
    if (current === undefined && finishing.size === 0) report('reconnecting', reason);
  };

  /** The life of one connection and the way to the next. Resolves to that one, or to undefined at the end of all. */
  const outlive = async (connection: Connection): Promise<Connection | undefined> => {
    options.backoff.connected();
    await connection.goaway;
    if (stop.signal.aborted) return undefined;
    current = undefined;
    const ending = await Promise.race([connection.ended, Promise.resolve(undefined)]);
    if (ending?.code === closeCodes.takenOver) {
      report('down', ending.reason);
      return undefined;
    }
    if (ending === undefined) void letFinish(connection);
    else report('reconnecting', ending.reason);
    const next = await reconnect();
    connection.finish();
    if (next === undefined) return undefined;
    if ('error' in next) {
      report('down', next.error.message);
      return undefined;
    }
    // `close` may have come while the handshake was ending.
    if (stop.signal.aborted) {
      await next.close();
      return undefined;
    }
    current = next;
    publicUrls = next.welcome.urls;
    report('up');
    return next;
  };

  let successor: Connection | undefined;
  async function* connections(): AsyncGenerator<Connection> {
    let connection: Connection | undefined = options.first;
    while (connection !== undefined) {
      yield connection;
      connection = successor;
    }
  }
  const superviseAll = async (): Promise<void> => {
    for await (const connection of connections()) successor = await outlive(connection);
  };
  const loop = superviseAll();

  return {
    get publicUrls() {
      return publicUrls;
    },
    async close() {
      stop.abort(new Error('the tunnel was closed'));
      const open = current === undefined ? [...finishing] : [current, ...finishing];
      await Promise.all(open.map(async (connection) => await connection.close()));
      await loop;
    },
  };
}
