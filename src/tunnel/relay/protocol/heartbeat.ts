import { createForwardClock, systemClock, type Clock } from '../../../platform/clock.ts';
import { deadAfterMs, sleptAfterMs } from './limits.ts';

/** Time between two checks of all sockets, in milliseconds. Silence is noticed so much earlier than deadAfterMs at most. */
const checkMs = 1_000;
/**
 * A check that is this late, in milliseconds, means that this process did not run, and could not hear the answer to its ping.
 * A ping, this and a check fit into deadAfterMs.
 */
const stalledAfterMs = 10_000;

export interface HeartbeatOptions {
  readonly clock?: Clock;
  /** Milliseconds after which a socket is pinged, if the peer has not pinged it. */
  readonly intervalMs: number;
}

/** What a heartbeat needs of a WebSocket of the `ws` package, which answers pings. */
export interface HeartbeatSocket {
  readonly OPEN: number;
  readonly readyState: number;
  ping(): void;
  on(event: 'message' | 'ping' | 'pong', listener: () => void): unknown;
  once(event: 'close', listener: () => void): unknown;
}

export interface Heartbeat {
  /**
   * Pings the peer, and calls `onDead` once, with the reason, after deadAfterMs of silence or when the machine has slept. Ends
   * when the socket closes.
   */
  watch(socket: HeartbeatSocket, onDead: (reason: string) => void): void;
}

interface Watched {
  readonly socket: HeartbeatSocket;
  readonly onDead: (reason: string) => void;
  lastHeard: number;
  /** When the peer was last sent a ping or a pong: either one shows it that this end is there. */
  lastShown: number;
}

/**
 * The heartbeat of any number of sockets. They share a timer: with one each, thousands of timers would be old enough to be
 * collected with the whole heap. It runs only while there are sockets.
 */
export function createHeartbeat({ clock: wallClock = systemClock, intervalMs }: HeartbeatOptions): Heartbeat {
  // The wall clock, which counts the time of sleep, but may be set back.
  const clock = createForwardClock(wallClock);
  const sockets = new Set<Watched>();
  let lastCheck = 0;
  let cancel: (() => void) | undefined;

  const schedule = (): void => {
    lastCheck = clock.now();
    cancel = clock.after(checkMs, checkAll);
  };

  const remove = (watched: Watched): void => {
    if (sockets.delete(watched) && sockets.size === 0) cancel?.();
  };

  const checkAll = (): void => {
    const now = clock.now();
    const gapMs = now - lastCheck;
    schedule();
    for (const watched of sockets) {
      // Time in which this process did not run is not silence of the peer.
      if (gapMs > stalledAfterMs) watched.lastHeard = now;
      const reason = gapMs >= sleptAfterMs ? 'this machine slept' : check(watched, now);
      if (reason === undefined) continue;
      remove(watched);
      watched.onDead(reason);
    }
  };

  /** Returns why the peer is dead, or undefined. */
  const check = (watched: Watched, now: number): string | undefined => {
    const { socket, lastHeard, lastShown } = watched;
    const silenceMs = now - lastHeard;
    // The next check would be too late.
    if (silenceMs > deadAfterMs - checkMs) {
      return `nothing was heard from the other end for ${Math.round(silenceMs / 1000)} s`;
    }
    if (now - lastShown >= intervalMs && socket.readyState === socket.OPEN) {
      watched.lastShown = now;
      socket.ping();
    }
    return undefined;
  };

  return {
    watch(socket, onDead) {
      if (sockets.size === 0) schedule();
      const now = clock.now();
      const watched = { socket, onDead, lastHeard: now, lastShown: now };
      sockets.add(watched);
      const onHeard = (): void => {
        watched.lastHeard = clock.now();
      };
      socket.on('message', onHeard);
      socket.on('pong', onHeard);
      socket.on('ping', () => {
        onHeard();
        // ws has answered it.
        watched.lastShown = watched.lastHeard;
      });
      socket.once('close', () => remove(watched));
    },
  };
}
