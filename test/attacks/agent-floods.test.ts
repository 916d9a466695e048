// Agents that make the relay work: each is sent away, and no other agent's clients notice.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { frame, frameTypes, headFrame, hostileAgent, lastData, numberFrame } from '../tunnel/relay/hostile-agent.ts';
import type { World } from '../tunnel/relay/world.ts';
import { ask, echo, eventually, inTurn, startWorld, within } from '../tunnel/relay/world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(async () => {
  await world.end();
});

const ok = { status: 200, headers: [] };

interface Flood {
  readonly what: string;
  /** Sent once. */
  readonly first?: (streamId: number) => readonly Buffer[];
  /** Sent again and again. */
  readonly frame: (streamId: number) => Buffer;
}

const floods: readonly Flood[] = [
  { what: 'data that is empty', first: (id) => [headFrame(id, ok)], frame: (id) => frame(frameTypes.data, id) },
  { what: 'data of a byte', first: (id) => [headFrame(id, ok)], frame: (id) => frame(frameTypes.data, id, 'x') },
  {
    what: 'data of 63 bytes',
    first: (id) => [headFrame(id, ok)],
    frame: (id) => frame(frameTypes.data, id, 'x'.repeat(63)),
  },
  { what: 'windows of nothing', frame: (id) => numberFrame(frameTypes.window, id, 0) },
  {
    what: 'resets of a stream that is over',
    first: (id) => [headFrame(id, ok), lastData(id)],
    frame: (id) => numberFrame(frameTypes.reset, id, 0),
  },
  {
    what: 'windows of a stream that is over',
    first: (id) => [headFrame(id, ok), lastData(id)],
    frame: (id) => numberFrame(frameTypes.window, id, 1_000_000),
  },
  {
    what: 'data for a stream that is over',
    first: (id) => [headFrame(id, ok), lastData(id)],
    frame: (id) => lastData(id, 'x'),
  },
  {
    what: 'heads for a stream that is over',
    first: (id) => [headFrame(id, ok), lastData(id)],
    frame: (id) => headFrame(id, ok),
  },
  { what: 'frames of a type that nobody knows', frame: () => frame(9, 0, 'x') },
  { what: 'empty frames of a type that nobody knows', frame: () => frame(0xff, 0) },
];

/** More than any budget has. */
const floodFrames = 60_000;

describe('floods', () => {
  test.each(floods.map((flood) => [flood.what, flood] as const))('%s', async (_what, { first, frame: repeated }) => {
    const honest = await world.agent(echo);
    const agent = await hostileAgent(world.relay.url, () => []);
    const closed = new Promise<number>((resolve) => agent.socket.once('close', resolve));
    const waiting = ask(agent.url).then(
      ({ status }) => status,
      () => 'broken off',
    );
    const [id] = await eventually(() => agent.requests.length > 0 && agent.requests, 'a request');
    for (const bytes of first?.(id ?? 1) ?? []) agent.socket.send(bytes);
    const bytes = repeated(id ?? 1);
    const perMessage = Math.max(1, Math.floor(200_000 / bytes.length));
    const message = Buffer.concat(Array.from({ length: perMessage }, () => bytes));
    const statuses = await inTurn(Array.from({ length: floodFrames / perMessage }), async () => {
      if (agent.socket.readyState !== agent.socket.OPEN) return 200;
      agent.socket.send(message);
      return (await ask(honest.url)).status;
    });
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(await within(closed, 'the agent to be sent away')).toBe(4000);
    // Where its response had come, the client has that.
    expect([200, 502, 'broken off']).toContain(await waiting);
    const gone = await eventually(
      () => world.events.find((event) => event.type === 'agent_disconnected'),
      'the agent to be gone',
    );
    expect(gone).toMatchObject({ reason: 'too many frames with little or no content' });
    expect((await ask(honest.url)).status).toBe(200);
    // Nobody else was sent away.
    expect(world.events.filter((event) => event.type === 'agent_disconnected')).toHaveLength(1);
  });
});

test('an agent that answers thousands of requests with large heads goes on', async () => {
  const agent = await world.agent((request, response) => {
    request.resume();
    response.writeHead(200, { 'x-large': 'a'.repeat(700) });
    response.end('ok');
  });
  const statuses = await inTurn(Array.from({ length: 40 }), async () => {
    const replies = await Promise.all(Array.from({ length: 50 }, async () => await ask(agent.url)));
    return replies.every(({ status }) => status === 200);
  });
  expect(statuses).not.toContain(false);
});
