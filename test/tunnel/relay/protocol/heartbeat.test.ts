import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { createHeartbeat, type HeartbeatSocket } from '../../../../src/tunnel/relay/protocol/heartbeat.ts';
import { createFakeClock } from '../../../harness/fake-clock.ts';

const agentMs = 15_000;
const relayMs = 20_000;

/** A socket whose pings the peer does not answer, unless it has one. */
class FakeSocket extends EventEmitter implements HeartbeatSocket {
  readonly OPEN = 1;
  readyState = 1;
  pings = 0;
  readonly deaths: string[] = [];
  peer: FakeSocket | undefined;

  ping(): void {
    this.pings += 1;
    this.peer?.emit('ping');
    if (this.peer !== undefined) this.emit('pong');
  }

  readonly onDead = (reason: string): void => {
    this.deaths.push(reason);
  };
}

function start(intervalMs = agentMs) {
  const clock = createFakeClock();
  const heartbeat = createHeartbeat({ clock, intervalMs });
  const socket = new FakeSocket();
  heartbeat.watch(socket, socket.onDead);
  return { clock, heartbeat, socket };
}

/** Both ends of a connection, until `cut`. */
function startPair() {
  const { clock, socket: agent } = start();
  const relay = new FakeSocket();
  createHeartbeat({ clock, intervalMs: relayMs }).watch(relay, relay.onDead);
  agent.peer = relay;
  relay.peer = agent;
  const cut = (): void => {
    agent.peer = undefined;
    relay.peer = undefined;
  };
  return { clock, agent, relay, cut };
}

test('the agent pings every 15 s, and the relay does not while the agent does', () => {
  const { clock, agent, relay } = startPair();
  clock.advance(600_000);
  expect([agent.pings, relay.pings]).toEqual([40, 0]);
  expect([agent.deaths, relay.deaths]).toEqual([[], []]);
});

test('an agent that never pings is pinged by the relay every 20 s', () => {
  const { clock, socket } = start(relayMs);
  socket.peer = new FakeSocket();
  clock.advance(600_000);
  expect(socket.pings).toBe(30);
  expect(socket.deaths).toEqual([]);
});

test.each([0, 300, 14_700, 15_000])('both ends notice a connection that is cut at %i ms within 35 s', (cutAt) => {
  const { clock, agent, relay, cut } = startPair();
  clock.advance(cutAt);
  // The last that either end hears.
  for (const socket of [agent, relay]) socket.emit('message');
  cut();
  clock.advance(33_999);
  expect([agent.deaths, relay.deaths]).toEqual([[], []]);
  clock.advance(1_001);
  expect([agent.deaths.length, relay.deaths.length]).toEqual([1, 1]);
  expect(clock.pending).toBe(0);
});

test('an end that hears much goes on to ping: the peer may hear nothing', () => {
  const { clock, socket } = start();
  for (let second = 0; second < 60; second += 1) {
    clock.advance(1000);
    socket.emit('message');
  }
  expect(socket.pings).toBe(4);
  expect(socket.deaths).toEqual([]);
});

test('dead after 35 s without a sign of life, once, and no timer is left', () => {
  const { clock, socket } = start();
  clock.advance(34_000);
  expect(socket.deaths).toEqual([]);
  clock.advance(1000);
  expect(socket.deaths).toEqual(['nothing was heard from the other end for 35 s']);
  clock.advance(100_000);
  expect(socket.deaths).toHaveLength(1);
  expect(clock.pending).toBe(0);
});

test('a timer that comes 70 s late means that the machine slept', () => {
  const { clock, socket } = start();
  clock.jump(71_000);
  expect(socket.deaths).toEqual(['this machine slept']);
  expect(clock.pending).toBe(0);
});

test.each([agentMs, relayMs])(
  'a process that was busy for 40 s gives the peer another chance (%i ms)',
  (intervalMs) => {
    const { clock, socket } = start(intervalMs);
    clock.jump(40_000);
    expect(socket.deaths).toEqual([]);
    clock.advance(40_000);
    expect(socket.deaths).toHaveLength(1);
  },
);

test('a clock that is set back changes nothing: pings go on, and silence is noticed', () => {
  const { clock, socket } = start();
  clock.advance(10_000);
  clock.setBack(30 * 24 * 3_600_000);
  clock.advance(20_000);
  expect(socket.pings).toBeGreaterThan(0);
  clock.advance(10_000);
  expect(socket.deaths).toHaveLength(1);
});

test('a clock that is set forward by days looks like sleep, which costs a dial', () => {
  const { clock, socket } = start();
  clock.jump(30 * 24 * 3_600_000);
  expect(socket.deaths).toEqual(['this machine slept']);
});

test('a socket that is closing is not pinged', () => {
  const { clock, socket } = start();
  socket.readyState = 2;
  clock.advance(20_000);
  expect(socket.pings).toBe(0);
});

test('a closed socket is forgotten, the others are not, and the last leaves no timer', () => {
  const { clock, heartbeat, socket } = start();
  const other = new FakeSocket();
  clock.advance(10_000);
  heartbeat.watch(other, other.onDead);
  socket.emit('close');
  clock.advance(20_000);
  expect([socket.pings, other.pings]).toEqual([0, 1]);
  other.emit('close');
  expect(clock.pending).toBe(0);
  clock.advance(60_000);
  const last = new FakeSocket();
  heartbeat.watch(last, last.onDead);
  clock.advance(36_000);
  expect([socket.deaths.length, other.deaths.length]).toEqual([0, 0]);
  expect(last.deaths).toEqual(['nothing was heard from the other end for 35 s']);
});
