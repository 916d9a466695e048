// Several agents of one key share a name: who gets which request.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TunnelResponse } from '../../../src/tunnel/relay/agent/tunnel-response.ts';
import { createIdentity, type Identity } from '../../../src/tunnel/relay/protocol/identity.ts';
import { candidatesFor } from '../../../src/tunnel/relay/server/replicas.ts';
import { startBrokenWorld } from './broken-world.ts';
import { ask, eventually, inTurn, startWorld, within, type AgentHandler, type TestAgent, type World } from './world.ts';

let world: World;
let keys: Identity;
beforeEach(async () => {
  keys = createIdentity();
  world = await startWorld();
});
afterEach(async () => {
  await world.end();
});

const namer =
  (name: string): AgentHandler =>
  (_request, response) =>
    response.end(name);

/** A handler that keeps the responses until the test sends them. */
function keeper(name: string): { handler: AgentHandler; kept: TunnelResponse[]; answer(): void } {
  const kept: TunnelResponse[] = [];
  return {
    kept,
    handler: (_request, response) => {
      kept.push(response);
    },
    answer: () => {
      for (const response of kept.splice(0)) response.end(name);
    },
  };
}

const replica = async (id: string, handler: AgentHandler = namer(id)): Promise<TestAgent> =>
  await world.agent(handler, { keys, name: 'files', replica: id });

const answers = async (url: string, count: number, headers: Record<string, string> = {}): Promise<string[]> =>
  await inTurn(Array.from({ length: count }), async () => (await ask(url, { headers })).body);

describe('two replicas', () => {
  test('have one URL, and take turns while nobody waits', async () => {
    const [one, other] = [await replica('a'), await replica('b')];
    expect(one.url).toBe(other.url);
    const got = await answers(one.url, 10);
    expect(got.filter((name) => name === 'a')).toHaveLength(5);
    expect(got.filter((name) => name === 'b')).toHaveLength(5);
    expect([one.statuses, other.statuses]).toEqual([[], []]);
  });

  test('the one for which fewer clients wait gets a request', async () => {
    const slow = keeper('a');
    const { url } = await replica('a', slow.handler);
    const first = ask(url);
    await eventually(() => slow.kept.length === 1, 'the first request');
    await replica('b');
    expect(await answers(url, 4)).toEqual(['b', 'b', 'b', 'b']);
    slow.answer();
    expect((await first).body).toBe('a');
  });

  test.each([
    ['the header of a session', '', { 'mcp-session-id': 'b.s1' }],
    ['the query of HTTP+SSE', '/messages?sessionId=b.s1', {}],
    ['the header of a check of the own URL', '', { 'x-mcp-expose-probe': 'b.n1' }],
  ])('%s leads to the one that its id begins with', async (_what, path, headers: Record<string, string>) => {
    const { url } = await replica('a');
    await replica('b');
    await replica('c');
    expect(new Set(await answers(`${url}${path}`, 6, headers))).toEqual(new Set(['b']));
  });

  test('an id that begins with no dot, or with the id of a replica that is gone, leads to any', async () => {
    const { url } = await replica('a');
    await replica('b');
    expect(new Set(await answers(url, 4, { 'mcp-session-id': 'x.s1' }))).toEqual(new Set(['a', 'b']));
    expect(new Set(await answers(url, 4, { 'mcp-session-id': 'undefined.s1' }))).toEqual(new Set(['a', 'b']));
  });

  test('when one leaves, the other gets everything, and the log says how many are left', async () => {
    const { tunnel } = await replica('a');
    const { url } = await replica('b');
    await tunnel.close();
    await eventually(() => world.events.some(({ type }) => type === 'agent_disconnected'), 'the relay to notice');
    expect(await answers(url, 3)).toEqual(['b', 'b', 'b']);
    expect(world.events).toMatchObject([
      { type: 'agent_connected', online: 1 },
      { type: 'agent_connected', online: 2 },
      { type: 'agent_disconnected', online: 1 },
    ]);
  });
});

