import { expect, test } from 'vitest';
import type { UpstreamHealthReport } from '../../../src/bridge/restart/upstream-health.ts';
import { createReadinessCheck } from '../../../src/expose/servers/readiness-check.ts';
import { createFakeClock } from '../../harness/fake-clock.ts';

function world(answers: (string | undefined)[] = [], isLifeProof = true, canProbe = true) {
  const clock = createFakeClock();
  let report: UpstreamHealthReport = {
    state: 'unknown',
    children: 0,
    restarts: 0,
    lastHeardAt: undefined,
    failedAt: undefined,
  };
  let probes = 0;
  async function probe(): Promise<void> {
    const failure = answers[probes++];
    if (failure !== undefined) throw new Error(failure);
  }
  const check = createReadinessCheck({
    clock,
    isLifeProof,
    report: () => report,
    probe: canProbe ? probe : undefined,
  });
  return {
    clock,
    check,
    probes: () => probes,
    know: (changes: Partial<UpstreamHealthReport>) => (report = { ...report, ...changes }),
  };
}

test('a server whose connections work is ready, without being asked', async () => {
  const { check, know, probes } = world();
  know({ state: 'up', children: 1 });
  expect([await check(), probes()]).toEqual([{ status: 'ready' }, 0]);
});

test('so is one that has answered a while ago, when nothing has happened since', async () => {
  const { check, know, probes, clock } = world();
  know({ children: 1, lastHeardAt: clock.now() });
  clock.advance(50_000);
  expect([await check(), probes()]).toEqual([{ status: 'ready' }, 0]);
});

test('one that cannot be asked is what was known last', async () => {
  const { check, know, clock } = world([], true, false);
  expect(await check()).toEqual({ status: 'ready' });
  know({ state: 'down', reason: 'gone', failedAt: clock.now() });
  clock.advance(3_600_000);
  expect(await check()).toEqual({ status: 'down', reason: 'gone' });
});

test('one that has just failed is down, without being asked', async () => {
  const { check, know, probes, clock } = world();
  know({ state: 'down', reason: 'the server exited with code 1', failedAt: clock.now() });
  expect([await check(), probes()]).toEqual([{ status: 'down', reason: 'the server exited with code 1' }, 0]);
});

test('one of which nothing is known any more is asked, once for all who want to know', async () => {
  const { check, know, probes, clock } = world([undefined, 'nobody there']);
  know({ lastHeardAt: clock.now() });
  clock.advance(61_000);
  expect(await Promise.all([check(), check(), check()])).toEqual(
    Array.from({ length: 3 }, () => ({ status: 'ready' })),
  );
  expect([await check(), probes()]).toEqual([{ status: 'ready' }, 1]);
  clock.advance(6000);
  expect([await check(), probes()]).toEqual([{ status: 'down', reason: 'nobody there' }, 2]);
});

test('one that failed a while ago is asked, too: it may have got well', async () => {
  const { check, know, probes, clock } = world();
  know({ state: 'down', reason: 'gone', failedAt: clock.now() });
  clock.advance(3000);
  expect([await check(), probes()]).toEqual([{ status: 'ready' }, 1]);
});

test('one whose connections prove nothing is asked, unless it has answered a moment ago', async () => {
  const { check, know, probes, clock } = world(['nobody there'], false);
  know({ state: 'up', children: 1, lastHeardAt: clock.now() });
  expect([await check(), probes()]).toEqual([{ status: 'ready' }, 0]);
  clock.advance(3000);
  expect([await check(), probes()]).toEqual([{ status: 'down', reason: 'nobody there' }, 1]);
});
