import { describe, expect, test } from 'vitest';
import { createPolicy } from '../../../src/policy/policy.ts';
import { agreement, notification, request, response } from '../messages.ts';
import { asking, exchangeWorld, resultOf, type Json } from './world.ts';

const serverInfo = { 'io.modelcontextprotocol/serverInfo': { name: 'fake', version: '9' } };

describe('a request of a modern client', () => {
  test('reaches the legacy server without its envelope, after the handshake, and gets a modern result', () => {
    const world = exchangeWorld();
    const call = world.call('tools/call', { name: 'echo', arguments: { n: 1 }, requestState: undefined }, { id: 'a' });
    expect(world.sent()).toEqual([
      {
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        params: {
          protocolVersion: '2025-11-25',
          capabilities: { elicitation: {}, sampling: {}, roots: {} },
          clientInfo: { name: 'mcp-expose', version: '1.2.3' },
        },
      },
      { jsonrpc: '2.0', method: 'notifications/initialized' },
      { jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'echo', arguments: { n: 1 }, _meta: {} } },
    ]);
    world.say({ id: 3, result: { content: [] } });
    expect(call.responses.map(({ json }) => json)).toEqual([
      { jsonrpc: '2.0', id: 'a', result: { content: [], resultType: 'complete', _meta: serverInfo } },
    ]);
  });

  test('may have the id of another one in flight', () => {
    const world = exchangeWorld();
    const [one, other] = [world.begun({ name: 'a' }, { id: 1 }), world.begun({ name: 'b' }, { id: 1 })];
    world.say({ id: other.id, result: { content: ['b'] } });
    world.say({ id: one.id, result: { content: ['a'] } });
    expect([one, other].map(({ call }) => resultOf(call)['content'])).toEqual([['a'], ['b']]);
    expect(world.servers).toHaveLength(1);
  });

  test('gets the error of the server with the code of its revision', () => {
    const world = exchangeWorld();
    const call = world.call('resources/read', { uri: 'a:b' });
    world.say({ id: 3, error: { code: -32002, message: 'not found' } });
    expect(call.responses.map(({ json }) => json['error'])).toEqual([
      { code: -32602, message: 'not found', data: { uri: 'a:b' } },
    ]);
  });

  test('waits for the answer to initialize', () => {
    const world = exchangeWorld();
    world.isSilent = true;
    const call = world.call('tools/list');
    expect(world.sent().map(({ method }) => method)).toEqual(['initialize']);
    world.say({ id: 1, result: world.introduction });
    expect(world.sent().map(({ method }) => method)).toEqual(['notifications/initialized', 'tools/list']);
    world.say({ id: 3, result: { tools: [{ name: 'a', execution: { taskSupport: 'optional' } }] } });
    expect(resultOf(call)).toMatchObject({ tools: [{ name: 'a' }], ttlMs: 0, cacheScope: 'private' });
    expect(JSON.stringify(resultOf(call))).not.toContain('execution');
  });

  test('fails if that does not come in time, and the next one tries again', () => {
    const world = exchangeWorld();
    world.isSilent = true;
    const call = world.call('tools/list');
    world.clock.advance(60_000);
    expect(call.failures).toMatchObject([{ code: -32603, data: { reason: 'upstream_silent' } }]);
    expect(world.exchanges.report().children).toBe(0);
    world.isSilent = false;
    world.begun();
    expect(world.servers).toHaveLength(2);
  });

  test('fails if the server refuses, or speaks no legacy revision', () => {
    for (const members of [
      { error: { code: -32603, message: 'no licence' } },
      { result: { protocolVersion: '2026-07-28', capabilities: {} } },
    ]) {
      const world = exchangeWorld();
      world.isSilent = true;
      const call = world.call('tools/list');
      world.say({ id: 1, ...members });
      expect(call.failures).toMatchObject([{ code: -32603, data: { reason: 'upstream_refused' } }]);
      expect(world.server().closeCalls).toBeGreaterThan(0);
    }
  });

  test('with a member twice is refused, since the server might read the other one', () => {
    const world = exchangeWorld();
    const call = world.call('tools/call', { name: 'a' }, { meta: { ProgressToken: 1, progressToken: 2 } });
    expect(call.failures).toMatchObject([{ code: -32600, data: { reason: 'ambiguous_request' } }]);
  });
});

