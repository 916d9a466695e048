/** Default for the longest silence on a stream, in milliseconds. Most proxies allow 60 s, some only 30 s. */
const defaultMaxSilenceMs = 12_000;

/** Streams count silent beats, and a silence may begin just after a beat: more beats make the count more precise. */
const beatsPerMaxSilence = 12;

/** Silent beats after which an open stream sends a comment: within the longest silence, whenever the silence began. */
export const commentBeats = 10;

/**
 * Beats after which the response to a call begins although there is no message yet: within 4 s, but never within the
 * first two seconds. Some hosted clients give up after about 12 s without a byte, whatever is in between.
 */
export const openingBeats = 4;

/** How often stalled clients are looked for, in milliseconds, whatever the period of the beat. */
const checkMs = 10_000;

/** Drives the keep-alive of open streams with a beat at least once per second. Streams count their silent beats. */
export interface KeepAliveTimer {
  /**
   * Calls back at each beat. `checksStalls` is true once in ten seconds, when clients that read nothing are looked for.
   * The returned function ends the calls.
   */
  onBeat(callback: (checksStalls: boolean) => void): () => void;
  /** Sets the longest silence from now on, in milliseconds. */
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
