import { expect, test } from 'vitest';
import { VerificationState } from '../../../src/tunnel/probe/verification-state.ts';

function createWorld(): { verification: VerificationState; at: { url: string } } {
  const at = { url: 'https://one.example' };
  return { verification: new VerificationState(() => at.url), at };
}

const states = (state: VerificationState): [boolean, boolean] => [state.isVerified(), state.isTrusted()];

test('nothing is proved before a request has come round, nor held against it', () => {
  const { verification } = createWorld();
  const target = verification.target();
  expect([verification.isCurrent(target), verification.isVerified(target), ...states(verification)]).toEqual([
    true,
    false,
    false,
    true,
  ]);
  verification.recordReach(target, []);
  expect([verification.isVerified(target), ...states(verification)]).toEqual([true, true, true]);
});

test('a page that a header skips does not stand in the way of a proof', () => {
  const { verification } = createWorld();
  verification.recordReach(verification.target(), [{ kind: 'interstitial', canBeSkipped: true }]);
  expect(states(verification)).toEqual([true, true]);
});

test('what requests with the token show is none', () => {
  const { verification } = createWorld();
  verification.record(verification.target(), []);
  expect(states(verification)).toEqual([false, true]);
});

test('a proof is of one URL in one connection', () => {
  const { verification, at } = createWorld();
  const target = verification.target();
  verification.recordReach(target, []);
  at.url = 'https://two.example';
  expect([
    verification.isCurrent(target),
    verification.isVerified(target),
    verification.isVerified(verification.target()),
  ]).toEqual([false, false, false]);
  at.url = target.url;
  expect(verification.isVerified(verification.target())).toBe(true);
  verification.changed();
  expect([
    target.signal.aborted,
    verification.isVerified(target),
    verification.isVerified(verification.target()),
  ]).toEqual([true, false, false]);
});

test('what comes late of a connection that is gone changes nothing', () => {
  const { verification } = createWorld();
  const old = verification.target();
  verification.changed();
  verification.recordReach(old, []);
  expect(states(verification)).toEqual([false, true]);
  verification.recordReach(verification.target(), []);
  verification.record(old, [{ kind: 'wrong_service', status: 200 }]);
  expect(states(verification)).toEqual([true, true]);
});

test('closed, nothing is proved any more', () => {
  const { verification } = createWorld();
  const target = verification.target();
  verification.recordReach(target, []);
  verification.close();
  expect([target.signal.aborted, verification.isCurrent(target), verification.isVerified()]).toEqual([
    true,
    false,
    false,
  ]);
});
