import { expect, test } from 'vitest';
import { createUpstreamHealth, type UpstreamHealth } from '../../../src/bridge/restart/upstream-health.ts';
import type { Upstream } from '../../../src/bridge/upstream/upstream.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';
import { notification } from '../messages.ts';

interface Started {
  readonly server: FakeUpstream;
  readonly upstream: Upstream;
  readonly seen: unknown[];
}

function world(): { health: UpstreamHealth; clock: FakeClock; start: () => Started } {
  const clock = createFakeClock();
  const health = createUpstreamHealth({ clock });
  const start = (): Started => {
    const server = createFakeUpstream();
    const upstream = health.watch(server);
    const seen: unknown[] = [];
    upstream.start({
      onMessage: (message, origin) => seen.push(message, origin),
      onLost: ({ reason }) => seen.push(reason),
      onClose: ({ reason }) => seen.push(reason),
    });
    return { server, upstream, seen };
  };
  return { health, clock, start };
}

const word = notification('notifications/message');

test('nothing is known before anybody has said anything', () => {
  const { health, start } = world();
  expect(health.report()).toEqual({
    state: 'unknown',
    children: 0,
    restarts: 0,
    lastHeardAt: undefined,
    failedAt: undefined,
  });
  start();
  health.watch(createFakeUpstream());
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
  health.restarted();
  health.restarted();
  expect(health.report().restarts).toBe(2);
});

test('the upstream is the same for whoever uses it', () => {
  const { start } = world();
  const { server, upstream, seen } = start();
  upstream.send(word);
  upstream.pause();
  server.say(word, 5);
  server.lose({ reason: 'lost' });
  server.die({ reason: 'dead' });
  expect([server.sent.length, server.paused, seen]).toEqual([1, true, [word, 5, 'lost', 'dead']]);
});
