import { systemClock, type Clock } from '../../platform/clock.ts';
import type { Upstream, UpstreamEnd } from '../upstream/upstream.ts';

/**
 * A process that has worked this long beside another one does not disturb it, and is not disturbed, in milliseconds.
 * Counted from its first message: by then it has opened its port, its lock file or its browser profile.
 */
const settleMs = 2000;

/** So many processes in a row that end when another one starts are no coincidence. */
const maxReplaced = 2;

const runsOnce = 'this server seems to run only once: --isolation shared serves many clients with one process';

export interface InstancesOptions {
  /** Whether processes may run side by side from the start, because the user says so or they are not ours. */
  readonly mayCoexist: boolean;
  readonly clock?: Clock;
  /** Another process may be started, which may not have been the case before. */
  readonly onChange: () => void;
  readonly onWarning: (message: string) => void;
}

export interface Instances {
  /** Whether processes are known to run side by side without harm. */
  mayCoexist(): boolean;
  /** Number of processes that have been started and are not gone. */
  count(): number;
  /** Whether there is neither a process nor somebody who waits to start one; or it does not matter. */
  isFree(): boolean;
  /**
   * Calls `start` when no process is left that is about to end: now, or later in the order of the calls.
   * @returns how to call it off.
   */
  whenClear(start: () => void): () => void;
  /** The same upstream, whose process is counted. @param isBrief nobody else may start before it is gone. */
  watch(upstream: Upstream, isBrief?: boolean): Upstream;
}

interface Instance {
  readonly isBrief: boolean;
  /** Place in the order of the first messages; undefined before that. */
  heard: number | undefined;
  isSettled: boolean;
  isEnding: boolean;
  /** It was asked to do something that may have ended it. */
  hasWorked: boolean;
  cancelSettling: (() => void) | undefined;
}

/**
 * The processes of one server. Many servers can run only once at a time, since they hold a port, a lock file, a browser
 * profile or a device. Until two processes have run side by side without harm, nothing is started before what ends is
 * gone, and clients of a server that cannot do it are told.
 */
export function createInstances(options: InstancesOptions): Instances {
  const { clock = systemClock, onChange, onWarning } = options;
  let { mayCoexist } = options;
  /** Whether it was seen, rather than said. */
  let isProven = false;
  /** In the order of their starts. */
  const running = new Set<Instance>();
  const waiting = new Set<{ readonly start: () => void }>();
  let firstMessages = 0;
  let replaced = 0;
  let warned = false;

  const isClear = (): boolean => mayCoexist || ![...running].some(({ isBrief, isEnding }) => isBrief || isEnding);

  const others = (instance: Instance): Instance[] =>
    [...running].filter((other) => other !== instance && !other.isEnding);

  function changed(): void {
    for (const entry of waiting) {
      if (!isClear()) return;
      waiting.delete(entry);
      entry.start();
    }
    onChange();
  }

  function warnOnce(): void {
    if (!warned) onWarning(runsOnce);
    warned = true;
  }

  function hear(instance: Instance): void {
    const heard = ++firstMessages;
    instance.heard = heard;
    if (isProven || instance.isBrief) return;
    instance.cancelSettling = clock.after(settleMs, () => {
      instance.isSettled = true;
      if (!others(instance).some((other) => (other.heard ?? heard) < heard)) return;
      isProven = true;
      mayCoexist = true;
      changed();
    });
  }

  /** What an end that nobody has asked for says about running side by side, in the words of the end. */
  function judge(instance: Instance, end: UpstreamEnd): UpstreamEnd {
    // One that could not be started says nothing of the others.
    if (isProven || instance.isBrief || end.code === 'upstream_not_started') return end;
    const order = [...running];
    const place = order.indexOf(instance);
    const rest = others(instance);
    const hasOlder = rest.some((other) => other.heard !== undefined && order.indexOf(other) < place);
    const hasNewer = rest.some((other) => !other.isSettled && order.indexOf(other) > place);
    if (hasOlder) {
      if (instance.isSettled || instance.hasWorked) return end;
    } else {
      // Newer ones may have ended this one: once may be a coincidence.
      if (!hasNewer || mayCoexist || ++replaced < maxReplaced) return end;
    }
    warnOnce();
    return { ...end, reason: `${end.reason}; ${runsOnce}` };
  }

  /** A start would end the process that another client uses. */
  const isTaken = (): boolean =>
    !mayCoexist && replaced >= maxReplaced && [...running].some(({ isEnding }) => !isEnding);

  return {
    mayCoexist: () => mayCoexist,
    count: () => running.size,
    isFree: () => mayCoexist || (running.size === 0 && waiting.size === 0),
    whenClear(start) {
      if (waiting.size === 0 && isClear()) {
        start();
        return () => {};
      }
      const entry = { start };
      waiting.add(entry);
      return () => waiting.delete(entry);
    },
    watch(upstream, isBrief = false) {
      const instance: Instance = {
        isBrief,
        heard: undefined,
        isSettled: false,
        isEnding: false,
        hasWorked: false,
        cancelSettling: undefined,
      };
      let isRefused = false;

      function close(): Promise<void> {
        instance.cancelSettling?.();
        const ended = upstream.close();
        if (!running.has(instance) || instance.isEnding) return ended;
        instance.isEnding = true;
        return ended.finally(() => {
          running.delete(instance);
          changed();
        });
      }

      return {
        isWritable: () => upstream.isWritable(),
        whenWritable: (callback) => upstream.whenWritable(callback),
        pause: () => upstream.pause(),
        resume: () => upstream.resume(),
        start(events) {
          isRefused = isTaken();
          if (isRefused) {
            queueMicrotask(() => events.onClose({ reason: runsOnce, code: 'upstream_not_started', stderr: '' }));
            return;
          }
          running.add(instance);
          upstream.start({
            onLost: (end) => events.onLost?.(end),
            onMessage(message, origin) {
              if (instance.heard === undefined) hear(instance);
              events.onMessage(message, origin);
            },
            onClose(end) {
              const judged = instance.isEnding ? end : judge(instance, end);
              // It may have left others behind, which hold what it held.
              void close();
              events.onClose(judged);
            },
          });
        },
        send(message) {
          if (message.kind === 'request' && message.method === 'tools/call') instance.hasWorked = true;
          // Why it was not started is about to be told.
          return isRefused || upstream.send(message);
        },
        close,
      };
    },
  };
}
