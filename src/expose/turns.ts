/**
 * Lets tasks run one at a time: those of one owner in the order in which they came, and the owners in turn. One that leaves before
 * its turn leaves nothing behind.
 */
export class Turns {
  /** By owner; whose turn is next comes first. */
  readonly #waiting = new Map<string, Set<() => void>>();
  #isTaken = false;

  /**
   * Runs a task when those before it are over.
   * @param owner however many tasks others have, each of them is waited for only once between two of this one.
   * @returns what the task returns; undefined if the signal was aborted before its turn.
   */
  async take<T>(task: () => Promise<T>, signal: AbortSignal, owner = ''): Promise<T | undefined> {
    if (signal.aborted || (this.#isTaken && !(await this.#comes(signal, owner)))) return undefined;
    this.#isTaken = true;
    try {
      return signal.aborted ? undefined : await task();
    } finally {
      const next = this.#next();
      // Nobody who comes now is earlier.
      this.#isTaken = next !== undefined;
      next?.();
    }
  }

  #next(): (() => void) | undefined {
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    const [owner, tasks] = first;
    // The others are first now.
    this.#waiting.delete(owner);
    this.#waiting.set(owner, tasks);
    const [next] = tasks;
    return next;
  }

  #comes(signal: AbortSignal, owner: string): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (isTurn: boolean): void => {
        signal.removeEventListener('abort', leave);
        tasks.delete(begin);
        if (tasks.size === 0) this.#waiting.delete(owner);
        resolve(isTurn);
      };
      const begin = (): void => end(true);
      const leave = (): void => end(false);
      const tasks = this.#waiting.get(owner) ?? new Set();
      tasks.add(begin);
      this.#waiting.set(owner, tasks);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}
