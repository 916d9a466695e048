// A relay that talks without end: the agent's user is shown a little of it, and how much there was.
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFakeClock } from '../harness/fake-clock.ts';
import { fakeRelay } from '../tunnel/relay/fake-relay.ts';
import type { World } from '../tunnel/relay/world.ts';
import { echo, eventually, startWorld, within } from '../tunnel/relay/world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(async () => {
  await world.end();
});

test('of 5,000 notices ten are shown, and one line says how many there were', async () => {
  const clock = createFakeClock();
  let heard: Promise<unknown> | undefined;
  const relay = await fakeRelay((socket) => {
    for (let count = 0; count < 5_000; count += 1) {
      socket.send(JSON.stringify({ type: 'notice', kind: 'chatter', message: `notice ${count}` }));
    }
    // The pong comes when all that was sent before has been read.
    heard = once(socket, 'pong');
    socket.ping();
  });
  world.defer(relay.end);
  const agent = await world.agent(echo, { relayUrl: relay.url, clock });
  await within(heard ?? Promise.resolve(), 'the agent to have heard all of it');
  expect(agent.warnings).toHaveLength(10);
  expect(agent.warnings[9]).toMatch(/^the relay says: notice \d+$/);
  clock.advance(10_000);
  await eventually(() => agent.warnings.length === 11, 'the count');
  expect(agent.warnings[10]).toMatch(/^the relay said \d{4} more things, which were not shown$/);
});
