/** A promise with its `resolve` and `reject`, as Promise.withResolvers returns from Node 22 on. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

export function createDeferred<T>(): Deferred<T> {
  let ends: Pick<Deferred<T>, 'resolve' | 'reject'> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    ends = { resolve, reject };
  });
  // The executor has run by now (ECMA-262, Promise constructor).
  if (ends === undefined) throw new Error('unreachable');
  return { promise, ...ends };
}

/** Waits until a promise is settled, or for this time. Never rejects. */
export async function settledWithin(promise: Promise<unknown>, limitMs: number): Promise<void> {
  const { promise: elapsed, resolve } = createDeferred<void>();
  const timer = setTimeout(resolve, limitMs);
  await Promise.race([promise.catch(() => {}), elapsed]);
  clearTimeout(timer);
}
