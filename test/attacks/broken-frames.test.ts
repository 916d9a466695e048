// Agents and relays whose frames break the protocol: whoever waits learns it at once, and the agent dials anew.
import { once } from 'node:events';
import { get } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fakeRelay } from '../tunnel/relay/fake-relay.ts';
import {
  endFlag,
  frame,
  frameTypes,
  headFrame,
  hostileAgent,
  lastData,
  numberFrame,
} from '../tunnel/relay/hostile-agent.ts';
import type { World } from '../tunnel/relay/world.ts';
import { ask, echo, eventually, fieldsOf, headOf, startWorld, within } from '../tunnel/relay/world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(async () => {
  await world.end();
});

const ok = { status: 200, headers: [] };
const largestWindow = 512 * 1024;

/** What both ends refuse, and what they say of it. Nobody has opened the streams 0 and 99. */
const common: ReadonlyArray<[string, (streamId: number) => readonly Buffer[], RegExp]> = [
  ['a head of more than 65,528 bytes', (id) => [headFrame(id, Buffer.alloc(65_529, ' '))], /a frame of 65529 bytes/],
  [
    'the beginning of a head of 16 MB',
    (id) => [frame(frameTypes.head, id, '', 0xff_ffff)],
    /a frame of 16777215 bytes/,
  ],
  ['a frame of 16 MB of a type that nobody knows', () => [frame(9, 0, '', 0xff_ffff)], /a frame of 16777215 bytes/],
  ['data in stream 0', () => [frame(frameTypes.data, 0, 'x')], /the stream 0, which was not opened/],
  ['data in a stream that was never opened', () => [lastData(99, 'x')], /the stream 99, which was not opened/],
  ['a reset of a stream that was never opened', () => [numberFrame(frameTypes.reset, 99, 2)], /the stream 99, which/],
  ['a window of a stream that was never opened', () => [numberFrame(frameTypes.window, 99, 1)], /the stream 99, which/],
  ['a reset without a number', (id) => [frame(frameTypes.reset, id)], /a frame of type 3 has 0 bytes/],
  [
    'a reset with a number of three bytes',
    (id) => [frame(frameTypes.reset, id, 'abc')],
    /a frame of type 3 has 3 bytes/,
  ],
  ['a window of five bytes', (id) => [frame(frameTypes.window, id, 'abcde')], /a frame of type 4 has 5 bytes/],
  ['a window for what was not sent', (id) => [numberFrame(frameTypes.window, id, 1)], /window of the stream/],
  ['the largest window', (id) => [numberFrame(frameTypes.window, id, 0xffff_ffff)], /window of the stream/],
  ['HTTP/1.1', () => [Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')], /that is not data/],
  ['HTTP/2', () => [Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')], /that is not data/],
];

const faults: typeof common = [
  ...common,
  ['a response in a stream that was never opened', () => [headFrame(99, ok)], /the stream 99, which was not opened/],
  ['a response in stream 0', () => [headFrame(0, ok)], /the stream 0, which was not opened/],
  ['a second head', (id) => [headFrame(id, ok), headFrame(id, ok)], /a second head/],
  [
    'a head after data',
    (id) => [headFrame(id, ok), frame(frameTypes.data, id, 'x'), headFrame(id, ok)],
    /a second head/,
  ],
  ['data before the head', (id) => [frame(frameTypes.data, id, 'x')], /data outside the body/],
  ['the end before the head', (id) => [lastData(id)], /data outside the body/],
];

describe('what an agent breaks', () => {
  test.each(faults)('%s', async (_what, messages, reason) => {
    const honest = await world.agent(echo);
    // The first request waits for its response while the second one breaks the connection.
    const agent = await hostileAgent(world.relay.url, (streamId) => (streamId === 1 ? [] : messages(streamId)));
    const closed = once(agent.socket, 'close');
    const first = ask(agent.url);
    await eventually(() => agent.requests.length === 1, 'the first request');
    const second = ask(agent.url).then(
      ({ status }) => status,
      () => 'broken off',
    );
    const { status, body } = await first;
    expect([status, fieldsOf(body)]).toMatchObject([502, { error: { code: -32052 } }]);
    // Where a head had come, the client may have that.
    expect([502, 'broken off']).toContain(await second);
    expect(await within(closed, 'the WebSocket to be closed')).toEqual([4000, expect.any(Buffer)]);
    expect(String((await closed)[1])).toMatch(reason);
    await eventually(() => world.events.some(({ type }) => type === 'agent_disconnected'), 'the agent to be gone');
    expect((await ask(agent.url)).status).toBe(503);
    expect((await ask(honest.url)).status).toBe(200);
  });

  test.each([
    ['in one frame', (id: number) => [frame(frameTypes.data, id, Buffer.alloc(200_000), 0xff_ffff)]],
    ['in many', (id: number) => [frame(frameTypes.data, id, Buffer.alloc(200_000))]],
  ])('more data than a client that does not read has a window for, %s', async (_what, begin) => {
    const honest = await world.agent(echo);
    const agent = await hostileAgent(world.relay.url, (id) => [headFrame(id, ok), ...begin(id)]);
    const closed = once(agent.socket, 'close');
    const request = get(agent.url, { agent: false });
    request.on('error', () => undefined);
    const response = await headOf(request);
    response.on('error', () => undefined).pause();
    const isOneFrame = begin(1).length === 1 && begin(1)[0]?.readUIntBE(0, 3) === 0xff_ffff;
    const more = isOneFrame ? Buffer.alloc(200_000) : frame(frameTypes.data, 1, Buffer.alloc(200_000));
    // The buffers of the system take a few megabytes.
    for (let count = 0; count < 75; count += 1) agent.socket.send(more);
    expect(await within(closed, 'the WebSocket to be closed')).toEqual([
      4000,
      Buffer.from('more data in the stream 1 than its window allows'),
    ]);
    expect((await ask(honest.url)).status).toBe(200);
    request.destroy();
  });

  test('an agent that never answers the close frame is cut off, and its clients do not wait for that', async () => {
    const agent: Awaited<ReturnType<typeof hostileAgent>> = await hostileAgent(world.relay.url, () => {
      agent.socket.pause();
      return [frame(frameTypes.data, 0, 'x')];
    });
    agent.socket.close = () => undefined;
    const reply = await ask(agent.url);
    expect(reply.status).toBe(502);
    await eventually(() => world.events.some(({ type }) => type === 'agent_disconnected'), 'the agent to be gone');
  });

  test('half a frame, and nothing more: its client waits as for any silent agent, and for no longer than that', async () => {
    const agent = await hostileAgent(world.relay.url, (id) => [headFrame(id, ok).subarray(0, 12)]);
    const reply = ask(agent.url);
    await eventually(() => agent.requests.length === 1, 'the request');
    agent.socket.terminate();
    expect((await reply).status).toBe(502);
  });
});

test('an agent that leaves: what is open is answered, what is new is offline', async () => {
  const agent = await hostileAgent(world.relay.url, () => []);
  world.defer(() => agent.socket.terminate());
  const waiting = [ask(agent.url), ask(agent.url)];
  await eventually(() => agent.requests.length === 2, 'the requests');
  agent.socket.send('{"type":"goaway"}');
  await eventually(async () => (await ask(agent.url)).status === 503, 'a refusal of what is new');
  for (const id of agent.requests) agent.socket.send(headFrame(id, { status: 204, headers: [] }, true));
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([204, 204]);
  expect(agent.requests).toHaveLength(2);
});

const head = (id: number, isEnd = true): Buffer =>
  headFrame(id, { method: 'GET', path: '/', headers: ['host', 'x'] }, isEnd);

describe('what a relay breaks', () => {
  const broken: ReadonlyArray<[string, readonly Buffer[], RegExp]> = [
    ...common.map(([what, messages, reason]): [string, Buffer[], RegExp] => [
      what,
      [head(1, false), ...messages(1)],
      reason,
    ]),
    ['a stream that is opened twice', [head(1, false), head(1)], /the stream 1 was opened twice/],
    ['a stream 0', [head(0)], /the stream 0 was opened twice/],
    ['an id that falls', [head(5), head(3)], /the stream 3 was opened twice/],
    ['data after the end', [head(1), frame(frameTypes.data, 1, 'x')], /data outside the body/],
    [
      'more data than a window has',
      [head(1, false), ...Array.from({ length: largestWindow / 65_536 + 1 }, () => frame(2, 1, Buffer.alloc(65_536)))],
      /more data in the stream 1 than its window allows/,
    ],
  ];

  test.each(broken)('%s: the agent closes with 4000 and dials anew', async (_what, messages, reason) => {
    const relay = await fakeRelay((socket) => {
      for (const message of messages) socket.send(message);
    });
    world.defer(relay.end);
    // It reads no bodies, and never responds.
    const agent = await world.agent(() => undefined, { relayUrl: relay.url, random: () => 0 });
    await eventually(() => relay.codes.length > 0, 'the agent to leave');
    expect(relay.codes[0]).toBe(4000);
    await eventually(() => relay.dialled() >= 2, 'the agent to come back');
    expect(agent.statuses[0]?.state).toBe('reconnecting');
    expect(agent.statuses[0]?.reason).toMatch(/^the relay broke the tunnel protocol: /);
    expect(agent.statuses[0]?.reason).toMatch(reason);
  });

  test('heads that are none are reset, and types that nobody knows are passed over', async () => {
    let id = 0;
    const received: Buffer[] = [];
    const relay = await fakeRelay((socket) => {
      socket.on('message', (data: Buffer, isBinary) => {
        if (isBinary) received.push(data);
      });
      for (const bytes of ['', 'GET / HTTP/1.1', '[]', '{"method":1,"path":"/","headers":[]}']) {
        socket.send(headFrame((id += 1), bytes, true));
      }
      for (const type of [0, 5, 0x7f, endFlag]) socket.send(frame(type, 99, 'later'));
      socket.send(head((id += 1)));
    });
    world.defer(relay.end);
    await world.agent(echo, { relayUrl: relay.url });
    const text = await eventually(() => {
      const all = Buffer.concat(received);
      return all.includes('"url":"/"') && all;
    }, 'a response');
    for (const stream of [1, 2, 3, 4]) expect(text.includes(numberFrame(frameTypes.reset, stream, 2))).toBe(true);
    expect(relay.codes).toEqual([]);
  });
});
