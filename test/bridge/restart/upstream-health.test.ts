import { expect, test } from 'vitest';
import type { UpstreamHealth } from '../../../src/bridge/restart/upstream-health.ts';
import type { Upstream } from '../../../src/bridge/upstream/upstream.ts';
import type { FakeClock } from '../../harness/fake-clock.ts';
import type { FakeUpstream } from '../fake-upstream.ts';
import { notification } from '../messages.ts';
import { managedWorld, use } from './managed-world.ts';

interface Started {
  readonly server: FakeUpstream;
  readonly upstream: Upstream;
}

function world(): { health: UpstreamHealth; clock: FakeClock; start: () => Started; connect: () => Upstream } {
  const { health, clock, made, connect } = managedWorld();
  const start = (): Started => {
    const upstream = connect();
    use(upstream);
    const server = made.at(-1);
    if (server === undefined) throw new Error('no connection was made');
    return { server, upstream };
  };
  return { health, clock, start, connect };
}

const word = notification('notifications/message');

test('nothing is known before anybody has said anything', () => {
  const { health, start, connect } = world();
  expect(health.report()).toEqual({
    state: 'unknown',
    children: 0,
    restarts: 0,
    lastHeardAt: undefined,
    failedAt: undefined,
  });
  start();
  connect();
  expect(health.report()).toEqual({
    state: 'unknown',
    children: 1,
    restarts: 0,
    lastHeardAt: undefined,
    failedAt: undefined,
  });
});

test('it is up as soon as one has said something, and remembers when', () => {
  const { health, clock, start } = world();
  start();
  start().server.say(word);
  const at = clock.now();
  clock.advance(5000);
  expect(health.report()).toEqual({ state: 'up', children: 2, restarts: 0, lastHeardAt: at, failedAt: undefined });
});

test('it is down from an end that nobody asked for, until one that began later is heard', () => {
  const { health, clock, start } = world();
  const failedAt = clock.now();
  const [older, first, second] = [start(), start(), start()];
  first.server.say(word);
  second.server.say(word);
  first.server.die({ reason: 'the server exited with code 3' });
  const down = { state: 'down', reason: 'the server exited with code 3', children: 2, failedAt };
  expect(health.report()).toMatchObject(down);
  clock.advance(1000);
  older.server.say(word);
  expect(health.report()).toMatchObject(down);
  second.server.say(word);
  expect(health.report()).toMatchObject({ state: 'up', children: 2, failedAt });
  expect(health.report()).not.toHaveProperty('reason');
});

test('it is down when one ends that has never said anything', () => {
  const { health, start } = world();
  start().server.die();
  expect(health.report()).toMatchObject({ state: 'down', children: 0 });
});

test('an end of ours proves nothing, nor what is said on the way there', async () => {
  const { health, start } = world();
  const { server, upstream } = start();
  server.say(word);
  server.say(word);
  await upstream.close();
  expect(health.report()).toMatchObject({ state: 'unknown', children: 0 });
  const other = start();
  start().server.die();
  const closing = other.upstream.close();
  other.server.say(word);
  await closing;
  expect(health.report().state).toBe('down');
});

test('restarts are counted', () => {
  const { health } = world();
  health.restarts += 2;
  expect(health.report().restarts).toBe(2);
});
