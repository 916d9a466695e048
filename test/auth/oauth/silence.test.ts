import { expect, test } from 'vitest';
import { createSilenceWatch } from '../../../src/auth/oauth/silence.ts';
import { createFakeClock } from '../../harness/fake-clock.ts';

test('silence of a minute is told once, and only if nothing came', () => {
  const clock = createFakeClock();
  const watch = createSilenceWatch(clock);
  const silent: string[] = [];
  for (const key of ['a', 'b']) watch.expect(key, () => silent.push(key));
  clock.advance(59_999);
  watch.met('b');
  expect(silent).toEqual([]);
  clock.advance(1);
  expect(silent).toEqual(['a']);
  clock.advance(600_000);
  expect(silent).toEqual(['a']);
});

test('a further step is waited for instead of the one before', () => {
  const clock = createFakeClock();
  const watch = createSilenceWatch(clock);
  const silent: string[] = [];
  watch.expect('a', () => silent.push('first'));
  clock.advance(30_000);
  watch.expect('a', () => silent.push('second'));
  clock.advance(59_999);
  expect(silent).toEqual([]);
  clock.advance(1);
  expect(silent).toEqual(['second']);
});

test('of 10,000 clients, 100 are watched, and none after close', () => {
  const clock = createFakeClock();
  const watch = createSilenceWatch(clock);
  for (let at = 0; at < 10_000; at += 1) watch.expect(String(at), () => {});
  expect(clock.pending).toBe(100);
  watch.close();
  expect(clock.pending).toBe(0);
});
