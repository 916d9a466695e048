import { systemClock, type Clock } from '../../platform/clock.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** What is known of a server from all connections to it. */
export interface UpstreamHealthReport {
  /**
   * `down` from an end that nobody has asked for until a connection that began after it is heard; otherwise `up` while a connection
   * lives that has been heard, and `unknown` while there is none.
   */
  readonly state: 'up' | 'down' | 'unknown';
  /** Why it is down. */
  readonly reason?: string;
  /** Connections that live, which are processes where the server is one; idle servers count. */
  readonly children: number;
  /** How often a connection was made anew under its client. */
  readonly restarts: number;
  /** When the last message came from it, in milliseconds since 1970; undefined before the first. */
  readonly lastHeardAt: number | undefined;
  /** When a connection last ended that nobody had asked to, likewise. */
  readonly failedAt: number | undefined;
}

export interface UpstreamHealth {
  /** The same upstream, whose life is watched. Only what is started counts. */
  watch(upstream: Upstream): Upstream;
  /** Tell it of each connection that was made anew. */
  restarted(): void;
  /** Tell it of a connection that lives and does not work, and why. */
  failed(reason: string): void;
  report(): UpstreamHealthReport;
}

/** Knows from the connections alone, without asking anything, whether the server behind them works. */
export function createUpstreamHealth({ clock = systemClock }: { readonly clock?: Clock } = {}): UpstreamHealth {
  let children = 0;
  let heardChildren = 0;
  let restarts = 0;
  let lastHeardAt: number | undefined;
  let failedAt: number | undefined;
  let failure: string | undefined;
  /** Connections by their start: the newest, and the newest that failed. */
  let newest = 0;
  let newestFailed = 0;

  function fail(place: number, reason: string): void {
    newestFailed = Math.max(newestFailed, place);
    failure = reason;
    failedAt = clock.now();
  }

  return {
    watch(upstream) {
      let isHeard = false;
      let isExpectedToEnd = false;
      return {
        send: (message) => upstream.send(message),
        isWritable: () => upstream.isWritable(),
        whenWritable: (callback) => upstream.whenWritable(callback),
        pause: () => upstream.pause(),
        resume: () => upstream.resume(),
        start(events) {
          const place = ++newest;
          children++;
          upstream.start({
            onLost: (end) => events.onLost?.(end),
            onMessage(message, origin) {
              if (!isHeard) heardChildren++;
              isHeard = true;
              lastHeardAt = clock.now();
              // That an older one still lives does not mean that another one could be made; a last word proves nothing.
              if (!isExpectedToEnd && place > newestFailed) failure = undefined;
              events.onMessage(message, origin);
            },
            onClose(end) {
              children--;
              if (isHeard) heardChildren--;
              if (!isExpectedToEnd) {
                fail(place, end.reason);
              }
              events.onClose(end);
            },
          });
        },
        close() {
          isExpectedToEnd = true;
          return upstream.close();
        },
      };
    },
    restarted: () => void restarts++,
    failed: (reason) => fail(newest, reason),
    report() {
      const counts = { children, restarts, lastHeardAt, failedAt };
      if (failure !== undefined) return { state: 'down', reason: failure, ...counts };
      return { state: heardChildren > 0 ? 'up' : 'unknown', ...counts };
    },
  };
}
