import { expect, test } from 'vitest';
import { createStanding, type Standing } from '../../../src/tunnel/self-probe/standing.ts';

function createWorld(): { standing: Standing; at: { url: string } } {
  const at = { url: 'https://one.example' };
  return { standing: createStanding(() => at.url), at };
}

const states = ({ isVerified, isTrusted }: Standing): [boolean, boolean] => [isVerified(), isTrusted()];

test('nothing is proved before a request has come round, nor held against it', () => {
  const { standing } = createWorld();
  const aim = standing.aim();
  expect([standing.isCurrent(aim), standing.isProved(aim), ...states(standing)]).toEqual([true, false, false, true]);
  standing.reached(aim, []);
  expect([standing.isProved(aim), ...states(standing)]).toEqual([true, true, true]);
});

test('a page that a header skips does not stand in the way of a proof', () => {
  const { standing } = createWorld();
  standing.reached(standing.aim(), [{ kind: 'interstitial', canBeSkipped: true }]);
  expect(states(standing)).toEqual([true, true]);
});

test('what requests with the token show is none', () => {
  const { standing } = createWorld();
  standing.found(standing.aim(), []);
  expect(states(standing)).toEqual([false, true]);
});

test('a proof is of one URL in one connection', () => {
  const { standing, at } = createWorld();
  const aim = standing.aim();
  standing.reached(aim, []);
  at.url = 'https://two.example';
  expect([standing.isCurrent(aim), standing.isProved(aim), standing.isProved(standing.aim())]).toEqual([
    false,
    false,
    false,
  ]);
  at.url = aim.url;
  expect(standing.isProved(standing.aim())).toBe(true);
  standing.changed();
  expect([aim.signal.aborted, standing.isProved(aim), standing.isProved(standing.aim())]).toEqual([true, false, false]);
});

test('what comes late of a connection that is gone changes nothing', () => {
  const { standing } = createWorld();
  const old = standing.aim();
  standing.changed();
  standing.reached(old, []);
  expect(states(standing)).toEqual([false, true]);
  standing.reached(standing.aim(), []);
  standing.found(old, [{ kind: 'wrong_service', status: 200 }]);
  expect(states(standing)).toEqual([true, true]);
});

test('closed, nothing is proved any more', () => {
  const { standing } = createWorld();
  const aim = standing.aim();
  standing.reached(aim, []);
  standing.close();
  expect([aim.signal.aborted, standing.isCurrent(aim), standing.isVerified()]).toEqual([true, false, false]);
});
