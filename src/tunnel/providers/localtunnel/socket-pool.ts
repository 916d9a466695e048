import { connect, type LookupFunction, type Socket } from 'node:net';

import { Backoff } from '../../../platform/backoff.ts';
import type { Clock } from '../../../platform/clock.ts';
import { createDeferred } from '../../../platform/deferred.ts';
import { messageOf } from '../../../errors.ts';
import { networkErrorWords } from '../../../platform/net/network-errors.ts';

/** How long opening the first socket may take, in milliseconds. */
const startTimeoutMs = 10_000;

/**
 * How long there may be no socket, in milliseconds. The server frees a name after one second without, and may then give its
 * port to somebody else.
 */
const offlineTimeoutMs = 3000;

/** Silence after which the kernel probes the connection, in milliseconds. */
const keepAliveMs = 30_000;

export interface SocketPoolOptions {
  readonly host: string;
  readonly port: number;
  readonly lookup: LookupFunction;
  /** Port on 127.0.0.1 that the sockets lead to. */
  readonly localPort: number;
  readonly size: number;
  readonly clock: Clock;
}

export interface SocketPool {
  /** Resolves once a socket is open; or with the reason when the pool has ended before that. */
  readonly opened: Promise<'open' | { readonly why: string }>;
  /** Resolves when it has ended, with the reason. */
  readonly ended: Promise<string>;
  /** Closes every socket; resolves when there is none. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Keeps sockets open to the server, which writes a request to a free one; a used or lost socket is replaced
 * (localtunnel/localtunnel, lib/TunnelCluster.js). Bytes are passed to the local port unchanged.
 */
export function createSocketPool({ host, port, lookup, localPort, size, clock }: SocketPoolOptions): SocketPool {
  const { promise: opened, resolve: resolveOpened } = createDeferred<'open' | { readonly why: string }>();
  const { promise: ended, resolve: resolveEnded } = createDeferred<string>();
  const sockets = new Map<Socket, Promise<void>>();
  const waits = new Set<() => void>();
  let online = 0;
  let lastError = 'the server closes every connection';
  let isOver = false;
  let cancelDeath = clock.after(startTimeoutMs, die);

  function track(socket: Socket): Socket {
    socket.on('error', (error) => {
      if (sockets.has(socket)) lastError = networkErrorWords(error) ?? messageOf(error);
    });
    const { promise: closed, resolve } = createDeferred<void>();
    sockets.set(socket, closed);
    socket.once('close', () => {
      sockets.delete(socket);
      resolve();
    });
    return socket;
  }

  /** Keeps one place of the pool filled. */
  function fill(backoff = new Backoff(clock)): void {
    if (isOver) return;
    const remote = track(
      connect({ host, port, lookup, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs }),
    );
    let isConnected = false;
    let isUsed = false;
    remote.once('connect', () => {
      isConnected = true;
      online++;
      cancelDeath();
      backoff.connected();
      resolveOpened('open');
    });
    // Only when a request has come: the local server would time out a connection without one, and respond.
    remote.once('readable', () => {
      if (remote.readableLength === 0) {
        remote.destroy();
        return;
      }
      isUsed = true;
      lead(remote);
    });
    remote.once('close', () => {
      if (isConnected) online--;
      if (isOver) return;
      if (isConnected && online === 0) cancelDeath = clock.after(offlineTimeoutMs, die);
      const next = isUsed ? new Backoff(clock) : backoff;
      const cancel = clock.after(next.next(), () => {
        waits.delete(cancel);
        fill(next);
      });
      waits.add(cancel);
    });
  }

  function lead(remote: Socket): void {
    const local = track(connect({ host: '127.0.0.1', port: localPort, noDelay: true }));
    remote.pipe(local).pipe(remote);
    remote.once('close', () => local.destroy());
    local.once('close', (hadError) => {
      // Without an error, its end has been passed on after everything that it wrote.
      if (hadError) remote.destroy();
    });
  }

  function die(): void {
    void end(lastError);
  }

  async function end(why: string): Promise<void> {
    if (!isOver) {
      isOver = true;
      cancelDeath();
      for (const cancel of waits) cancel();
      for (const socket of sockets.keys()) socket.destroy();
    }
    await Promise.all(sockets.values());
    resolveOpened({ why });
    resolveEnded(why);
  }

  for (let place = 0; place < size; place++) fill();
  return { opened, ended, close: () => end('it was closed') };
}
