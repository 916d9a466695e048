// Agents that make the relay work: each is sent away, and no other agent's clients notice.
import { once } from 'node:events';
import { get } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { heldBytes } from '../harness/collect-garbage.ts';
import { frame, frameTypes, headFrame, hostileAgent, lastData, numberFrame } from '../tunnel/relay/hostile-agent.ts';
import type { World } from '../tunnel/relay/world.ts';
import { ask, echo, eventually, headOf, inTurn, settled, startWorld, within } from '../tunnel/relay/world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(async () => {
  await world.end();
});

const ok = { status: 200, headers: [] };

const beyondWindow = 'more data in the stream 1 than its window allows';

interface Flood {
  readonly what: string;
  /** Sent once. */
  readonly first?: (streamId: number) => readonly Buffer[];
  /** Sent again and again. */
  readonly frame: (streamId: number) => Buffer;
}

const floods: readonly Flood[] = [
  { what: 'data that is empty', first: (id) => [headFrame(id, ok)], frame: (id) => frame(frameTypes.data, id) },
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

/** More than any budget has, also on a machine that takes ten seconds to read them. */
const floodFrames = 200_000;

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
    // Its window may be used up before.
    const isData = bytes[3] === frameTypes.data && bytes.length > 8;
    const perMessage = Math.max(1, Math.floor(200_000 / bytes.length));
    const message = Buffer.concat(Array.from({ length: perMessage }, () => bytes));
    for (let sent = 0; sent < floodFrames; sent += perMessage) agent.socket.send(message);
    const statuses = await inTurn(Array.from({ length: 10 }), async () => (await ask(honest.url)).status);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(await within(closed, 'the agent to be sent away')).toBe(4000);
    // Where its response had come, the client has that.
    expect([200, 502, 'broken off']).toContain(await waiting);
    const gone = await eventually(
      () => world.events.find((event) => event.type === 'agent_disconnected'),
      'the agent to be gone',
    );
    const reasons = ['too many frames with little or no content', ...(isData ? [beyondWindow] : [])];
    expect(reasons).toContain(gone.type === 'agent_disconnected' && gone.reason);
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

test('pieces of a response that wait for a client do not keep in memory what came with them', async () => {
  const agent = await hostileAgent(world.relay.url, (id) => [headFrame(id, ok)]);
  world.defer(() => agent.socket.terminate());
  const request = get(agent.url, { agent: false });
  request.on('error', () => undefined);
  const response = await headOf(request);
  response.on('error', () => undefined).pause();
  // First, all that the buffers of the system take, and the part of a window that is not needed below.
  let sent = 0;
  const fill = (): number => {
    const windows = agent.frames.filter(({ type }) => type === frameTypes.window);
    const allowed = windows.reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 448 * 1024);
    for (; sent + 65_536 <= allowed; sent += 65_536) agent.socket.send(frame(frameTypes.data, 1, Buffer.alloc(65_536)));
    return sent;
  };
  await settled(fill, 'the client to stall');
  const before = heldBytes();
  // Around a piece of 64 bytes, what fits into one message.
  const filler = frame(9, 0, Buffer.alloc(60_000));
  const message = Buffer.concat([filler, filler, frame(frameTypes.data, 1, Buffer.alloc(64)), filler, filler]);
  await inTurn(Array.from({ length: 15 }), async () => {
    for (let count = 0; count < 10; count += 1) agent.socket.send(message);
    agent.socket.ping();
    await within(once(agent.socket, 'pong'), 'a pong');
  });
  expect(heldBytes() - before).toBeLessThan(16 * 1024 * 1024);
  request.destroy();
});
