/** Lets tasks run one at a time, in the order in which they came. One that leaves before its turn leaves nothing behind. */
export class Turns {
  readonly #waiting = new Set<() => void>();
  #isTaken = false;

  /**
   * Runs a task when those before it are over.
   * @returns what the task returns; undefined if the signal was aborted before its turn.
   */
  async take<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
    if (signal.aborted || (this.#isTaken && !(await this.#comes(signal)))) return undefined;
    this.#isTaken = true;
    try {
      return signal.aborted ? undefined : await task();
    } finally {
      const [next] = this.#waiting;
      // Nobody who comes now is earlier.
      this.#isTaken = next !== undefined;
      next?.();
    }
  }

  #comes(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (isTurn: boolean): void => {
        signal.removeEventListener('abort', leave);
        this.#waiting.delete(begin);
        resolve(isTurn);
      };
      const begin = (): void => end(true);
      const leave = (): void => end(false);
      this.#waiting.add(begin);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}
