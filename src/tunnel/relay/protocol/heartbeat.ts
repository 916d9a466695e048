import type { WebSocket } from 'ws';
import { createForwardClock, systemClock, type Clock } from '../../../platform/clock.ts';
import { deadAfterMs, pingIntervalMs, sleptAfterMs } from './limits.ts';

export interface HeartbeatOptions {
  readonly clock?: Clock;
  /** Milliseconds between pings; pingIntervalMs by default. */
  readonly intervalMs?: number;
  readonly ping: () => void;
  /** True while this end does not read, so that silence does not mean that the peer is dead. */
  readonly isPaused: () => boolean;
  /** Called once, with the reason; the heartbeat has stopped by then. */
  readonly onDead: (reason: string) => void;
}

export interface Heartbeat {
  /** Call it for every sign of life from the peer. */
  touch(): void;
  close(): void;
}

/** Sends pings, and calls `onDead` after deadAfterMs of silence or when the machine has slept. */
export function createHeartbeat(options: HeartbeatOptions): Heartbeat {
  // The wall clock, which counts the time of sleep, but may be set back.
  const clock = createForwardClock(options.clock ?? systemClock);
  const intervalMs = options.intervalMs ?? pingIntervalMs;
  // Three checks per ping, so that silence is noticed within a few seconds of the limit.
  const tickMs = intervalMs / 3;
  let lastSeen = clock.now();
  let lastTick = lastSeen;
  let lastPing = lastSeen;
  let cancel: (() => void) | undefined;
  let closed = false;

  const dead = (reason: string): void => {
    closed = true;
    options.onDead(reason);
  };

  const tick = (): void => {
    const now = clock.now();
    const gapMs = now - lastTick;
    lastTick = now;
    if (gapMs >= sleptAfterMs) {
      dead('this machine slept');
      return;
    }
    // Time in which this process did not run or did not read is not silence of the peer.
    if (gapMs > intervalMs || options.isPaused()) lastSeen = now;
    const silenceMs = now - lastSeen;
    if (silenceMs >= deadAfterMs) {
      dead(`nothing was heard from the other end for ${Math.round(silenceMs / 1000)} s`);
      return;
    }
    if (now - lastPing >= intervalMs) {
      lastPing = now;
      options.ping();
    }
    cancel = clock.after(tickMs, tick);
  };
  cancel = clock.after(tickMs, tick);

  return {
    touch() {
      lastSeen = clock.now();
    },
    close() {
      if (closed) return;
      closed = true;
      cancel?.();
    },
  };
}

/** A heartbeat on a socket: every message, ping and pong is a sign of life. Stops when the socket has closed. */
export function watchSocket(socket: WebSocket, options: Omit<HeartbeatOptions, 'ping' | 'isPaused'>): Heartbeat {
  const heartbeat = createHeartbeat({
    ...options,
    ping() {
      if (socket.readyState === socket.OPEN) socket.ping();
    },
    isPaused: () => socket.isPaused,
  });
  for (const event of ['message', 'ping', 'pong']) {
    socket.on(event, () => heartbeat.touch());
  }
  socket.once('close', () => heartbeat.close());
  return heartbeat;
}
