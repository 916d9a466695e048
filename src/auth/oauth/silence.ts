import type { Clock } from '../../platform/clock.ts';

/** A client that goes on does so within seconds. */
const patienceMs = 60_000;

/** Steps that are waited for at once; what comes after that is not diagnosed. */
const maxWaits = 100;

/** Notices clients that stop halfway, which their users see as "could not connect" without a reason. */
export interface SilenceWatch {
  /** Calls `onSilence` unless `met(key)` is called within a minute. */
  expect(key: string, onSilence: () => void): void;
  met(key: string): void;
  close(): void;
}

export function createSilenceWatch(clock: Clock): SilenceWatch {
  const waits = new Map<string, () => void>();
  const met = (key: string): void => {
    waits.get(key)?.();
    waits.delete(key);
  };
  return {
    met,
    expect(key, onSilence) {
      met(key);
      if (waits.size >= maxWaits) return;
      const cancel = clock.after(patienceMs, () => {
        waits.delete(key);
        onSilence();
      });
      waits.set(key, cancel);
    },
    close() {
      for (const cancel of waits.values()) cancel();
      waits.clear();
    },
  };
}
