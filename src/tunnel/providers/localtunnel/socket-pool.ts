import { connect, type LookupFunction, type Socket } from 'node:net';

import { createBackoff } from '../../../platform/backoff.ts';
import type { Clock } from '../../../platform/clock.ts';
import { createDeferred } from '../../../platform/deferred.ts';
import { messageOf } from '../../../errors.ts';
import { networkErrorWords } from '../../../platform/net/network-errors.ts';

/** How long it may take until the first socket is open, in milliseconds. */
const startTimeoutMs = 10_000;

/**
 * How long there may be none, in milliseconds. The server forgets a name after one second without, and its port may be
 * somebody else's then.
 */
const offlineTimeoutMs = 3000;

/** After how long a silence the kernel asks whether the other end is still there, in milliseconds. */
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
  /** Resolves once a socket is open; with why it has ended when none ever was. */
  readonly opened: Promise<'open' | { readonly why: string }>;
  /** Resolves when it has ended, with the reason. */
  readonly ended: Promise<string>;
  /** Closes every socket; resolves when there is none. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Keeps sockets open to the server, which writes a request to one when it has any; after that, or when one is lost, another
 * one takes its place (localtunnel/localtunnel, lib/TunnelCluster.js). What comes goes on to the local port as it is.
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

  /** Keeps one place in the pool taken for as long as it lasts. */
  function fill(backoff = createBackoff({ clock })): void {
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
    // Not before a request has come: on a connection without one the local server would lose patience, and say so.
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
      const next = isUsed ? createBackoff({ clock }) : backoff;
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
      // Without an error its end has gone on to the other side, behind all that it has written.
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
