import type { UpstreamEnd } from '../upstream/upstream.ts';

/** So many processes in a row that end when another one starts are no coincidence. */
const maxReplaced = 2;

/** What whoever asks for a second process of such a server is told. */
export const runsOnce = 'this server seems to run only once: --isolation shared serves many clients with one process';

/** Whether processes may run at the same time: nobody knows, the user says so, or it was seen or they are not ours. */
export type Knowledge = 'unknown' | 'wanted' | 'proven';

export interface CoexistenceOptions {
  readonly knowledge: Knowledge;
  /** Another process may be started, which may not have been the case before. */
  readonly onChange: () => void;
  readonly onWarning: (message: string) => void;
}

/** What the rules ask of a process. */
export interface Process {
  /** No other process may start before it is gone. */
  readonly isBrief: boolean;
  /** It has worked so long that it can no longer disturb another one, or be disturbed, by its start. */
  readonly isSettled: boolean;
  /** Resolves when nothing of it is left; undefined before it was asked to end or has ended. */
  readonly ended: Promise<void> | undefined;
  /** It was asked to do something that may have ended it. */
  readonly hasWorked: boolean;
}

/**
 * The rules by which processes of one server run at the same time. Many servers can run only once, since they hold a port, a
 * lock file, a browser profile or a device. Until two processes have run side by side without harm, nothing is started
 * before what ends is gone, and clients of a server that cannot do it are told.
 */
export class Coexistence {
  readonly #options: CoexistenceOptions;
  #knowledge: Knowledge;
  /** In the order of their starts. */
  readonly #running = new Set<Process>();
  /** Those of them that have said something, in the order of their first messages. */
  readonly #heard = new Set<Process>();
  readonly #waiting = new Set<{ readonly start: () => void }>();
  #replaced = 0;
  #hasWarned = false;

  constructor(options: CoexistenceOptions) {
    this.#options = options;
    this.#knowledge = options.knowledge;
  }

  /** Whether processes may run at the same time as far as is known. */
  get isAllowed(): boolean {
    return this.#knowledge !== 'unknown';
  }

  /** Number of processes that have been started and are not gone. */
  get count(): number {
    return this.#running.size;
  }

  /** Whether there is neither a process nor somebody who waits to start one; or it does not matter. */
  get isFree(): boolean {
    return this.isAllowed || (this.#running.size === 0 && this.#waiting.size === 0);
  }

  /** Calls `start` when no process is about to end, now or later, in the order of the calls. Returns how to cancel that. */
  whenClear(start: () => void): () => void {
    if (this.#waiting.size === 0 && this.#isClear()) {
      start();
      return () => {};
    }
    const entry = { start };
    this.#waiting.add(entry);
    return () => this.#waiting.delete(entry);
  }

  /** A process is about to start. Returns false when that would end the one that another client uses: it must not start. */
  admit(process: Process): boolean {
    const isTaken = !this.isAllowed && this.#replaced >= maxReplaced && [...this.#running].some(lives);
    if (!isTaken) this.#running.add(process);
    return !isTaken;
  }

  /** It has said something for the first time. Returns whether it is of use to know when it has settled. */
  heard(process: Process): boolean {
    this.#heard.add(process);
    return this.#knowledge !== 'proven' && !process.isBrief;
  }

  /** It has worked long enough after its first message to be settled. */
  settled(process: Process): void {
    const [older] = neighbours(this.#heard, process);
    if (older.length > 0) {
      this.#knowledge = 'proven';
      this.#changed();
    } else if (this.#replaced < maxReplaced && this.#running.size === 1) {
      // What ended when this one started was not started again to end it: a coincidence.
      this.#replaced = 0;
    }
  }

  /** What an end that nobody has asked for says about running side by side, in the words of the end. */
  judge(process: Process, end: UpstreamEnd): UpstreamEnd {
    // One that could not be started says nothing of the others.
    if (this.#knowledge === 'proven' || process.isBrief || end.code === 'upstream_not_started') return end;
    const [older, newer] = neighbours(this.#running, process);
    if (older.some((other) => this.#heard.has(other))) {
      if (process.isSettled || process.hasWorked) return end;
    } else {
      // Newer ones may have ended this one: once may be a coincidence.
      if (newer.every(({ isSettled }) => isSettled) || this.isAllowed || ++this.#replaced < maxReplaced) return end;
    }
    if (!this.#hasWarned) this.#options.onWarning(runsOnce);
    this.#hasWarned = true;
    return { ...end, reason: `${end.reason}; ${runsOnce}` };
  }

  /** Nothing of it is left. */
  gone(process: Process): void {
    this.#heard.delete(process);
    if (this.#running.delete(process)) this.#changed();
  }

  /** Resolves when nothing is left of those that are ending. */
  async allEnded(): Promise<void> {
    await Promise.all(Array.from(this.#running, async ({ ended }) => ended));
  }

  #isClear(): boolean {
    return this.isAllowed || [...this.#running].every((process) => !process.isBrief && lives(process));
  }

  #changed(): void {
    for (const entry of this.#waiting) {
      if (!this.#isClear()) return;
      this.#waiting.delete(entry);
      entry.start();
    }
    this.#options.onChange();
  }
}

const lives = ({ ended }: Process): boolean => ended === undefined;

/** Those that live and come before and after a process. */
function neighbours(order: ReadonlySet<Process>, process: Process): [Process[], Process[]] {
  const all = [...order].filter((other) => other === process || lives(other));
  const place = all.indexOf(process);
  return [all.slice(0, place), all.slice(place + 1)];
}
