import { once } from 'node:events';
import { expect, test } from 'vitest';
import { createDeadline, abortReason } from '../../src/platform/deadline.ts';
import { collectGarbage } from '../harness/collect-garbage.ts';
import { within } from '../harness/eventually.ts';

/** Resolves when it is aborted; nothing else holds it. */
function aborted(signal: AbortSignal): Promise<unknown> {
  return within(15_000, 'a signal', once(signal, 'abort'));
}

test('its time comes, also when nobody but who listens knows of it', async () => {
  const waiting = aborted(createDeadline(100, new AbortController().signal).signal);
  await new Promise(setImmediate);
  collectGarbage();
  await waiting;
  expect(abortReason(createDeadline(0, AbortSignal.abort(new Error('gone'))).signal).message).toBe('gone');
});

test('it comes with another one, with its reason', async () => {
  const other = new AbortController();
  const { signal } = createDeadline(60_000, other.signal);
  const waiting = aborted(signal);
  other.abort(new Error('not wanted'));
  await waiting;
  expect(abortReason(signal).message).toBe('not wanted');
});

test('called off, nothing comes any more', async () => {
  const other = new AbortController();
  const limit = createDeadline(0, other.signal);
  limit.cancel();
  other.abort();
  // A timer of the same length that was made later.
  await new Promise((resolve) => setTimeout(resolve, 1));
  expect(limit.signal.aborted).toBe(false);
});
