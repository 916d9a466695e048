/** Bytes that the server has not taken yet; beyond it, messages are refused instead of kept. */
export const defaultWriteWindowBytes: number = 64 * 1024 * 1024;

/** Bytes that the server has not taken yet; beyond it, no more is read from the clients that send it. */
const maxWaitingBytes = 1024 * 1024;

/** How much of what was sent is still with us, and who waits for it to become less. */
export interface WriteWindow {
  /** Counts a message; the returned function, which may be called twice, takes it off again. False: there is no room. */
  add(size: number): (() => void) | false;
  isWritable(): boolean;
  whenWritable(callback: () => void): void;
  /** Nothing will be read any more: whoever waits is let go. */
  end(): void;
}

export function createWriteWindow(writeWindowBytes: number = defaultWriteWindowBytes): WriteWindow {
  let writeWindow = 0;
  let ended = false;
  let waiting: (() => void)[] = [];

  function isWritable(): boolean {
    return ended || writeWindow < maxWaitingBytes;
  }

  function drain(): void {
    if (!isWritable()) return;
    const released = waiting;
    waiting = [];
    for (const callback of released) callback();
  }

  return {
    add(size) {
      if (ended || writeWindow > writeWindowBytes) return false;
      writeWindow += size;
      let counted = size;
      return () => {
        writeWindow -= counted;
        counted = 0;
        drain();
      };
    },
    isWritable,
    whenWritable(callback) {
      if (isWritable()) callback();
      else waiting.push(callback);
    },
    end() {
      ended = true;
      drain();
    },
  };
}