describe('progress', () => {
  test('comes with the token of the client, also where two have the same', () => {
    const world = exchangeWorld();
    const [one, other] = [0, 1].map(() => world.begun({ name: 'a' }, { meta: { progressToken: 'p' } }));
    if (one === undefined || other === undefined) throw new Error('unreachable');
    expect(one.id).not.toBe(other.id);
    world.say({ method: 'notifications/progress', params: { progressToken: other.id, progress: 1 } });
    expect(one.call.got).toEqual([]);
    expect(other.call.got.map(({ json }) => json['params'])).toEqual([{ progressToken: 'p', progress: 1 }]);
  });

  test('is not asked for, and not passed on, where the client gave no token', () => {
    const world = exchangeWorld();
    const call = world.call('tools/call', { name: 'a' });
    expect(JSON.stringify(world.sent())).not.toContain('progressToken');
    world.say({ method: 'notifications/progress', params: { progressToken: 3, progress: 1 } });
    expect(call.got).toEqual([]);
  });
});

test('a client that takes only the response gets nothing else', () => {
  const world = exchangeWorld();
  const { call, id } = world.begun({ name: 'a' }, { meta: { progressToken: 'p' }, isResponseOnly: true });
  world.say({ method: 'notifications/progress', params: { progressToken: id, progress: 1 } });
  world.say({ id, result: {} });
  expect(call.got).toEqual([]);
  expect(resultOf(call)['resultType']).toBe('complete');
});

test('a client that does not read holds up its server until it does', () => {
  const world = exchangeWorld();
  const { call, id } = world.begun({ name: 'a' }, { meta: { progressToken: 'p' } });
  call.fast = false;
  world.say({ method: 'notifications/progress', params: { progressToken: id, progress: 1 } });
  expect(world.server().paused).toBe(true);
  call.drain();
  expect(world.server().paused).toBe(false);
});

describe('a client that gives up', () => {
  test('cancels its request at the server, and a late answer is dropped', () => {
    const world = exchangeWorld();
    const { call, id } = world.begun();
    call.leave();
    expect(world.sent()).toEqual([
      {
        jsonrpc: '2.0',
        method: 'notifications/cancelled',
        params: { requestId: id, reason: 'the client has cancelled it' },
      },
    ]);
    world.say({ id, result: { content: [] } });
    expect([call.responses, call.failures, call.ends]).toEqual([[], [], 1]);
  });

  test('before the server has started is forgotten', () => {
    const world = exchangeWorld();
    world.isSilent = true;
    const call = world.call('tools/call', { name: 'a' });
    call.leave();
    world.say({ id: 1, result: world.introduction });
    expect(world.sent().map(({ method }) => method)).toEqual(['initialize', 'notifications/initialized']);
  });
});

describe('server/discover', () => {
  test('is answered from the first handshake, for any capabilities and anybody', () => {
    const world = exchangeWorld();
    const first = world.call('server/discover', {}, { capabilities: {} });
    const other = world.call('server/discover', {}, { caller: 'you' });
    expect(resultOf(other)).toEqual(resultOf(first));
    expect(resultOf(first)).toMatchObject({
      resultType: 'complete',
      supportedVersions: ['2026-07-28'],
      capabilities: { tools: { listChanged: true } },
      _meta: { ...serverInfo, 'io.github.mcp-expose/bridge': { upstreamEra: 'legacy', translated: true } },
    });
    expect(world.servers).toHaveLength(1);
    expect(world.exchanges.capabilities?.()).toEqual(world.introduction['capabilities']);
  });

  test('is answered from what the server has said before, without one that is started for it', () => {
    const world = exchangeWorld({ introduction: agreement() });
    const discover = world.call('server/discover');
    expect(resultOf(discover)).toMatchObject({
      supportedVersions: ['2026-07-28'],
      capabilities: { tools: {} },
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'fake', version: '1.2.3' } },
    });
    expect([world.servers, world.exchanges.capabilities?.()]).toEqual([[], { tools: {} }]);
  });

  test('waits for a server that is starting rather than starting a second one', () => {
    const world = exchangeWorld();
    world.isSilent = true;
    const call = world.call('tools/list', {}, { capabilities: {} });
    const discover = world.call('server/discover', {}, { caller: 'you' });
    expect(world.servers).toHaveLength(1);
    world.say({ error: { code: 1, message: 'no' }, id: 1 });
    expect([call, discover].map(({ failures }) => failures.length)).toEqual([1, 1]);
  });

  test('goes to another server when the one that was starting ends with its caller', () => {
    const world = exchangeWorld();
    world.isSilent = true;
    world.call('tools/list', {}, { caller: 'you' });
    const discover = world.call('server/discover');
    world.isSilent = false;
    world.exchanges.endCaller('you');
    expect(resultOf(discover)['supportedVersions']).toEqual(['2026-07-28']);
  });
});

