import { describe, expect, test } from 'vitest';
import { methodsOf, type FakeCall } from '../session/fake-sink.ts';
import { exchangeWorld, resultOf, type ExchangeWorld, type Json } from './world.ts';

const key = 'io.modelcontextprotocol/subscriptionId';
const changed = { method: 'notifications/tools/list_changed' };

function updated(uri: string): Json {
  return { method: 'notifications/resources/updated', params: { uri } };
}

function listen(world: ExchangeWorld, notifications: Json, id?: number | string): FakeCall {
  return world.call('subscriptions/listen', { notifications }, id === undefined ? {} : { id });
}

/** Lets the server agree to everything that it was asked since. */
function agree(world: ExchangeWorld): Json[] {
  const sent = world.sent();
  for (const { id } of sent) if (id !== undefined && id !== 1) world.say({ id, result: {} });
  return sent.filter(({ method }) => String(method).startsWith('resources/'));
}

function paramsOf(call: FakeCall): unknown[] {
  return call.got.map(({ json }) => json['params']);
}

describe('a subscription', () => {
  test('is acknowledged with what the server can keep to, before anything else', () => {
    const world = exchangeWorld();
    const call = listen(world, {
      toolsListChanged: true,
      promptsListChanged: true,
      resourceSubscriptions: ['a:b', 'a:c'],
    });
    const [, , one, other] = world.sent();
    expect([one, other]).toMatchObject([
      { method: 'resources/subscribe', params: { uri: 'a:b' } },
      { method: 'resources/subscribe', params: { uri: 'a:c' } },
    ]);
    world.say(changed);
    world.say({ id: one?.['id'], result: {} });
    expect(call.got).toEqual([]);
    world.say({ id: other?.['id'], error: { code: -32602, message: 'no' } });
    expect(methodsOf(call)).toEqual(['notifications/subscriptions/acknowledged', changed.method]);
    expect(paramsOf(call)).toEqual([
      { notifications: { toolsListChanged: true, resourceSubscriptions: ['a:b'] }, _meta: { [key]: 1 } },
      { _meta: { [key]: 1 } },
    ]);
  });

  test('brings what was asked for, and what is part of it, tagged with its id', () => {
    const world = exchangeWorld();
    const tools = listen(world, { toolsListChanged: true }, 'L');
    const resources = listen(world, { resourceSubscriptions: ['a:b'] }, 7);
    agree(world);
    for (const said of [
      changed,
      { method: 'notifications/resources/list_changed' },
      updated('a:b'),
      updated('a:b/c'),
      updated('a:bc'),
    ])
      world.say(said);
    expect(paramsOf(tools).slice(1)).toEqual([{ _meta: { [key]: 'L' } }]);
    expect(paramsOf(resources).slice(1)).toEqual([
      { uri: 'a:b', _meta: { [key]: 7 } },
      { uri: 'a:b/c', _meta: { [key]: 7 } },
    ]);
  });

  test('to nothing that the server can do ends at once', () => {
    const world = exchangeWorld();
    const call = listen(world, { promptsListChanged: true }, 3);
    expect(paramsOf(call)).toEqual([{ notifications: {}, _meta: { [key]: 3 } }]);
    expect(resultOf(call)).toMatchObject({ resultType: 'complete', _meta: { [key]: 3 } });
  });

  test('to a resource that others have subscribed to is asked of the server once, and given up with the last', () => {
    const world = exchangeWorld();
    const [one, other] = [0, 1].map(() => {
      const call = listen(world, { resourceSubscriptions: ['a:b'] });
      return { call, asked: agree(world) };
    });
    expect([one?.asked.length, other?.asked.length]).toEqual([1, 0]);
    one?.call.leave();
    expect(world.sent()).toEqual([]);
    other?.call.leave();
    expect(world.sent()).toMatchObject([{ method: 'resources/unsubscribe', params: { uri: 'a:b' } }]);
  });

  test('keeps its server from being ended, and ends with it', () => {
    const world = exchangeWorld();
    const call = listen(world, { toolsListChanged: true });
    world.clock.advance(60 * 60_000);
    expect(world.exchanges.report().children).toBe(1);
    world.server().die();
    expect(resultOf(call)).toMatchObject({ _meta: { [key]: 1 } });
    expect(world.clock.pending).toBe(0);
  });

  test('ends with a result when everything does', async () => {
    const world = exchangeWorld();
    const call = listen(world, { toolsListChanged: true });
    await world.exchanges.close();
    expect(resultOf(call)).toMatchObject({ _meta: { [key]: 1 } });
  });

  test('of a server that does not start has failed', () => {
    const world = exchangeWorld();
    world.isSilent = true;
    const call = listen(world, { toolsListChanged: true });
    world.server().die();
    expect(call.failures).toMatchObject([{ data: { reason: 'upstream_exited' } }]);
  });

  test('of a client that does not read brings one of each kind when it does, and holds up nobody', () => {
    const world = exchangeWorld();
    const call = listen(world, { toolsListChanged: true, resourceSubscriptions: ['a:b'] });
    agree(world);
    call.fast = false;
    for (let time = 0; time < 5; time++) {
      world.say(changed);
      world.say(updated('a:b'));
    }
    expect(methodsOf(call).slice(1)).toEqual([changed.method]);
    expect(world.server().paused).toBe(false);
    call.fast = true;
    call.drain();
    expect(methodsOf(call).slice(2)).toEqual([changed.method, 'notifications/resources/updated']);
  });

  test('of a client that does not read is kept up to a bound, and a warning tells of more', () => {
    const world = exchangeWorld();
    const call = listen(world, { resourceSubscriptions: ['a:b/'] });
    agree(world);
    call.fast = false;
    for (let resource = 0; resource <= 1000; resource++) world.say(updated(`a:b/${resource}`));
    expect(world.warnings).toEqual([]);
    for (let resource = 1001; resource <= 1003; resource++) world.say(updated(`a:b/${resource}`));
    expect(world.warnings).toEqual(['a client does not read: notifications for it are dropped']);
    call.fast = true;
    call.drain();
    expect(methodsOf(call)).toHaveLength(1 + 1 + 1000);
  });
});

