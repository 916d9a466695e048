import { beforeEach, expect, test } from 'vitest';
import type { Problem } from '../../../src/tunnel/probe/problem.ts';
import { TargetCheck, type Probe } from '../../../src/tunnel/probe/target-check.ts';
import { VerificationState } from '../../../src/tunnel/probe/verification-state.ts';
import { dead, down, late, signal, url } from './watch-world.ts';

let asked: string[];
let finds: Partial<Record<keyof Probe, readonly Problem[]>>;
let verification: VerificationState;
let check: TargetCheck;
beforeEach(() => {
  asked = [];
  finds = {};
  verification = new VerificationState(() => url);
  const ask = (what: keyof Probe) => async () => {
    asked.push(what);
    return finds[what] ?? [];
  };
  const probe: Probe = { reach: ask('reach'), streams: ask('streams'), enter: ask('enter'), look: ask('look') };
  check = new TargetCheck(probe, verification);
});

test('the token goes to no target before a request without it has come back', async () => {
  const target = verification.target();
  expect(await check.enter(target, signal)).toEqual([]);
  expect(await check.look(target, signal)).toEqual([]);
  expect(asked).toEqual([]);
  await check.reach(target, false, signal);
  await check.enter(target, signal);
  await check.look(target, signal);
  expect(asked).toEqual(['reach', 'enter', 'look']);
});

test('nor to one that no longer leads here', async () => {
  const target = verification.target();
  await check.reach(target, false, signal);
  finds = { reach: [dead] };
  await check.reach(target, false, signal);
  await check.look(target, signal);
  expect(asked).toEqual(['reach', 'reach']);
});

test('streams are checked only where a request comes through', async () => {
  const target = verification.target();
  finds = { streams: [late] };
  expect(await check.reach(target, true, signal)).toEqual([late]);
  finds = { reach: [dead] };
  expect(await check.reach(target, true, signal)).toEqual([dead]);
  expect(asked).toEqual(['reach', 'streams', 'reach']);
});

test('a session counts as opened when it reached the server, for this connection', async () => {
  const target = verification.target();
  await check.reach(target, false, signal);
  finds = { enter: [{ kind: 'token_lost' }] };
  await check.enter(target, signal);
  expect(check.hasEntered(target)).toBe(false);
  finds = { enter: [down] };
  await check.enter(target, signal);
  expect(check.hasEntered(target)).toBe(true);
  verification.changed();
  expect(check.hasEntered(verification.target())).toBe(false);
});

test('an aborted check shows nothing', async () => {
  const target = verification.target();
  await check.reach(target, false, AbortSignal.abort());
  expect(verification.isVerified(target)).toBe(false);
});