describe('connections', () => {
  test('are of one caller and one set of capabilities, in whatever order it is written', () => {
    const world = exchangeWorld();
    const kinds = [
      { capabilities: { elicitation: {}, roots: { listChanged: true } } },
      { capabilities: { roots: {}, elicitation: {} } },
      { capabilities: { roots: {} } },
      { capabilities: { roots: {} }, caller: 'you' },
    ];
    const counts = kinds.map((kind) => {
      world.begun({ name: 'a' }, kind);
      return world.servers.length;
    });
    expect(counts).toEqual([1, 1, 2, 3]);
    expect(world.exchanges.report().children).toBe(3);
  });

  test('end when nobody has used them for ten minutes', () => {
    const world = exchangeWorld();
    const { call, id } = world.begun();
    world.clock.advance(60 * 60_000);
    expect(world.exchanges.report().children).toBe(1);
    world.say({ id, result: {} });
    resultOf(call);
    world.clock.advance(9 * 60_000);
    expect(world.server().closeCalls).toBe(0);
    world.clock.advance(2 * 60_000);
    expect(world.exchanges.report().children).toBe(0);
    expect(world.server().closeCalls).toBeGreaterThan(0);
    expect(world.clock.pending).toBe(0);
  });

  test('give way when there are too many, the one that was used least recently first, but not while in use', () => {
    const world = exchangeWorld({ maxChildren: 2 });
    const [a, b] = ['a', 'b'].map((caller) => ({ caller, ...world.begun({ name: 'x' }, { caller }) }));
    if (a === undefined || b === undefined) throw new Error('unreachable');
    const refused = world.call('tools/call', { name: 'x' }, { caller: 'c' });
    expect(refused.failures).toMatchObject([{ code: -32603, data: { reason: 'too_many_children' } }]);
    const [first, second] = world.servers;

    first?.say(response(a.id));
    second?.say(response(b.id));
    world.call('tools/call', { name: 'x' }, { caller: 'c' });
    expect([first?.closeCalls, second?.closeCalls]).toEqual([2, 0]);
    expect(world.exchanges.report()).toMatchObject({ children: 2, counters: { evictions: 1 } });
    expect(world.warnings).toHaveLength(2);
  });

  test('of a caller that is alone are all but one, which another caller gets', () => {
    const world = exchangeWorld({ maxChildren: 4 });
    const failuresOf = (caller: string, n: number): number =>
      world.call('tools/call', { name: 'x' }, { caller, capabilities: capabilitySet(n) }).failures.length;
    expect([1, 2, 3, 4].map((n) => failuresOf('me', n))).toEqual([0, 0, 0, 1]);
    expect([1, 2].map((n) => failuresOf('you', n))).toEqual([0, 1]);
  });

  test('of one of several callers are never all, however many it wants: half of them are for others', () => {
    const world = exchangeWorld({ maxChildren: 4 });
    world.call('tools/call', { name: 'x' }, { caller: 'you' });
    const calls = [1, 2, 3].map((n) => world.call('tools/call', { name: 'x' }, { capabilities: capabilitySet(n) }));
    expect(calls.map(({ failures }) => failures.length)).toEqual([0, 0, 1]);
    expect(calls[2]?.failures).toMatchObject([
      {
        code: -32603,
        data: { reason: 'too_many_children' },
        message: expect.stringContaining('this caller uses its share of the 4 connections'),
      },
    ]);
    expect(world.warnings).toEqual([expect.stringContaining('--max-children')]);
    expect(world.call('tools/call', { name: 'x' }, { caller: 'she' }).failures).toEqual([]);
    for (const caller of ['you', 'she']) {
      expect(world.call('tools/call', { name: 'x' }, { caller, capabilities: capabilitySet(1) }).failures).toHaveLength(
        1,
      );
    }
    expect(world.exchanges.report().children).toBe(4);
    expect(world.call('tools/call', { name: 'x' }, { caller: 'he' }).failures).toMatchObject([
      { message: expect.stringMatching(/^4 connections/) },
    ]);
  });

  test('that one caller does not use make room for its own', () => {
    const world = exchangeWorld({ maxChildren: 2 });
    const first = world.begun();
    world.server().say(response(first.id));
    world.call('tools/call', { name: 'x' }, { capabilities: {} });
    expect(world.servers.map(({ closeCalls }) => closeCalls > 0)).toEqual([true, false]);
    expect(world.exchanges.report()).toMatchObject({ children: 1, counters: { evictions: 1 } });
  });

  test('are of one policy', async () => {
    const world = exchangeWorld();
    const policy = createPolicy({ denyTools: ['rm'] });
    const denied = world.call('tools/call', { name: 'rm' }, { policy });
    await Promise.resolve();
    expect(denied.responses.map(({ json }) => json['error'])).toMatchObject([{ message: 'tool not allowed: rm' }]);
    world.call('tools/call', { name: 'ls' }, { policy });
    expect(world.servers).toHaveLength(1);
    world.call('tools/call', { name: 'rm' });
    expect(world.servers).toHaveLength(2);
  });

  test('of a caller whose credential ended are over, and its clients are told', () => {
    const world = exchangeWorld();
    const mine = world.begun();
    const other = world.begun({ name: 'x' }, { caller: 'you' });
    world.exchanges.endCaller('me');
    expect(mine.call.failures).toMatchObject([{ data: { reason: 'credential_ended' } }]);
    expect(other.call.failures).toEqual([]);
    expect(world.servers.map(({ closeCalls }) => closeCalls > 0)).toEqual([true, false]);
  });

  test('are all over in the end, and nothing is left', async () => {
    const world = exchangeWorld();
    const { call } = world.begun();
    const end = world.server().holdEnd();
    let isOver = false;
    const closed = world.exchanges.close().then(() => (isOver = true));
    await Promise.resolve();
    expect(call.failures).toMatchObject([{ data: { reason: 'shutting_down' } }]);
    expect(isOver).toBe(false);
    end();
    await closed;
    expect(world.call('tools/list').failures).toMatchObject([{ data: { reason: 'shutting_down' } }]);
    expect(world.clock.pending).toBe(0);
  });
});

