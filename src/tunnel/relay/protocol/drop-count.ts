import type { Clock } from '../../../platform/clock.ts';

/** How long it counts before it reports, in milliseconds. */
const countingMs = 10_000;

/** Counts what is dropped, so that it is reported once instead of once per item. */
export interface DropCount {
  add(): void;
  /** Reports the count so far. */
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