describe('taking over', () => {
  const takenOver = 'another mcp-expose with the same key took this name over; with --replica, both can serve it';

  test('an agent that shares nothing takes over all replicas', async () => {
    const replicas = [await replica('a'), await replica('b')];
    const { url } = await world.agent(namer('alone'), { keys, name: 'files' });
    await eventually(() => replicas.every(({ statuses }) => statuses.length > 0), 'the replicas to notice');
    for (const { statuses } of replicas) expect(statuses).toMatchObject([{ state: 'down', reason: takenOver }]);
    expect(await answers(url, 3)).toEqual(['alone', 'alone', 'alone']);
  });

  test('a replica takes over an agent that shares nothing', async () => {
    const alone = await world.agent(namer('alone'), { keys, name: 'files' });
    const { url } = await replica('a');
    await eventually(() => alone.statuses.length > 0, 'the other one to notice');
    expect(alone.statuses).toMatchObject([{ state: 'down', reason: takenOver }]);
    expect((await ask(url)).body).toBe('a');
  });

  test('another key gets neither the name nor a share in it', async () => {
    await replica('a');
    const stranger = world.agent(namer('x'), { keys: createIdentity(), name: 'files', replica: 'b' });
    await expect(stranger).rejects.toThrow('belongs to another key (name_taken)');
  });
});

test('a replica that is lost for good: its requests get 502, and no others', async () => {
  await world.end();
  const slow = keeper('a');
  const {
    world: broken,
    proxy,
    url,
  } = await startBrokenWorld(slow.handler, { resumeMs: 500 }, { keys, name: 'files', replica: 'a' });
  world = broken;
  const other = keeper('b');
  const lost = ask(url);
  await eventually(() => slow.kept.length === 1, 'the request at the one');
  await world.agent(other.handler, { keys, name: 'files', replica: 'b', relayUrl: directUrl(url) });
  const headers = { 'mcp-session-id': 'b.s1' };
  const held = Promise.all([ask(url, { headers }), ask(url, { headers })]);
  await eventually(() => other.kept.length === 2, 'the requests at the other');
  proxy.refuse();
  proxy.cutAll();
  const { status, body } = await within(lost, 'the end of the lost request');
  expect([status, body]).toEqual([502, expect.stringContaining('-32052')]);
  other.answer();
  expect((await held).map((reply) => reply.body)).toEqual(['b', 'b']);
});

test('a replica that is not connected: new requests go to the other, those of its sessions wait for it', async () => {
  await world.end();
  const {
    world: broken,
    proxy,
    agent,
    url,
  } = await startBrokenWorld(namer('a'), {}, { keys, name: 'files', replica: 'a' });
  world = broken;
  await world.agent(namer('b'), { keys, name: 'files', replica: 'b', relayUrl: directUrl(url) });
  const restore = proxy.refuse();
  proxy.cutAll();
  await eventually(() => agent.statuses.length > 0, 'the loss');
  expect(await answers(url, 4)).toEqual(['b', 'b', 'b', 'b']);
  const waiting = ask(url, { headers: { 'mcp-session-id': 'a.s1' } });
  expect(await answers(url, 2)).toEqual(['b', 'b']);
  restore();
  expect((await waiting).body).toBe('a');
  expect(world.events.filter(({ type }) => type === 'agent_disconnected')).toEqual([]);
});

describe('a relay that replaces another, where one of two replicas is connected again', () => {
  beforeEach(async () => {
    await world.end();
    world = await startWorld({ replacesOther: true });
  });

  test('a request of a session of the other one waits for it', async () => {
    const { url } = await replica('a');
    const waiting = ask(url, { headers: { 'mcp-session-id': 'b.s1' } });
    // The relay has read the request: it has answered one that came later.
    expect(await answers(url, 2)).toEqual(['a', 'a']);
    await replica('c');
    await replica('b');
    expect((await waiting).body).toBe('b');
  });

  test('if that does not come, the request goes to any after five seconds', async () => {
    const { url } = await replica('a');
    const began = performance.now();
    expect((await ask(url, { headers: { 'mcp-session-id': 'b.s1' } })).body).toBe('a');
    expect(performance.now() - began).toBeGreaterThan(4_900);
  });

  test('an agent that is no replica has all sessions, whatever their ids look like', async () => {
    const { url } = await world.agent(namer('alone'), { keys, name: 'files' });
    const absent = ask(url.replace('files', 'absent'));
    const first = await Promise.race([
      absent.then(() => 'what is waited for'),
      ask(url, { headers: { 'mcp-session-id': 'b.s1' } }).then(({ body }) => body),
    ]);
    expect(first).toBe('alone');
    expect((await absent).status).toBe(404);
  });
});

test('a replica that leaves is gone for its sessions, too; one that may come back is not', () => {
  const other = { replica: 'b', isConnected: true, isDetached: false };
  const ownersOf = (isDetached: boolean): unknown =>
    candidatesFor(
      [{ replica: 'a', isConnected: false, isDetached }, other],
      { headers: { 'mcp-session-id': 'a.s1' } },
      '/',
    ).agents.map(({ replica: id }) => id);
  expect([ownersOf(false), ownersOf(true)]).toEqual([['b'], ['a']]);
});

const directUrl = (url: string): string => new URL(url).origin;
