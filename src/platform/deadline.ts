import { systemClock, type Clock } from './clock.ts';

/** The reason of an aborted signal, as an Error. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}

export class TimeoutError extends Error {}

export interface Deadline {
  readonly signal: AbortSignal;
  /** Releases the timer and the listener. */
  cancel(): void;
}

/**
 * A signal that is aborted after a time in milliseconds, or with another signal. Not `AbortSignal.any` with
 * `AbortSignal.timeout`: nothing references the latter, and once it is garbage-collected it never fires (Node.js 20).
 */
export function createDeadline(timeoutMs: number, signal?: AbortSignal, clock: Clock = systemClock): Deadline {
  const limit = new AbortController();
  const follow = (): void => limit.abort(signal?.reason);
  const tooLong = new TimeoutError(`it took more than ${timeoutMs / 1000} s`);
  const stop = clock.after(timeoutMs, () => limit.abort(tooLong));
  if (signal?.aborted === true) follow();
  else signal?.addEventListener('abort', follow, { once: true });
  return {
    signal: limit.signal,
    cancel() {
      stop();
      signal?.removeEventListener('abort', follow);
    },
  };
}
