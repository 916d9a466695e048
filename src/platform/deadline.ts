/** Why a signal was aborted, as an Error to reject with. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}

/** A signal that somebody has to let go of. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Nobody waits any more. */
  cancel(): void;
}

/**
 * A signal that is aborted after so long, in milliseconds, or with another one. Not `AbortSignal.any` of an
 * `AbortSignal.timeout`: nothing holds the latter, and when it is collected its time never comes (Node.js 20).
 */
export function createDeadline(timeoutMs: number, signal?: AbortSignal): Deadline {
  const limit = new AbortController();
  const follow = (): void => limit.abort(signal?.reason);
  const timer = setTimeout(() => limit.abort(new Error(`it took more than ${timeoutMs / 1000} s`)), timeoutMs);
  if (signal?.aborted === true) follow();
  else signal?.addEventListener('abort', follow, { once: true });
  return {
    signal: limit.signal,
    cancel() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', follow);
    },
  };
}
