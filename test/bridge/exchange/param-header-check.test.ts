// The other era is tested in modern/same-era-exchanges.test.ts.
import { describe, expect, test } from 'vitest';
import type { FakeCall } from '../session/fake-sink.ts';
import { exchangeWorld, type ExchangeWorld, type Json } from './world.ts';

const inputSchema = { type: 'object', properties: { city: { type: 'string', 'x-mcp-header': 'City' } } };

const weather = (world: ExchangeWorld, city?: string): FakeCall =>
  world.call(
    'tools/call',
    { name: 'weather', arguments: { city: 'Rome' } },
    { paramHeaders: new Map(city === undefined ? [] : [['mcp-param-city', city]]) },
  );

const answerWith = (world: ExchangeWorld, result: Json): void => world.say({ id: world.sent().at(-1)?.['id'], result });

describe('headers that repeat arguments of a tool', () => {
  test('are compared with them', () => {
    const world = exchangeWorld();
    world.call('tools/list');
    answerWith(world, { tools: [{ name: 'weather', inputSchema }] });
    expect(weather(world, 'Oslo').failures).toMatchObject([{ code: -32020 }]);
    expect(weather(world).failures).toMatchObject([{ code: -32020 }]);
    expect(world.sent()).toEqual([]);
    expect(weather(world, 'Rome').failures).toEqual([]);
    expect(world.sent()).toMatchObject([{ method: 'tools/call' }]);
  });

  test('are so before any list has passed: the tools are listed first, as far as needed', () => {
    const world = exchangeWorld();
    const [wrong, right] = [weather(world, 'Oslo'), weather(world, 'Rome')];
    const [first, second] = world.sent().filter(({ method }) => method === 'tools/list');
    expect(world.server().sent.join('')).not.toContain('tools/call');
    world.say({ id: first?.['id'], result: { tools: [{ name: 'other' }], nextCursor: 'more' } });
    const next = world.sent();
    expect(next).toMatchObject([{ method: 'tools/list', params: { cursor: 'more' } }]);
    world.say({ id: second?.['id'], result: { tools: [{ name: 'weather', inputSchema }], nextCursor: 'more' } });
    expect(world.sent()).toMatchObject([{ method: 'tools/call', params: { arguments: { city: 'Rome' } } }]);
    expect([right.failures, wrong.failures]).toEqual([[], []]);
    world.say({ id: next[0]?.['id'], result: { tools: [] } });
    expect(wrong.failures).toMatchObject([{ code: -32020 }]);
    expect(world.sent()).toEqual([]);
  });

  test('mean nothing for a tool that is in no list, or where the list has no end', () => {
    const world = exchangeWorld();
    weather(world, 'Oslo');
    answerWith(world, { tools: [] });
    expect(world.sent()).toMatchObject([{ method: 'tools/call' }]);
    weather(world, 'Oslo');
    for (let page = 1; page <= 100; page++) answerWith(world, { tools: [], nextCursor: 'more' });
    expect(world.sent()).toMatchObject([{ method: 'tools/call' }]);
  });

  test('cannot be compared if the server does not list its tools: the call fails', () => {
    const world = exchangeWorld();
    const call = weather(world, 'Rome');
    world.say({ id: world.sent().at(-1)?.['id'], error: { code: -32603, message: 'no' } });
    expect(call.failures).toMatchObject([{ code: -32602, data: { reason: 'tools_not_listed' } }]);
    expect(world.sent()).toEqual([]);
  });

  test('are not compared for a client that goes meanwhile, and the list is cancelled', () => {
    const world = exchangeWorld();
    const call = weather(world, 'Rome');
    call.leave();
    expect(world.sent()).toMatchObject([
      { method: 'initialize' },
      {},
      { method: 'tools/list' },
      { method: 'notifications/cancelled' },
    ]);
    expect([call.ends, world.clock.pending]).toEqual([1, 1]);
  });
});
