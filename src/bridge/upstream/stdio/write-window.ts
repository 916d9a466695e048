/** Bytes that the server has not taken yet; beyond it, messages are refused instead of kept. */
export const defaultWriteWindowBytes: number = 64 * 1024 * 1024;

/** Bytes that the server has not taken yet; beyond it, no more is read from the clients that send it. */
const maxWaitingBytes = 1024 * 1024;

/** How much of what was sent is still with us, and who waits for it to become less. */
export class WriteWindow {
  readonly #maxBytes: number;
  #bytes = 0;
  #hasEnded = false;
  #waiting: (() => void)[] = [];

  constructor(maxBytes: number = defaultWriteWindowBytes) {
    this.#maxBytes = maxBytes;
  }

  /** Counts a message; the returned function, which may be called twice, takes it off again. False: there is no room. */
  add(size: number): (() => void) | false {
    if (this.#hasEnded || this.#bytes > this.#maxBytes) return false;
    this.#bytes += size;
    let counted = size;
    return () => {
      this.#bytes -= counted;
      counted = 0;
      this.#drain();
    };
  }

  isWritable(): boolean {
    return this.#hasEnded || this.#bytes < maxWaitingBytes;
  }

  whenWritable(callback: () => void): void {
    if (this.isWritable()) callback();
    else this.#waiting.push(callback);
  }

  /** Nothing will be read any more: whoever waits is let go. */
  end(): void {
    this.#hasEnded = true;
    this.#drain();
  }

  #drain(): void {
    if (!this.isWritable()) return;
    const released = this.#waiting;
    this.#waiting = [];
    for (const callback of released) callback();
  }
}
