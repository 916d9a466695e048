import { expect, test } from 'vitest';
import { createTokenBucket } from '../../src/platform/token-bucket.ts';
import { createFakeClock } from '../harness/fake-clock.ts';

test('so much at once, so much per second, and never more than the burst', () => {
  const clock = createFakeClock();
  const bucket = createTokenBucket({ burst: 10, perSecond: 2, clock });
  expect(bucket.take(11)).toBe(false);
  expect([bucket.take(4), bucket.take(6), bucket.take(1)]).toEqual([true, true, false]);
  clock.advance(500);
  expect([bucket.take(1), bucket.take(1)]).toEqual([true, false]);
  bucket.add(3);
  expect([bucket.take(3), bucket.take(1)]).toEqual([true, false]);
  clock.advance(60_000);
  expect([bucket.take(4), bucket.take(6), bucket.take(1)]).toEqual([true, true, false]);
});

test('a clock that is set back gives nothing and takes nothing', () => {
  const clock = createFakeClock();
  const bucket = createTokenBucket({ burst: 1, perSecond: 1, clock });
  expect(bucket.take(1)).toBe(true);
  clock.jump(-5_000);
  expect(bucket.take(1)).toBe(false);
  clock.advance(1_000);
  expect(bucket.take(1)).toBe(true);
});
