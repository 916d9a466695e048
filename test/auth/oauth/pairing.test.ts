import { describe, expect, test } from 'vitest';
import type { OAuthEvent } from '../../../src/auth/oauth/events.ts';
import { createPairing, type Pairing } from '../../../src/auth/oauth/pairing.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';

const minute = 60_000;

function pair(): { pairing: Pairing; clock: FakeClock; events: OAuthEvent[] } {
  const clock = createFakeClock();
  const events: OAuthEvent[] = [];
  return { pairing: createPairing({ clock, onEvent: (event) => events.push(event) }), clock, events };
}

/** A code of the right form that is not the code. */
function wrong({ code }: Pairing): string {
  return `${code.startsWith('0') ? '1' : '0'}${code.slice(1)}`;
}

test('the code has 40 bits in Crockford base32', () => {
  const codes = Array.from({ length: 500 }, () => pair().pairing.code);
  for (const code of codes) expect(code).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/);
  expect(new Set(codes).size).toBe(500);
  expect(new Set(codes.join('').replaceAll('-', '')).size).toBe(32);
});

test('a code is accepted once, and the next one is announced', () => {
  const { pairing, events } = pair();
  const { code } = pairing;
  expect(pairing.check(code)).toBe('right');
  expect(pairing.check(code)).toBe('wrong');
  expect(pairing.code).not.toBe(code);
  expect(events).toEqual([{ kind: 'pairing_code_changed', code: pairing.code, reason: 'used' }]);
});

test('case, spaces, dashes and misread letters do not matter', () => {
  const { pairing, clock } = pair();
  // A code with both digits that have lookalikes turns up soon.
  while (!/0/.test(pairing.code) || !/1/.test(pairing.code)) clock.advance(10 * minute);
  const typed = pairing.code.toLowerCase().replaceAll('0', 'o').replace('1', 'l').replaceAll('1', 'I');
  expect(pairing.check(`  ${typed.replace('-', ' - ')} `)).toBe('right');
});

test('a code changes every ten minutes', () => {
  const { pairing, clock, events } = pair();
  const { code } = pairing;
  clock.advance(10 * minute - 1);
  expect(pairing.code).toBe(code);
  clock.advance(1);
  expect(pairing.code).not.toBe(code);
  expect(pairing.check(code)).toBe('wrong');
  clock.advance(25 * minute);
  expect(events.map((event) => event.kind === 'pairing_code_changed' && event.reason)).toEqual([
    'expired',
    'expired',
    'expired',
  ]);
});

test('a code that expired while the machine slept is not accepted, although the timer is late', () => {
  const clock = createFakeClock();
  const pairing = createPairing({ clock: { ...clock, after: () => () => {} }, onEvent: () => {} });
  const { code } = pairing;
  clock.jump(10 * minute);
  expect(pairing.check(code)).toBe('wrong');
});

describe('guessing', () => {
  test('ten wrong codes change the code, and lock out the right one too', () => {
    const { pairing, clock, events } = pair();
    const { code } = pairing;
    for (let tries = 0; tries < 9; tries += 1) expect(pairing.check(wrong(pairing))).toBe('wrong');
    expect(pairing.code).toBe(code);
    expect(pairing.check(wrong(pairing))).toBe('wrong');
    expect(pairing.code).not.toBe(code);
    expect(pairing.check(pairing.code)).toBe('locked');
    expect(events).toEqual([
      { kind: 'pairing_code_changed', code: pairing.code, reason: 'guessing' },
      { kind: 'guessing_locked', until: clock.now() + 30_000 },
    ]);
    clock.advance(30_000);
    expect(pairing.check(pairing.code)).toBe('right');
  });

  test('each lock is twice as long, up to ten minutes; the right code resets it', () => {
    const { pairing, clock } = pair();
    const lockMs = (): number => {
      for (let tries = 0; tries < 10; tries += 1) pairing.check(wrong(pairing));
      const length = pairing.lockedUntil - clock.now();
      clock.advance(length);
      return length;
    };
    expect(Array.from({ length: 8 }, lockMs)).toEqual([
      30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000, 600_000,
    ]);
    expect(pairing.check(pairing.code)).toBe('right');
    expect(lockMs()).toBe(30_000);
  });

  test('of 100,000 wrong codes in an hour, at most a hundred are compared', () => {
    const { pairing, clock, events } = pair();
    let compared = 0;
    for (let tries = 0; tries < 100_000; tries += 1) {
      if (pairing.check('00000000') !== 'locked') compared += 1;
      clock.advance(36);
    }
    expect(compared).toBeGreaterThan(9);
    expect(compared).toBeLessThanOrEqual(100);
    expect(events.length).toBeLessThan(40);
    clock.advance(10 * minute);
    expect(pairing.check(pairing.code)).toBe('right');
  });

  test.each(['', '-', 'x'.repeat(100_000), '\u0000', '💥'.repeat(8)])('strange input (%#) is only wrong', (attempt) => {
    expect(pair().pairing.check(attempt)).toBe('wrong');
  });
});

test('no timer is left after close', () => {
  const { pairing, clock } = pair();
  expect(clock.pending).toBe(1);
  pairing.close();
  expect(clock.pending).toBe(0);
});
