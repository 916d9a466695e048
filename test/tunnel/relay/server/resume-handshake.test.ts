// What an agent that says it lost a session gets. Agents speak for themselves here, as another implementation would.
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createIdentity } from '../../../../src/tunnel/relay/protocol/identity.ts';
import { frame } from '../hostile-agent.ts';
import { enter, greet } from '../spoken-agent.ts';
import { ask, echo, eventually, rawAgent, startWorld, within, type World } from '../world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(async () => {
  await world.end();
});

/** Of frames that this version does not know, and ignores. */
const laterType = 9;

const ends = () => world.events.filter((event) => event.type === 'agent_disconnected');

describe('a session is resumed', () => {
  test('by its key: the same session and epoch, and the bytes that the agent has not received', async () => {
    const identity = createIdentity();
    const { agent, session, bytes } = await enter(world, identity);
    agent.socket.send(frame(laterType, 0, 'x'));
    const pong = once(agent.socket, 'pong');
    agent.socket.ping();
    await within(pong, 'a pong');
    agent.socket.terminate();
    const again = await greet(world, identity, { session, received: 10 });
    expect(await again.receive('welcome')).toMatchObject({ session, epoch: 1, resumeMs: 30_000, received: 9 });
    const replayed = await eventually(() => again.bytes().length >= bytes.length - 10 && again.bytes(), 'the rest');
    expect(replayed.subarray(0, bytes.length - 10).equals(bytes.subarray(10))).toBe(true);
    expect(ends()).toEqual([]);
  });

  test('also while the relay takes the old socket for alive, which is closed then', async () => {
    const identity = createIdentity();
    const { agent, session, bytes } = await enter(world, identity);
    const again = await greet(world, identity, { session, received: bytes.length });
    expect(await again.receive('welcome')).toMatchObject({ session, epoch: 1 });
    await agent.closed;
    expect(ends()).toEqual([]);
    expect(again.socket.readyState).toBe(again.socket.OPEN);
  });

  test('and what comes on the old socket later is not read', async () => {
    const identity = createIdentity();
    const { agent, session, bytes } = await enter(world, identity);
    const again = await greet(world, identity, { session, received: bytes.length });
    await again.receive('welcome');
    agent.socket.send('{');
    agent.socket.close(1000);
    await agent.closed;
    again.socket.ping();
    await within(once(again.socket, 'pong'), 'a pong');
    expect([again.socket.readyState, ends()]).toEqual([again.socket.OPEN, []]);
  });
});

test('a session that was resumed does not expire', async () => {
  await world.end();
  world = await startWorld({ resumeMs: 3_000 });
  const identity = createIdentity();
  const first = await enter(world, identity);
  first.agent.socket.terminate();
  const again = await greet(world, identity, { session: first.session, received: first.bytes.length });
  await again.receive('welcome');
  // One that is lost later tells when the time is over.
  const other = createIdentity();
  (await enter(world, other)).agent.socket.terminate();
  await eventually(() => ends().length > 0, 'the end of the other');
  expect(ends()).toMatchObject([{ name: other.name }]);
  expect(again.socket.readyState).toBe(again.socket.OPEN);
});

describe('a new session instead', () => {
  test.each([
    ['of an unknown session', () => 'AAAAAAAAAAAAAAAAAAAAAA', 0],
    ['with more received than was sent', (session: string) => session, 1_000_000],
  ])('for a resume %s', async (_what, sessionOf, received) => {
    const identity = createIdentity();
    const { agent, session } = await enter(world, identity);
    const again = await greet(world, identity, { session: sessionOf(session), received });
    const welcome = await again.receive('welcome');
    expect(welcome).toMatchObject({ epoch: 2, name: identity.name });
    expect(welcome).not.toHaveProperty('received');
    expect(welcome['session']).not.toBe(session);
    // The same key has taken over.
    expect(await agent.closed).toBe(4002);
  });

  test('for bytes that it has acknowledged, and that are gone', async () => {
    const identity = createIdentity();
    const { agent, session, bytes } = await enter(world, identity);
    agent.socket.send(JSON.stringify({ type: 'ack', received: bytes.length }));
    agent.socket.ping();
    await within(once(agent.socket, 'pong'), 'a pong');
    agent.socket.terminate();
    const again = await greet(world, identity, { session, received: 0 });
    expect(await again.receive('welcome')).toMatchObject({ epoch: 2 });
  });

  test('for another key, which disturbs nobody', async () => {
    const { agent, session, bytes } = await enter(world, createIdentity());
    const stranger = createIdentity();
    const other = await greet(world, stranger, { session, received: bytes.length });
    const welcome = await other.receive('welcome');
    expect(welcome).toMatchObject({ epoch: expect.any(Number), name: stranger.name });
    expect(welcome['session']).not.toBe(session);
    agent.socket.ping();
    await within(once(agent.socket, 'pong'), 'a pong');
    expect(ends()).toEqual([]);
  });

  test('not even that for another key that wants the name, too', async () => {
    const want = { name: 'files' };
    const { agent, session, bytes } = await enter(world, createIdentity(), want);
    const stranger = await greet(world, createIdentity(), { session, received: bytes.length }, { want });
    expect(await stranger.receive('reject')).toMatchObject({ code: 'name_taken' });
    expect(agent.socket.readyState).toBe(agent.socket.OPEN);
  });

  test('for the key under another name', async () => {
    const identity = createIdentity();
    const { session, bytes } = await enter(world, identity);
    const other = await greet(world, identity, { session, received: bytes.length }, { want: { name: 'files' } });
    const welcome = await other.receive('welcome');
    expect([welcome['name'], welcome['session'] === session]).toEqual(['files', false]);
    expect(ends()).toEqual([]);
  });

  test('after it has expired', async () => {
    await world.end();
    world = await startWorld({ resumeMs: 50 });
    const identity = createIdentity();
    const { agent, session, bytes } = await enter(world, identity);
    agent.socket.terminate();
    await eventually(() => ends().length > 0, 'the end');
    expect(ends()).toMatchObject([{ reason: 'connection lost (1006); the agent did not come back within 0.05 s' }]);
    const again = await greet(world, identity, { session, received: bytes.length });
    expect(await again.receive('welcome')).toMatchObject({ epoch: 2 });
  });

  test.each([
    ['left', 1000],
    ['broke the protocol', 4000],
  ])('after an agent that %s', async (_what, code) => {
    const identity = createIdentity();
    const { agent, session, bytes } = await enter(world, identity);
    agent.socket.close(code);
    await eventually(() => ends().length > 0, 'the end');
    const again = await greet(world, identity, { session, received: bytes.length });
    expect(await again.receive('welcome')).toMatchObject({ epoch: 2 });
  });
});

