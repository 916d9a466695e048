import type { Clock } from '../../../platform/clock.ts';

/** How long it counts before it tells, in milliseconds. */
const countingMs = 10_000;

/** Counts what is dropped, so that it is told in one line and not in as many as there were. */
export interface DropCount {
  add(): void;
  /** Tells what has not been told yet. */
  close(): void;
}

export function createDropCount(tell: (count: number) => void, clock: Clock): DropCount {
  let count = 0;
  let cancel: (() => void) | undefined;
  const report = (): void => {
    const told = count;
    cancel = undefined;
    count = 0;
    tell(told);
  };
  return {
    add() {
      count += 1;
      cancel ??= clock.after(countingMs, report);
    },
    close() {
      cancel?.();
      if (count > 0) report();
    },
  };
}