test('a connection has no more than 1,000 subscriptions, also before the server has answered', () => {
  const world = exchangeWorld();
  world.isSilent = true;
  const open = (): FakeCall => listen(world, { toolsListChanged: true });
  const calls = Array.from({ length: 1100 }, open);
  const refused = calls.flatMap(({ failures }) => failures.map(({ data }) => data?.['reason']));
  expect([refused.length >= 100, new Set(refused)]).toEqual([true, new Set(['too_many_calls'])]);
  world.say({ id: 1, result: world.introduction });
  calls.push(...Array.from({ length: 100 }, open));
  expect(calls.filter(({ got }) => got.length > 0)).toHaveLength(1000);
  calls[0]?.leave();
  expect(methodsOf(open())).toEqual(['notifications/subscriptions/acknowledged']);
});

const log = (level: string): Json => ({ method: 'notifications/message', params: { level, data: level } });
const wants = (level: string): Json => ({ 'io.modelcontextprotocol/logLevel': level });

test('notifications that nobody here understands go to the call that they come with', () => {
  const world = exchangeWorld();
  const [one, other] = [world.begun({ name: 'a' }), world.begun({ name: 'b' })];
  world.say({ method: 'notifications/x', params: { a: 1 } }, one.id);
  world.say({ method: 'notifications/y' });
  expect([methodsOf(one.call), methodsOf(other.call)]).toEqual([['notifications/x'], ['notifications/y']]);
});

describe('log messages', () => {
  test('go to the newest request that wants them, and the server is told the most verbose level so far', () => {
    const world = exchangeWorld();
    const quiet = world.call('tools/call', { name: 'a' }, { meta: wants('error') });
    const verbose = world.call('tools/call', { name: 'b' }, { meta: wants('info') });
    world.call('tools/call', { name: 'c' });
    const last = world.call('tools/call', { name: 'd' }, { meta: wants('error') });
    const told = world.sent().filter(({ method }) => method === 'logging/setLevel');
    expect(told.map(({ params }) => params)).toEqual([{ level: 'error' }, { level: 'info' }]);
    for (const level of ['debug', 'info', 'error']) world.say(log(level));
    const levels = [quiet, verbose, last].map((call) => paramsOf(call));
    expect(levels).toMatchObject([[], [{ level: 'info' }], [{ level: 'error' }]]);
    expect(world.exchanges.report().counters.droppedLogs).toBe(1);
  });

  test('go to the request on whose stream they came, if it wants them', () => {
    const world = exchangeWorld();
    const [one, other] = [world.begun({ name: 'a' }, { meta: wants('info') }), world.begun({ name: 'b' })];
    world.say(log('info'), other.id);
    expect(one.call.got).toEqual([]);
    world.say(log('info'), one.id);
    expect(paramsOf(one.call)).toMatchObject([{ level: 'info' }]);
  });

  test('go nowhere if nobody wants them', () => {
    const world = exchangeWorld();
    const { call } = world.begun();
    world.say(log('emergency'));
    expect(call.got).toEqual([]);
    expect(world.sent()).toEqual([]);
  });
});
