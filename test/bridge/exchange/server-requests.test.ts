import { describe, expect, test } from 'vitest';
import { ApprovalRule } from '../../../src/policy/approval-rule.ts';
import { createPolicy } from '../../../src/policy/policy.ts';
import { askedIn, asking, exchangeWorld, objectIn, resultOf } from './world.ts';

const elicitation = { method: 'elicitation/create', params: { message: 'who?', requestedSchema: { type: 'object' } } };
const rootsAsked = { id: 'r', method: 'roots/list' };
const roots = { roots: [{ uri: 'file:///work' }] };

describe('to which call a request of the server belongs', () => {
  test('says the stream on which it came', () => {
    const world = exchangeWorld();
    const [one, other] = [world.begun({ name: 'a' }), world.begun({ name: 'b' })];
    world.say({ id: 1, ...elicitation }, one.id);
    world.clock.advance(20);
    expect(askedIn(one.call).keys).toHaveLength(1);
    expect(other.call.responses).toEqual([]);
    expect(world.exchanges.report().counters.ambiguousAttributions).toBe(0);
  });

  test('is the newest where nothing says so, which is counted and warned of once', () => {
    const world = exchangeWorld();
    const [one, other] = [world.begun({ name: 'a' }), world.begun({ name: 'b' })];
    world.say({ id: 1, ...elicitation });
    world.clock.advance(20);
    expect(one.call.responses).toEqual([]);
    expect(askedIn(other.call).keys).toHaveLength(1);
    // The other one is parked now.
    world.say({ id: 2, ...elicitation });
    world.clock.advance(20);
    expect(askedIn(one.call).keys).toHaveLength(1);
    expect(world.exchanges.report().counters.ambiguousAttributions).toBe(2);
    expect(world.warnings).toHaveLength(1);
  });

  test('is one that has no question yet: two calls that ask at once get one each', () => {
    const world = exchangeWorld();
    const [one, other] = [world.begun({ name: 'a' }), world.begun({ name: 'b' })];
    for (const id of [1, 2]) world.say({ id, ...elicitation });
    world.clock.advance(20);
    expect([askedIn(one.call).keys.length, askedIn(other.call).keys.length]).toEqual([1, 1]);
  });

  test('is not one that cannot be asked in', () => {
    const world = exchangeWorld();
    const { call } = world.begun();
    world.call('tools/list');
    world.say({ id: 1, ...elicitation });
    world.clock.advance(20);
    expect(askedIn(call).keys).toHaveLength(1);
  });

  test('may be one that was over just before: then it is another one', () => {
    const world = exchangeWorld();
    const [one, other] = [world.begun({ name: 'a' }), world.begun({ name: 'b' })];
    world.say({ id: 1, ...elicitation });
    world.say({ id: other.id, result: {} });
    expect(resultOf(other.call)['resultType']).toBe('complete');
    world.clock.advance(20);
    expect(askedIn(one.call).keys).toHaveLength(1);
  });
});

describe('a request of the server that no client can be asked', () => {
  test.each(['elicitation/create', 'sampling/createMessage'])('%s outside of any call is refused', (method) => {
    const world = exchangeWorld();
    world.call('tools/list');
    world.sent();
    world.say({ id: 1, method, params: {} });
    expect(world.sent()).toMatchObject([{ id: 1, error: { code: -32603, data: { reason: 'not_carried' } } }]);
    expect(world.exchanges.report().counters.refusedServerRequests).toBe(1);
  });

  test('during a list, by its stream, is refused, and the list goes on', () => {
    const world = exchangeWorld();
    const call = world.call('tools/list');
    const id = world.sent().at(-1)?.['id'];
    world.say(rootsAsked, Number(id));
    expect(world.sent()).toMatchObject([{ id: 'r', error: { code: -32603 } }]);
    world.say({ id, result: { tools: [] } });
    expect(resultOf(call)).toMatchObject({ tools: [] });
  });

  test('while a call waits for the list of tools does not hide why the call is refused', async () => {
    const world = exchangeWorld();
    const policy = createPolicy({ readOnly: true });
    const call = world.call('tools/call', { name: 'write' }, { capabilities: {}, policy });
    const { id } = objectIn(world.sent().findLast(({ method }) => method === 'tools/list'));
    world.say({ id: 1, ...elicitation });
    expect(world.sent()).toMatchObject([{ id: 1, error: { code: -32603 } }]);
    world.say({ id, result: { tools: [{ name: 'write' }] } });
    await Promise.resolve();
    expect(call.responses.map(({ json }) => json)).toMatchObject([{ error: { data: { reason: 'not_read_only' } } }]);
  });

  test('of a kind that modern clients do not know is refused', () => {
    const world = exchangeWorld();
    world.begun();
    world.say({ id: 1, method: 'tasks/list' });
    expect(world.sent()).toMatchObject([{ id: 1, error: { code: -32601 } }]);
  });

  test('a ping is answered', () => {
    const world = exchangeWorld();
    world.begun();
    world.say({ id: 1, method: 'ping' });
    expect(world.sent()).toEqual([{ jsonrpc: '2.0', id: 1, result: {} }]);
  });
});

