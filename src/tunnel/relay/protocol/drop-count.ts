import type { Clock } from '../../../platform/clock.ts';

/** How long it counts before it reports, in milliseconds. */
const countingMs = 10_000;

/** Counts what is dropped, so that it is reported once instead of once per item. */
export class DropCount {
  readonly #report: (count: number) => void;
  readonly #clock: Clock;
  #count = 0;
  #cancel: (() => void) | undefined;

  constructor(report: (count: number) => void, clock: Clock) {
    this.#report = report;
    this.#clock = clock;
  }

  add(): void {
    this.#count += 1;
    this.#cancel ??= this.#clock.after(countingMs, () => this.close());
  }

  /** Reports the count so far. */
  close(): void {
    const count = this.#count;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#count = 0;
    if (count > 0) this.#report(count);
  }
}
