import { maxStreams } from '../protocol/limits.ts';

/** How long after the start of a relay the agents of the one that it replaces may be on their way, in milliseconds. */
export const arrivalsMs = 30_000;

/** Requests that wait for agents which a relay that has just started does not know yet. */
export class Arrivals {
  readonly #expectedUntil: number;
  readonly #waiting = new Set<{ readonly name: string; readonly done: () => void }>();

  /** @param expectedMs how long agents are expected from now on, in milliseconds. */
  constructor(expectedMs: number) {
    this.#expectedUntil = performance.now() + expectedMs;
  }

  /** Whether a name that is unknown may be that of an agent on its way. */
  get areExpected(): boolean {
    return performance.now() < this.#expectedUntil;
  }

  /** Calls `done` when an agent with this name has connected. Returns what cancels that; undefined if nobody waits here. */
  onceArrived(name: string, done: () => void): (() => void) | undefined {
    if (!this.areExpected || this.#waiting.size >= maxStreams) return undefined;
    const waiter = { name, done };
    this.#waiting.add(waiter);
    return () => this.#waiting.delete(waiter);
  }

  arrived(name: string): void {
    for (const waiter of this.#waiting) if (waiter.name === name) waiter.done();
  }
}