describe('a request for roots before any call', () => {
  test('waits for the next call, and is put to its client before the server gets it', () => {
    const world = exchangeWorld();
    world.call('server/discover');
    world.say(rootsAsked);
    world.sent();
    world.call('tools/list');
    expect(world.sent().map(({ method }) => method)).toEqual(['tools/list']);
    const call = world.call('tools/call', { name: 'a' });
    const { keys, inputRequests, requestState } = askedIn(call);
    expect(Object.values(inputRequests)).toEqual([{ method: 'roots/list' }]);
    const other = world.begun({ name: 'b' });
    expect(other.call.responses).toEqual([]);
    const inputResponses = { [String(keys[0])]: roots };
    const retry = world.call('tools/call', { name: 'a', inputResponses, requestState });
    expect(world.sent()).toEqual([{ jsonrpc: '2.0', id: 'r', result: roots }]);
    world.clock.advance(30);
    const [sent] = world.sent();
    expect(sent).toMatchObject({ method: 'tools/call', params: { name: 'a' } });
    world.say({ id: sent?.['id'], result: {} });
    expect(resultOf(retry)['resultType']).toBe('complete');
  });

  test('comes before the first call, which waits until the server has had the time to ask', () => {
    const world = exchangeWorld();
    world.isSilent = true;
    const call = world.call('tools/call', { name: 'a' });
    world.say({ id: 1, result: world.introduction });
    expect(world.sent().map(({ method }) => method)).toEqual(['initialize', 'notifications/initialized']);
    world.say(rootsAsked);
    world.say({ id: 2, result: {} });
    expect(Object.values(askedIn(call).inputRequests)).toEqual([{ method: 'roots/list' }]);
  });

  test('is not waited for longer than a second, and not at all for a client without roots', () => {
    const world = exchangeWorld();
    world.isSilent = true;
    world.call('tools/call', { name: 'a' });
    world.say({ id: 1, result: world.introduction });
    world.sent();
    world.clock.advance(1000);
    expect(world.sent().map(({ method }) => method)).toEqual(['tools/call']);
    world.call('tools/call', { name: 'a' }, { capabilities: {} });
    world.say({ id: 1, result: world.introduction });
    expect(world.sent().at(-1)).toMatchObject({ method: 'tools/call' });
  });

  test('is refused after 55 s, and after 3 s if the server does not answer a list meanwhile', () => {
    const world = exchangeWorld();
    world.call('server/discover');
    world.say(rootsAsked);
    world.sent();
    world.clock.advance(54_000);
    expect(world.sent()).toEqual([]);
    world.clock.advance(1000);
    expect(world.sent()).toMatchObject([{ id: 'r', error: { code: -32603 } }]);
    world.call('tools/list');
    world.sent();
    world.say(rootsAsked);
    world.clock.advance(3000);
    expect(world.sent()).toMatchObject([{ id: 'r', error: { code: -32603 } }]);
  });

  test('gives way when there are more than sixteen', () => {
    const world = exchangeWorld();
    world.call('server/discover');
    world.sent();
    for (let id = 1; id <= 17; id++) world.say({ id, method: 'roots/list' });
    expect(world.sent()).toMatchObject([{ id: 1, error: { code: -32603 } }]);
    expect(askedIn(world.call('tools/call', { name: 'a' })).keys).toHaveLength(16);
  });

  test('that the server withdraws is forgotten', () => {
    const world = exchangeWorld();
    world.call('server/discover');
    world.say(rootsAsked);
    world.say({ method: 'notifications/cancelled', params: { requestId: 'r' } });
    expect(world.begun().call.responses).toEqual([]);
  });

  test('and one that came in a call that was over at once is kept for the next', () => {
    const world = exchangeWorld();
    const { call, id } = world.begun();
    world.say(rootsAsked);
    world.say({ id, result: {} });
    expect(resultOf(call)['resultType']).toBe('complete');
    expect(world.sent()).toEqual([]);
    expect(askedIn(world.call('tools/call', { name: 'a' })).keys).toHaveLength(1);
  });

  test('is answered with the roots that are given, also for a client that has none', () => {
    const world = exchangeWorld({ roots: roots.roots });
    world.begun({ name: 'a' }, { capabilities: {} });
    expect(world.server().sent[0]).toContain('"capabilities":{"roots":{}}');
    world.say(rootsAsked);
    expect(world.sent()).toEqual([{ jsonrpc: '2.0', id: 'r', result: roots }]);
    const { call } = world.begun({ name: 'a' }, { capabilities: { roots: {} } });
    world.say(rootsAsked);
    world.clock.advance(20);
    expect(askedIn(call).keys).toHaveLength(1);
    expect(world.servers).toHaveLength(1);
  });
});

