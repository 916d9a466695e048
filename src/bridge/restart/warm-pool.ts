import { createBackoff } from '../../platform/backoff.ts';
import { systemClock, type Clock } from '../../platform/clock.ts';
import type { RpcMessage } from '../../mcp/json-rpc.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream/upstream.ts';

/** So many idle servers that die one after the other, before anybody has used them, mean that the next one will, too. */
const maxDeathsInRow = 3;

/**
 * How long an idle server that was taken is not replaced, in milliseconds: to start a process takes some in which nothing else is
 * done, and the client that has taken it comes first.
 */
const refillDelayMs = 50;

export interface WarmPoolOptions {
  /** Makes an upstream; what it has to say to the user is of interest only while `isWanted()`. */
  readonly create: (isWanted: () => boolean) => Upstream;
  /** How many are kept; 0: none. */
  readonly count: number;
  /** Whether another one is started in the place of one that was taken. Default true. */
  readonly refill?: boolean;
  /** Whether one may be started now that nobody has asked for; asked again after `refill()`. Default: always. */
  readonly mayKeep?: () => boolean;
  readonly clock?: Clock;
  /** Returns 0 to 1 as Math.random does. */
  readonly random?: () => number;
  readonly onWarning: (message: string) => void;
}

export interface WarmPool {
  /** Number of idle servers that live. */
  readonly ready: number;
  /** Starts the idle servers. */
  begin(): void;
  /** One may be started now where `mayKeep` said no before. */
  refill(): void;
  /** Ends the idle servers, and goes on. */
  dismiss(): void;
  /**
   * The oldest idle server that lives, or a new upstream; for its taker both are not yet started.
   */
  take(): Upstream;
  /** Ends the idle servers that nobody has taken; resolves when nothing of them is left. No more are started. */
  close(): Promise<void>;
}

interface Spare {
  readonly upstream: Upstream;
  /** The same for its taker. */
  readonly taken: Upstream;
}

/**
 * Keeps upstreams that are started and have heard nothing yet, so that no client waits for a process to start. Nothing is
 * sent to them and nothing read: whoever takes one begins with a server that knows no client.
 */
export function createWarmPool(options: WarmPoolOptions): WarmPool {
  const { create, refill = true, mayKeep = () => true, clock = systemClock, random, onWarning } = options;
  const backoff = createBackoff({ clock, ...(random === undefined ? {} : { random }) });
  const warmPool: Spare[] = [];
  /** Of those that died: what they have left behind is ended, too. */
  const endings = new Set<Promise<void>>();
  let { count } = options;
  let deathsInRow = 0;
  let cancelFill: (() => void) | undefined;
  let delayMs = refillDelayMs;
  let begun = false;
  let closed = false;

  function fill(): void {
    cancelFill = undefined;
    delayMs = refillDelayMs;
    for (let missing = count - warmPool.length; missing > 0 && mayKeep(); missing--) keepOne();
  }

  function fillSoon(): void {
    const isWanted = begun && !closed && warmPool.length < count && deathsInRow < maxDeathsInRow;
    if (isWanted && cancelFill === undefined && mayKeep()) cancelFill = clock.after(delayMs, fill);
  }

  function keepOne(): void {
    let taker: UpstreamEvents | undefined;
    let ended: UpstreamEnd | undefined;
    let isHeard = false;
    let isDone = false;
    /** What it was sent before it has said anything. */
    const early: RpcMessage[] = [];
    const upstream = create(() => taker !== undefined);
    const spare: Spare = {
      upstream,
      taken: {
        isWritable: () => upstream.isWritable(),
        whenWritable: (callback) => upstream.whenWritable(callback),
        pause: () => upstream.pause(),
        resume: () => upstream.resume(),
        start(events) {
          const listened = listeningForLife(events);
          taker = listened;
          if (ended === undefined) {
            upstream.resume();
            return;
          }
          const end = ended;
          queueMicrotask(() => listened.onClose({ ...end, untaken: early, isUnused: true }));
        },
        send(message) {
          if (isHeard) return upstream.send(message);
          early.push(message);
          // It has died, which its end is about to tell, or does not read. Another one takes its place.
          if (!upstream.send(message)) void upstream.close();
          return true;
        },
        close() {
          isDone = true;
          return upstream.close();
        },
      },
    };
    warmPool.push(spare);
    backoff.connected();
    upstream.start({
      onMessage(message, origin) {
        isHeard = true;
        early.length = 0;
        taker?.onMessage(message, origin);
      },
      onLost: (end) => taker?.onLost?.(end),
      onClose(end) {
        ended = end;
        if (taker === undefined) {
          if (warmPool.includes(spare)) bury(spare, end);
        } else if (isHeard || isDone || early.length > 1) {
          taker.onClose(end);
        } else {
          // It has heard one message at most, which begins a connection and does nothing else.
          countDeath(end);
          taker.onClose({ ...end, untaken: early, isUnused: true });
        }
      },
    });
    // What it says before it is asked waits in its pipe.
    upstream.pause();
  }

  /** An idle server has died that nobody has taken. */
  function bury(spare: Spare, end: UpstreamEnd): void {
    if (closed) return;
    warmPool.splice(warmPool.indexOf(spare), 1);
    dispose(spare);
    countDeath(end);
    delayMs = backoff.next();
    fillSoon();
  }

  function dispose({ upstream }: Spare): void {
    const ending = upstream.close().finally(() => endings.delete(ending));
    endings.add(ending);
  }

  function countDeath({ reason }: UpstreamEnd): void {
    deathsInRow++;
    if (deathsInRow !== maxDeathsInRow) return;
    onWarning(
      `${maxDeathsInRow} servers that were started ahead ended unused, the last one: ${reason}; none is started ahead now`,
    );
  }

  /** A server that says something to its client works, so idle servers are of use. */
  function listeningForLife(events: UpstreamEvents): UpstreamEvents {
    let heard = false;
    return {
      onLost: (end) => events.onLost?.(end),
      onClose: (end) => events.onClose(end),
      onMessage(message, origin) {
        if (!heard) {
          heard = true;
          deathsInRow = 0;
          fillSoon();
        }
        events.onMessage(message, origin);
      },
    };
  }

  return {
    get ready() {
      return warmPool.length;
    },
    begin() {
      if (begun || closed) return;
      begun = true;
      fill();
    },
    refill: fillSoon,
    dismiss() {
      for (const spare of warmPool.splice(0)) dispose(spare);
    },
    take() {
      const spare = warmPool.shift();
      if (!refill) count--;
      fillSoon();
      if (spare !== undefined) return spare.taken;
      const upstream = create(() => true);
      return {
        start: (events) => upstream.start(listeningForLife(events)),
        send: (message) => upstream.send(message),
        isWritable: () => upstream.isWritable(),
        whenWritable: (callback) => upstream.whenWritable(callback),
        pause: () => upstream.pause(),
        resume: () => upstream.resume(),
        close: () => upstream.close(),
      };
    },
    async close() {
      closed = true;
      cancelFill?.();
      await Promise.all([...endings, ...warmPool.map(({ upstream }) => upstream.close())]);
    },
  };
}
