import { describe, expect, test } from 'vitest';
import { GuessLimit, maxGuessingNetworks, RequestLimit, type Guessing } from '../../src/auth/caller-limits.ts';
import { createFakeClock, type FakeClock } from '../harness/fake-clock.ts';

interface World {
  readonly clock: FakeClock;
  readonly limit: GuessLimit;
  readonly reports: Guessing[];
  /** Counts so many wrong tokens. */
  readonly guess: (address: string | undefined, times: number) => number[];
}

function start(): World {
  const clock = createFakeClock();
  const reports: Guessing[] = [];
  const limit = new GuessLimit((guessing) => reports.push(guessing), clock);
  const guess = (address: string | undefined, times: number): number[] =>
    Array.from({ length: times }, () => limit.count(address));
  return { clock, limit, reports, guess };
}

describe('wrong tokens', () => {
  test('ten in a minute are answered as such; then one every six seconds', () => {
    const { clock, guess } = start();
    expect(guess('203.0.113.9', 11)).toEqual([...Array.from({ length: 10 }, () => 0), 6]);
    clock.advance(5900);
    expect(guess('203.0.113.9', 1)).toEqual([6]);
    clock.advance(110);
    expect(guess('203.0.113.9', 2)).toEqual([0, 6]);
    clock.advance(60_000);
    expect(guess('203.0.113.9', 11).at(-2)).toBe(0);
  });

  test('an IPv6 /64 is one network', () => {
    const { guess } = start();
    guess('2001:db8::1', 10);
    expect(guess('2001:db8::ffff:2', 1)).toEqual([6]);
    expect(guess('2001:db8:0:1::1', 1)).toEqual([0]);
  });

  test('are reported at most once a minute, with their number', () => {
    const { clock, reports, guess } = start();
    guess('203.0.113.9', 10);
    expect(reports).toEqual([]);
    guess('203.0.113.9', 1);
    expect(reports).toEqual([{ network: '203.0.113.9', count: 11 }]);
    guess('203.0.113.9', 500);
    guess('203.0.113.10', 20);
    clock.advance(59_999);
    guess('203.0.113.9', 10);
    expect(reports).toHaveLength(1);
    clock.advance(1);
    guess('203.0.113.9', 10);
    expect(reports.slice(1)).toEqual([{ network: '203.0.113.9', count: 521 }]);
    clock.advance(3_600_000);
    guess('203.0.113.9', 11);
    expect(reports.slice(2)).toEqual([{ network: '203.0.113.9', count: 11 }]);
  });

  test('are reported also after the clock was set back, and of networks and unknown addresses by their name', () => {
    const { clock, reports, guess } = start();
    guess('2001:db8::1', 11);
    clock.jump(-3_600_000);
    guess(undefined, 11);
    expect(reports).toEqual([
      { network: '2001:db8:0:0::/64', count: 11 },
      { network: undefined, count: 11 },
    ]);
  });

  test('from 100,000 addresses take no more memory than those of the networks that are remembered', () => {
    const { limit, guess } = start();
    guess('203.0.113.9', 11);
    const answers = new Set<number>();
    for (let at = 0; at < 100_000; at++) {
      limit.count(`10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`);
      // Who goes on is not forgotten.
      if (at % 5000 === 0) answers.add(limit.count('203.0.113.9'));
    }
    expect([...answers]).toEqual([6]);
    expect(limit.size).toBe(maxGuessingNetworks);
    expect(guess('203.0.113.9', 1)).toEqual([6]);
  });
});

test('requests are limited for each caller', () => {
  const clock = createFakeClock();
  const limit = new RequestLimit(2, clock);
  expect(['a', 'a', 'a', 'b'].map((caller) => limit.count(caller))).toEqual([0, 0, 1, 0]);
  clock.advance(500);
  expect(['a', 'a'].map((caller) => limit.count(caller))).toEqual([0, 1]);
});

test('less than one request per second is possible', () => {
  const clock = createFakeClock();
  const limit = new RequestLimit(0.5, clock);
  expect(['a', 'a'].map((caller) => limit.count(caller))).toEqual([0, 2]);
});