test('calls are made one after the other if it is wanted, so that each request of the server belongs to one', () => {
  const world = exchangeWorld({ serializeInteractive: true });
  const one = world.begun({ name: 'a' });
  const other = world.call('tools/call', { name: 'b' });
  const third = world.call('tools/call', { name: 'c' });
  world.call('tools/list');
  expect(world.sent().map(({ method }) => method)).toEqual(['tools/list']);
  world.say({ id: 1, ...elicitation });
  world.clock.advance(20);
  const { keys, requestState } = askedIn(one.call);
  expect(world.sent()).toEqual([]);
  other.leave();
  world.call('tools/call', { name: 'a', requestState, inputResponses: { [String(keys[0])]: { action: 'decline' } } });
  world.sent();
  world.say({ id: one.id, result: {} });
  expect(world.sent()).toMatchObject([{ method: 'tools/call', params: { name: 'c' } }]);
  expect([other.responses, third.responses]).toEqual([[], []]);
});

test('nobody is asked where several people may be behind a caller', () => {
  const world = exchangeWorld({ isSharedCaller: ({ id }) => id === 'anyone' });
  const { call, id } = world.begun({ name: 'a' }, { caller: 'anyone', capabilities: { ...asking, experimental: {} } });
  const initialize = objectIn(JSON.parse(world.server().sent[0] ?? ''));
  expect(initialize['params']).toMatchObject({ capabilities: { experimental: {} } });
  expect(Object.keys(objectIn(objectIn(initialize['params'])['capabilities']))).toEqual(['experimental']);
  world.say({ id: 1, ...elicitation });
  expect(world.sent()).toMatchObject([{ id: 1, error: { code: -32603 } }]);
  world.say({ id, result: {} });
  expect(resultOf(call)['resultType']).toBe('complete');
});

test('who is behind a call that needs approval is told for each call', async () => {
  const asked: unknown[] = [];
  const world = exchangeWorld({
    approvals: {
      rule: new ApprovalRule(['a', 'b']),
      ask: ({ caller, client, clientInfo }) => {
        asked.push({ caller, client, clientInfo });
        return Promise.resolve(undefined);
      },
    },
  });
  const me = { name: 'first', version: '1' };
  world.call('tools/call', { name: 'a' }, { meta: { 'io.modelcontextprotocol/clientInfo': me } });
  world.call('tools/call', { name: 'b' });
  await new Promise((resolve) => setImmediate(resolve));
  expect(asked).toEqual([
    { caller: 'me', client: undefined, clientInfo: me },
    { caller: 'me', client: undefined, clientInfo: { name: 'client', version: '0' } },
  ]);
  expect(world.sent().filter(({ method }) => method === 'tools/call')).toHaveLength(2);
});
