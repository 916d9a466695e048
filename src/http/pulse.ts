/** How often silence is broken unless told otherwise, in milliseconds. Proxies cut after 60 s of it, some after 30 s. */
const defaultPeriodMs = 10_000;

/** How often it is looked whether clients take what they are sent, in milliseconds, however fast the beat is. */
const lookMs = 10_000;

/** The beat at which open streams are looked after: a stream that was silent for a whole beat is heard of at its end. */
export interface Pulse {
  /**
   * Calls back at each beat; `isLook` once in ten seconds, when clients that take nothing are to be found. The returned
   * function ends the calls.
   */
  onBeat(callback: (isLook: boolean) => void): () => void;
  /** From now on, no silence lasts longer than this, in milliseconds. */
  setMaxSilence(maxSilenceMs: number): void;
  close(): void;
}

export function createPulse(): Pulse {
  const callbacks = new Set<(isLook: boolean) => void>();
  let sinceLookMs = 0;
  let isClosed = false;
  let timer = start(defaultPeriodMs);

  function start(periodMs: number): NodeJS.Timeout {
    return setInterval(() => {
      sinceLookMs += periodMs;
      const isLook = sinceLookMs >= lookMs;
      if (isLook) sinceLookMs = 0;
      for (const callback of callbacks) callback(isLook);
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
      // Silence may begin just after one beat, and is broken at the second one after it.
      timer = start(Math.min(defaultPeriodMs, maxSilenceMs / 2));
    },
    close() {
      isClosed = true;
      clearInterval(timer);
    },
  };
}
