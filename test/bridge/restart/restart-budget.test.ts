import { describe, expect, test } from 'vitest';
import { RestartBudget } from '../../../src/bridge/restart/restart-budget.ts';
import type { UpstreamEnd } from '../../../src/bridge/upstream/upstream.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';

function world(): { budget: RestartBudget; clock: FakeClock } {
  const clock = createFakeClock();
  return { budget: new RestartBudget(clock), clock };
}

const end = (code: UpstreamEnd['code'], retryAfterMs = 0): UpstreamEnd => ({
  reason: 'it was so',
  code,
  stderr: '',
  retryAfterMs,
});
const exited = end('upstream_exited');

describe('the fifth end within a minute is the last', () => {
  test.each([
    ['upstream_exited', true, 'the server ended'],
    ['upstream_exited', false, 'the server ended'],
    ['upstream_not_started', false, 'the server ended'],
    ['upstream_session_lost', true, 'the connection was lost'],
    ['upstream_unreachable', true, 'the connection was lost'],
    ['upstream_refused', true, 'the connection was lost'],
  ] as const)('with %s, usable: %s', (code, wasUsable, what) => {
    const { budget } = world();
    const verdicts = Array.from({ length: 5 }, () => budget.spend(end(code), wasUsable));
    expect(verdicts).toEqual([
      ...Array.from({ length: 4 }),
      `${what} 5 times within a minute, the last time: it was so`,
    ]);
  });

  test.each(['upstream_unreachable', 'upstream_refused'] as const)('but not of attempts with %s', (code) => {
    const { budget } = world();
    for (let i = 0; i < 20; i++) expect(budget.spend(end(code), false)).toBeUndefined();
  });

  test('but not when the first of them is a minute ago', () => {
    const { budget, clock } = world();
    budget.spend(exited, true);
    clock.advance(60_000);
    for (let i = 0; i < 4; i++) expect(budget.spend(exited, true)).toBeUndefined();
    expect(budget.spend(exited, true)).toBeDefined();
  });
});

describe('a minute without a usable connection is the end', () => {
  test('counted from the last one', () => {
    const { budget, clock } = world();
    clock.advance(100_000);
    expect(budget.spend(exited, true)).toBeUndefined();
    expect(budget.remainingMs()).toBe(60_000);
    clock.advance(59_999);
    expect(budget.spend(end('upstream_unreachable'), false)).toBeUndefined();
    expect(budget.remainingMs()).toBe(1);
    clock.advance(1);
    expect(budget.spend(end('upstream_unreachable'), false)).toBe(
      'the server did not come back, it was tried for 60 s, the last time: it was so',
    );
  });

  test('also when the server asks for a longer wait', () => {
    const { budget } = world();
    expect(budget.spend(end('upstream_unreachable', 59_999), true)).toBeUndefined();
    expect(budget.spend(end('upstream_unreachable', 60_000), true)).toBeDefined();
  });
});
