/** Longest silence unless told otherwise, in milliseconds. Proxies cut after 60 s of it, some after 30 s. */
const defaultMaxSilenceMs = 12_000;

/** A stream counts the beats of its silence, which may begin just after one of them: the more, the closer it counts. */
const beatsPerMaxSilence = 12;

/** Beats without a word after which an open stream is given a comment: less than the longest silence, whenever it began. */
export const commentBeats = 10;

/**
 * Beats after which the answer to a call begins before there is any: within 4 s, and never after one second or two. Some
 * hosted clients give up when nothing has come for about 12 s, on whatever way there is in between.
 */
export const openingBeats = 4;

/** How often it is looked whether clients take what they are sent, in milliseconds, however fast the beat is. */
const checkMs = 10_000;

/** The beat at which open streams are looked after, a second or less apart: streams count how many they were silent for. */
export interface KeepAliveTimer {
  /**
   * Calls back at each beat; `checksStalls` once in ten seconds, when clients that take nothing are to be found. The returned
   * function ends the calls.
   */
  onBeat(callback: (checksStalls: boolean) => void): () => void;
  /** From now on, no silence lasts longer than this, in milliseconds. */
  setMaxSilence(maxSilenceMs: number): void;
  close(): void;
}

export function createKeepAliveTimer(): KeepAliveTimer {
  const callbacks = new Set<(checksStalls: boolean) => void>();
  let sinceCheckMs = 0;
  let isClosed = false;
  let timer = start(defaultMaxSilenceMs);

  function start(maxSilenceMs: number): NodeJS.Timeout {
    const periodMs = Math.max(1, Math.floor(Math.min(defaultMaxSilenceMs, maxSilenceMs) / beatsPerMaxSilence));
    return setInterval(() => {
      sinceCheckMs += periodMs;
      const checksStalls = sinceCheckMs >= checkMs;
      if (checksStalls) sinceCheckMs = 0;
      for (const callback of callbacks) callback(checksStalls);
    }, periodMs).unref();
  }

  return {
    onBeat(callback) {
      callbacks.add(callback);
      return () => void callbacks.delete(callback);
    },
    setMaxSilence(maxSilenceMs) {
      if (isClosed) return;
      clearInterval(timer);
      timer = start(maxSilenceMs);
    },
    close() {
      isClosed = true;
      clearInterval(timer);
    },
  };
}
