// What all who take part in a storm share: when it ends, what has happened, and what must not have.
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

/** Further ones say the same as the first, at great length. */
const maxViolations = 20;

export interface Storm {
  /** Aborted when it is over. */
  readonly signal: AbortSignal;
  /** What has been seen that must not be, the first of it. */
  readonly violations: readonly string[];
  /** How often which thing has happened. */
  readonly counts: ReadonlyMap<string, number>;
  /** Ids of sessions that their clients have left open. */
  readonly abandoned: Set<string>;
  count(what: string): void;
  violate(what: string): void;
  /** Waits, at most until the storm is over. */
  pause(ms: number): Promise<void>;
  end(): void;
}

export function createStorm(): Storm {
  const over = new AbortController();
  setMaxListeners(0, over.signal); // all who wait
  const violations: string[] = [];
  const counts = new Map<string, number>();
  return {
    signal: over.signal,
    violations,
    counts,
    abandoned: new Set(),
    count: (what) => void counts.set(what, (counts.get(what) ?? 0) + 1),
    violate(what) {
      if (violations.length < maxViolations) violations.push(what);
    },
    async pause(ms) {
      await delay(ms, undefined, { signal: over.signal }).catch(() => {});
    },
    end: () => over.abort(),
  };
}
