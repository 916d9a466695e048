// Agents and relays whose HTTP/2 breaks: whoever waits learns it at once, and the agent dials anew.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fakeRelay } from '../tunnel/relay/fake-relay.ts';
import { frame, frameTypes, headersFrame, hostileAgent, numbersFrame } from '../tunnel/relay/hostile-agent.ts';
import type { World } from '../tunnel/relay/world.ts';
import { ask, echo, eventually, fieldsOf, startWorld, within } from '../tunnel/relay/world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(async () => {
  await world.end();
});

const windowUpdate = 8;
const continuation = 9;

const faults: ReadonlyArray<[string, (streamId: number) => readonly Buffer[]]> = [
  ['a header block that HPACK cannot read', (id) => [frame(frameTypes.headers, 4, id, Buffer.alloc(6, 0xff))]],
  ['an index beyond the table', (id) => [frame(frameTypes.headers, 4, id, Buffer.from([0xbe]))]],
  ['settings of an impossible length', () => [frame(frameTypes.settings, 0, 0, Buffer.from([0, 4, 255]))]],
  ['settings out of range', () => [frame(frameTypes.settings, 0, 0, Buffer.from([0, 4, 255, 255, 255, 255]))]],
  ['settings on a stream', (id) => [frame(frameTypes.settings, 0, id)]],
  ['DATA on stream 0', () => [frame(frameTypes.data, 0, 0, Buffer.from('x'))]],
  ['a reset of a stream that was never opened', () => [numbersFrame(frameTypes.rstStream, 99, [2])]],
  ['an answer on a stream that was never opened', () => [headersFrame(99, [[':status', '200']])]],
  ['CONTINUATION without HEADERS', (id) => [frame(continuation, 4, id, Buffer.from('x'))]],
  ['a frame that is larger than allowed', (id) => [frame(frameTypes.data, 0, id, Buffer.alloc(20_000))]],
  ['GOAWAY with an error', (id) => [numbersFrame(frameTypes.goaway, 0, [id, 2])]],
  ['a window that overflows', () => [numbersFrame(windowUpdate, 0, [0x7fffffff])]],
  ['a window that grows by nothing', () => [numbersFrame(windowUpdate, 0, [0])]],
  ['HTTP/1.1', () => [Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')]],
];

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

describe('what an agent breaks', () => {
  test.each(faults)('%s', async (_what, frames) => {
    const honest = await world.agent(echo);
    // The first request waits for its answer while the second one breaks the connection.
    const agent = await hostileAgent(world.relay.url, (streamId) => (streamId === 1 ? [] : frames(streamId)));
    const closed = new Promise<number>((resolve) => agent.socket.once('close', resolve));
    const replies = await Promise.all([ask(agent.url), ask(agent.url)]);
    expect(replies.map(({ status }) => status)).toEqual([502, 502]);
    expect(fieldsOf(replies[0].body)).toMatchObject({ error: { code: -32052 } });
    expect(await within(closed, 'the WebSocket to be closed')).toBe(4000);
    await eventually(() => world.events.some(({ type }) => type === 'agent_disconnected'), 'the agent to be gone');
    expect((await ask(agent.url)).status).toBe(503);
    expect((await ask(honest.url)).status).toBe(200);
  });

  test('an agent that never answers the close frame is cut off, and its clients do not wait for that', async () => {
    const agent: Awaited<ReturnType<typeof hostileAgent>> = await hostileAgent(world.relay.url, () => {
      agent.socket.pause();
      return [frame(frameTypes.data, 0, 0, Buffer.from('x'))];
    });
    agent.socket.close = () => undefined;
    const reply = await ask(agent.url);
    expect(reply.status).toBe(502);
    await eventually(() => world.events.some(({ type }) => type === 'agent_disconnected'), 'the agent to be gone');
  });

  test('GOAWAY without an error: what is open is answered, what is new is offline, and then it is gone', async () => {
    const agent = await hostileAgent(world.relay.url, (id) =>
      id === 1 ? [] : [numbersFrame(frameTypes.goaway, 0, [id, 0])],
    );
    const first = ask(agent.url);
    await eventually(() => agent.requests.length === 1, 'the first request');
    const second = ask(agent.url);
    await eventually(() => agent.requests.length === 2, 'the second request');
    await eventually(async () => (await ask(agent.url)).status === 503, 'a refusal of what is new');
    for (const id of agent.requests) agent.socket.send(headersFrame(id, [[':status', '204']], true));
    expect((await Promise.all([first, second])).map(({ status }) => status)).toEqual([204, 204]);
    await eventually(() => world.events.some(({ type }) => type === 'agent_disconnected'), 'the agent to be gone');
  });
});

describe('what a relay breaks', () => {
  test.each<[string, readonly Buffer[]]>([
    ['a header block that HPACK cannot read', [frame(frameTypes.headers, 5, 1, Buffer.alloc(6, 0xff))]],
    ['DATA on stream 0', [frame(frameTypes.data, 0, 0, Buffer.from('x'))]],
    ['CONTINUATION without HEADERS', [frame(continuation, 4, 1, Buffer.from('x'))]],
    ['GOAWAY with an error', [numbersFrame(frameTypes.goaway, 0, [0, 2])]],
  ])('%s: the agent closes with 4000 and dials anew', async (_what, frames) => {
    const relay = await fakeRelay((socket) => {
      socket.send(Buffer.concat([Buffer.from(preface), frame(frameTypes.settings, 0, 0), ...frames]));
    });
    world.defer(relay.end);
    const agent = await world.agent(echo, { relayUrl: relay.url, random: () => 0 });
    await eventually(() => relay.codes.length > 0, 'the agent to leave');
    expect(relay.codes[0]).toBe(4000);
    await eventually(() => relay.dialled() >= 2, 'the agent to come back');
    expect(agent.statuses[0]).toMatchObject({
      state: 'reconnecting',
      reason: 'the HTTP/2 connection to the relay broke',
    });
  });
});