describe('refused', () => {
  test.each([
    { session: 7, received: 0 },
    { session: 'a b', received: 0 },
    { session: 'x'.repeat(129), received: 0 },
    { session: '' },
    { session: '', received: -1 },
    { session: '', received: 1.5 },
    'yes',
    null,
  ])('a hello with resume %j', async (resume) => {
    const agent = await rawAgent(world.relay.url);
    const { publicKey } = createIdentity();
    agent.socket.send(
      JSON.stringify({ type: 'hello', versions: ['mcp-expose.v1'], agent: 'test', publicKey, want: {}, resume }),
    );
    expect(await agent.closed).toBe(4000);
  });

  test('bytes of the pipe before the welcome of a resume; the session is still there for a better attempt', async () => {
    const identity = createIdentity();
    const { agent, session, bytes } = await enter(world, identity);
    agent.socket.terminate();
    const hasty = await greet(
      world,
      identity,
      { session, received: bytes.length },
      {
        beforeProof: ({ socket }) => socket.send(Buffer.alloc(9)),
      },
    );
    expect(await hasty.closed).toBe(4000);
    const again = await greet(world, identity, { session, received: bytes.length });
    expect(await again.receive('welcome')).toMatchObject({ session, epoch: 1, received: 0 });
  });

  test('a resume without a valid proof; the session is still there', async () => {
    const identity = createIdentity();
    const { agent, session, bytes } = await enter(world, identity);
    agent.socket.terminate();
    const { publicKey } = identity;
    const thief = { ...createIdentity(), publicKey };
    const attempt = await greet(world, thief, { session, received: bytes.length });
    expect(await attempt.receive('reject')).toMatchObject({ code: 'auth' });
    const again = await greet(world, identity, { session, received: bytes.length });
    expect(await again.receive('welcome')).toMatchObject({ session, epoch: 1 });
  });

  test('an acknowledgement of what was not sent', async () => {
    const { agent, bytes } = await enter(world, createIdentity());
    agent.socket.send(JSON.stringify({ type: 'ack', received: bytes.length + 1_000_000 }));
    expect(await agent.closed).toBe(4000);
    await eventually(() => ends().length > 0, 'the end');
    expect(ends()).toMatchObject([{ reason: 'ack beyond what was sent' }]);
  });
});

test('an agent that does not know of resuming is told that it cannot, and its loss is the end', async () => {
  const identity = createIdentity();
  const agent = await greet(world, identity);
  expect(await agent.receive('welcome')).toMatchObject({ resumeMs: 0 });
  agent.socket.send('{"type":"ack","received":1000000}');
  agent.socket.ping();
  await within(once(agent.socket, 'pong'), 'a pong');
  agent.socket.terminate();
  await eventually(() => ends().length > 0, 'the end');
  expect((await ask(`${world.relay.url}/${identity.name}`)).status).toBe(503);
});

test('a take-over by a new session of the key ends the one that was lost: its clients are told', async () => {
  const identity = createIdentity();
  const { agent, bytes } = await enter(world, identity);
  agent.socket.ping();
  await within(once(agent.socket, 'pong'), 'a pong');
  const before = agent.bytes().length;
  expect(before).toBeGreaterThanOrEqual(bytes.length);
  const reply = ask(`${world.relay.url}/${identity.name}`);
  await eventually(() => agent.bytes().length > before, 'the request');
  agent.socket.terminate();
  const { url } = await world.agent(echo, { keys: identity });
  expect((await reply).status).toBe(502);
  expect((await ask(url)).status).toBe(200);
});
