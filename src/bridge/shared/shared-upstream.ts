import { systemClock, type Clock } from '../../platform/clock.ts';
import { createSharedConnection, type ClientSessionLink, type SharedConnection } from './connection.ts';
import type { Upstream, UpstreamEnd } from '../upstream/upstream.ts';

export interface SharedUpstreamOptions {
  /** Gives the one upstream of all, not yet started. Called at the first need, and again when it has ended. */
  readonly create: () => Upstream;
  readonly onWarning: (message: string) => void;
  /** Tells the time; the system's unless a test moves it. */
  readonly clock?: Clock;
}

export interface SharedUpstream {
  /**
   * Gives a session an upstream of its own over the shared one. Its `close` leaves the shared one running, which stays
   * until `close` here even when nobody uses it.
   */
  attach(): Upstream;
  /** Ends the shared upstream and all that are attached; resolves when nothing of it is left. */
  close(): Promise<void>;
}

/**
 * Lets all sessions share one server. Each session may believe that it is alone: ids and progress tokens that are equal
 * are kept apart, there is one handshake, and log level and subscriptions are those of all together. What the server
 * keeps in itself (a working folder, a login, its tasks) is shared in fact.
 *
 * A server request is put to a session only when it is certain to be for it: the transport tells
 * (Streamable HTTP), or the server is at work for no other session. Otherwise it is refused with
 * `data.reason: "ambiguous_client"`. The server knows the capabilities of the session that came first.
 */
export function createSharedUpstream(options: SharedUpstreamOptions): SharedUpstream {
  const { create, onWarning, clock = systemClock } = options;
  const warned = new Set<string>();
  /** The processes that are there or have yet to end. */
  const endings = new Set<Promise<void>>();
  let current: SharedConnection | undefined;
  let closed = false;

  function warnOnce(kind: string, message: string): void {
    if (warned.has(kind)) return;
    warned.add(kind);
    onWarning(message);
  }

  /** Also of an upstream that has ended of its own accord: it may have left something behind. */
  function end(connection: SharedConnection): Promise<void> {
    if (current === connection) current = undefined;
    const ending = connection.close().finally(() => endings.delete(ending));
    endings.add(ending);
    return ending;
  }

  function connect(): SharedConnection {
    const onEnd = (): void => void end(connection);
    const connection = createSharedConnection({ upstream: create(), clock, warnOnce, onEnd });
    return connection;
  }

  return {
    attach() {
      let link: ClientSessionLink | undefined;
      return {
        start(events) {
          if (closed) {
            queueMicrotask(() => events.onClose(shutDown));
            return;
          }
          const running = current;
          const connection = running ?? connect();
          current = connection;
          link = connection.join(events);
          // Only now: a connection that fails at once tells its first session so.
          if (running === undefined) connection.start();
        },
        send: (message) => link?.send(message) ?? false,
        isWritable: () => link?.isWritable() ?? true,
        whenWritable(callback) {
          if (link === undefined) callback();
          else link.whenWritable(callback);
        },
        pause: () => link?.pause(),
        resume: () => link?.resume(),
        close: async () => link?.close(),
      };
    },
    async close() {
      closed = true;
      if (current !== undefined) void end(current);
      await Promise.all(endings);
    },
  };
}

const shutDown: UpstreamEnd = { reason: 'the server has been ended', code: 'upstream_exited', stderr: '' };
