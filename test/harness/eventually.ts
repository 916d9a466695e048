// For what announces itself by no event, such as another program's process being gone. Bounded, never a bare sleep.
import { setTimeout as delay } from 'node:timers/promises';

/** Repeats `check` until it stops throwing and returns its value; throws its last error when `withinMs` is over. */
export async function eventually<T>(check: () => T | Promise<T>, withinMs = 5000): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    try {
      return await check(); // oxlint-disable-line no-await-in-loop -- one look after the other is the point
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await delay(20); // oxlint-disable-line no-await-in-loop
  }
}

/** Rejects with `what`, as it is then, when the promise takes longer, so that a hanging test names what it waited for. */
export async function within<T>(ms: number, what: string | (() => string), promise: Promise<T>): Promise<T> {
  const timer = new AbortController();
  try {
    return await Promise.race([
      promise,
      delay(ms, undefined, { signal: timer.signal }).then(() => {
        throw new Error(`waited ${ms} ms for ${typeof what === 'string' ? what : what()}`);
      }),
    ]);
  } finally {
    timer.abort();
  }
}
