import { beforeEach, expect, test } from 'vitest';
import { HostOverrides } from '../../../src/platform/net/host-overrides.ts';
import type { Problem } from '../../../src/tunnel/probe/problem.ts';
import { settle, type Settled } from '../../../src/tunnel/probe/settle.ts';
import { VerificationState } from '../../../src/tunnel/probe/verification-state.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';
import { dead, otherUrl, settle as turn, signal, stranger, url } from './watch-world.ts';

let clock: FakeClock;
let current: string;
let isUp: boolean;
let verification: VerificationState;
/** What the checks find, one after the other; nothing when it is empty. */
let finds: (readonly Problem[])[];
let checked: string[];
beforeEach(() => {
  clock = createFakeClock();
  current = url;
  isUp = true;
  verification = new VerificationState(() => current);
  finds = [];
  checked = [];
});

function begin({ freshNameMs = 0, resolve = [] as string[] } = {}): { result?: Settled | 'none' } {
  const outcome: { result?: Settled | 'none' } = {};
  const check = {
    async reach(target: { readonly url: string }) {
      checked.push(target.url);
      return finds.shift() ?? [];
    },
  };
  const overrides = new HostOverrides(resolve);
  void settle({ check, verification, clock, overrides, freshNameMs, settleMs: 8000, isUp: () => isUp }, signal).then(
    (settled) => (outcome.result = settled ?? 'none'),
  );
  return outcome;
}

async function pass(ms: number): Promise<void> {
  await turn();
  clock.advance(ms);
  await turn();
}

test('a URL that works at once', async () => {
  const outcome = begin();
  await pass(0);
  expect(outcome.result).toEqual({ target: verification.target(), problems: [] });
});

test('a problem that may pass is checked again, one that lasts is not', async () => {
  finds = [[dead], [stranger], []];
  const outcome = begin();
  await pass(1499);
  expect(checked).toHaveLength(1);
  await pass(1);
  expect(checked).toHaveLength(2);
  expect(outcome.result).toMatchObject({ problems: [stranger] });
});

test('a problem that does not pass in time is the result', async () => {
  finds = Array.from({ length: 20 }, () => [dead]);
  const outcome = begin();
  for (let step = 0; step < 6; step++) await pass(1500); // oxlint-disable-line no-await-in-loop -- step by step
  expect(outcome.result).toMatchObject({ problems: [dead] });
  expect(checked).toHaveLength(6);
});

test('a new name is not looked up at once, unless its address is given', async () => {
  begin({ freshNameMs: 3000 });
  await pass(2999);
  expect(checked).toEqual([]);
  await pass(1);
  expect(checked).toEqual([url]);
  begin({ freshNameMs: 3000, resolve: ['x.trycloudflare.com:443:192.0.2.1'] });
  await pass(0);
  expect(checked).toEqual([url, url]);
});

test('starts anew when the tunnel changes, and ends without a result when it goes down', async () => {
  finds = [[dead]];
  const outcome = begin();
  await pass(0);
  current = otherUrl;
  verification.changed();
  await pass(0);
  expect(checked).toEqual([url, otherUrl]);
  expect(outcome.result).toMatchObject({ target: { url: otherUrl }, problems: [] });

  finds = [[dead]];
  const second = begin();
  await pass(0);
  isUp = false;
  verification.changed();
  await pass(0);
  expect(second.result).toBe('none');
});