describe('a server that ends', () => {
  test('fails what is in flight, and the next request starts it again', () => {
    const world = exchangeWorld();
    const { call } = world.begun();
    world.server().die();
    expect(call.failures).toMatchObject([{ code: -32603, data: { reason: 'upstream_exited' } }]);
    const next = world.begun();
    expect(world.servers).toHaveLength(2);
    world.say({ id: next.id, result: {} });
    expect(resultOf(next.call)).toMatchObject({ resultType: 'complete' });
  });

  test('and is started again by its upstream keeps what is sent again', () => {
    const world = exchangeWorld();
    const [lost, kept] = [world.begun(), world.begun()];
    const untaken = [request(kept.id)];
    world.server().lose({ untaken });
    expect(lost.call.failures).toMatchObject([{ data: { reason: 'upstream_exited' } }]);
    world.say({ id: kept.id, result: {} });
    expect(resultOf(kept.call)).toMatchObject({ resultType: 'complete' });
  });
});

test('a notification goes to the server of its caller, but not one that only its client and we understand', () => {
  const world = exchangeWorld();
  const me = { id: 'me', label: 'me' };
  world.exchanges.notify(me, notification('notifications/x'));
  expect(world.servers).toEqual([]);
  world.begun({ name: 'a' }, { capabilities: asking });
  for (const method of ['notifications/x', 'notifications/cancelled', 'notifications/roots/list_changed'])
    world.exchanges.notify(me, notification(method));
  world.exchanges.notify({ ...me, id: 'you' }, notification('notifications/y'));
  expect(world.sent().map(({ method }) => method)).toEqual(['notifications/x']);
});

function capabilitySet(n: number): Json {
  return { experimental: { [`set${n}`]: {} } };
}
