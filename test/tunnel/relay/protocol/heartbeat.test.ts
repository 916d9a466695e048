import { expect, test } from 'vitest';
import { createHeartbeat } from '../../../../src/tunnel/relay/protocol/heartbeat.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';

function start() {
  const clock = createFakeClock();
  const state = { pings: 0, paused: false, deaths: [] as string[] };
  const heartbeat = createHeartbeat({
    clock,
    ping: () => {
      state.pings += 1;
    },
    isPaused: () => state.paused,
    onDead: (reason) => state.deaths.push(reason),
  });
  return { clock, state, heartbeat };
}

test('pings every 15 s', () => {
  const { clock, state, heartbeat } = start();
  for (let second = 0; second < 60; second += 1) {
    clock.advance(1000);
    heartbeat.touch();
  }
  expect(state.pings).toBe(4);
  expect(state.deaths).toEqual([]);
});

test('dead after 35 s without a sign of life, once, and no timer is left', () => {
  const { clock, state } = start();
  clock.advance(34_000);
  expect(state.deaths).toEqual([]);
  clock.advance(1000);
  expect(state.deaths).toEqual(['nothing was heard from the other end for 35 s']);
  clock.advance(100_000);
  expect(state.deaths).toHaveLength(1);
  expect(clock.pending).toBe(0);
});

test('a timer that comes 70 s late means that the machine slept', () => {
  const { clock, state } = start();
  clock.jump(80_000);
  expect(state.deaths).toEqual(['this machine slept']);
});

test('a process that was busy for 40 s gives the peer another chance', () => {
  const { clock, state } = start();
  clock.jump(40_000);
  expect(state.deaths).toEqual([]);
  clock.advance(40_000);
  expect(state.deaths).toHaveLength(1);
});

test('silence counts for nothing while this end does not read', () => {
  const { clock, state } = start();
  state.paused = true;
  clock.advance(300_000);
  expect(state.deaths).toEqual([]);
  state.paused = false;
  clock.advance(40_000);
  expect(state.deaths).toHaveLength(1);
});

test('a clock that is set back changes nothing: pings go on, and silence is noticed', () => {
  const { clock, state } = start();
  clock.advance(10_000);
  clock.setBack(30 * 24 * 3_600_000);
  clock.advance(20_000);
  expect(state.pings).toBeGreaterThan(0);
  clock.advance(10_000);
  expect(state.deaths).toHaveLength(1);
});

test('a clock that is set forward by days looks like sleep, which costs a dial', () => {
  const { clock, state } = start();
  clock.jump(30 * 24 * 3_600_000);
  expect(state.deaths).toEqual(['this machine slept']);
});

test('close leaves no timer', () => {
  const { clock, heartbeat } = start();
  heartbeat.close();
  expect(clock.pending).toBe(0);
});
