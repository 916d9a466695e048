/** The time source of long-lived objects, which tests replace. */
export interface Clock {
  /** Milliseconds of wall-clock time: it goes on while the machine sleeps, which a monotonic clock does not. */
  now(): number;
  /** Calls `callback` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
};

/**
 * A clock that never goes back: where `clock` is set back, it goes on from the time of its last look, so that no life and no
 * lock gets longer by more than the time between two looks.
 */
export function createForwardClock(clock: Clock): Clock {
  let last = clock.now();
  let setBackBy = 0;
  return {
    now() {
      const now = clock.now();
      setBackBy += Math.max(0, last - now);
      last = now;
      return now + setBackBy;
    },
    after: (delayMs, callback) => clock.after(delayMs, callback),
  };
}

/** Resolves after `delayMs`, or as soon as `signal` aborts. Never rejects. */
export async function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const finish = (): void => {
      cancel();
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const cancel = clock.after(delayMs, finish);
    signal.addEventListener('abort', finish);
  });
}
