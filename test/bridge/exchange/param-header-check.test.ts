// The other era is tested in modern/same-era-exchanges.test.ts.
import { describe, expect, test } from 'vitest';
import type { FakeCall } from '../session/fake-sink.ts';
import { createPolicy } from '../../../src/policy/policy.ts';
import { exchangeWorld, jsonOf, type ExchangeWorld, type Json } from './world.ts';

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
    const lists = world.sent().filter(({ method }) => method === 'tools/list');
    expect(lists).toHaveLength(1);
    expect(world.server().sent.join('')).not.toContain('tools/call');
    world.say({ id: lists[0]?.['id'], result: { tools: [{ name: 'other' }], nextCursor: 'more' } });
    const next = world.sent();
    expect(next).toMatchObject([{ method: 'tools/list', params: { cursor: 'more' } }]);
    expect([right.failures, wrong.failures]).toEqual([[], []]);
    world.say({ id: next[0]?.['id'], result: { tools: [{ name: 'weather', inputSchema }], nextCursor: 'more' } });
    expect(world.sent()).toMatchObject([{ method: 'tools/call', params: { arguments: { city: 'Rome' } } }]);
    expect([right.failures, wrong.failures]).toMatchObject([[], [{ code: -32020 }]]);
  });

  test('mean nothing for a tool that is in no list, or where the list has no end', () => {
    const world = exchangeWorld();
    weather(world, 'Oslo');
    answerWith(world, { tools: [] });
    expect(world.sent()).toMatchObject([{ method: 'tools/call' }]);
    world.clock.advance(60_000);
    world.sent();
    weather(world, 'Oslo');
    for (let page = 1; page <= 100; page++) answerWith(world, { tools: [], nextCursor: 'more' });
    expect(world.sent()).toMatchObject([{ method: 'tools/call' }]);
  });

  test.each([
    ['is in no list', []],
    [
      'is invalid',
      [{ name: 'weather', inputSchema: { properties: { city: { type: 'object', 'x-mcp-header': 'A' } } } }],
    ],
  ])('are no reason to list the tools again and again for a tool that %s', (_what, tools) => {
    const world = exchangeWorld();
    for (let n = 0; n < 50; n++) weather(world, 'Oslo');
    answerWith(world, { tools });
    weather(world, 'Oslo');
    const methods = world.server().sent.map((line) => jsonOf(line)['method']);
    expect(methods.filter((method) => method === 'tools/list')).toHaveLength(1);
    expect(methods.filter((method) => method === 'tools/call')).toHaveLength(51);
    world.call('tools/list');
    answerWith(world, { tools: [{ name: 'weather', inputSchema }] });
    expect(weather(world, 'Oslo').failures).toMatchObject([{ code: -32020 }]);
  });

  test('are compared with what the same caller sees: what a policy hides is not unknown to others', () => {
    const world = exchangeWorld();
    const hidden = { caller: 'you', policy: createPolicy({ denyTools: ['weather'] }) };
    const paramHeaders = new Map([['mcp-param-city', 'Oslo']]);
    world.call('tools/call', { name: 'weather', arguments: { city: 'Rome' } }, { ...hidden, paramHeaders });
    answerWith(world, { tools: [] });
    const call = weather(world, 'Oslo');
    answerWith(world, { tools: [{ name: 'weather', inputSchema }] });
    expect(call.failures).toMatchObject([{ code: -32020 }]);
  });

  test('cannot be compared if the server does not list its tools: each call gets its error', () => {
    const world = exchangeWorld();
    const calls = [weather(world, 'Rome'), weather(world, 'Rome')];
    const error = { code: -32601, message: 'no' };
    world.say({ id: world.sent().at(-1)?.['id'], error });
    expect(calls.map(({ responses }) => responses[0]?.json)).toMatchObject([
      { id: 1, error },
      { id: 2, error },
    ]);
    expect(world.sent()).toEqual([]);
  });

  test('are still compared for others when the client goes because of whose call the tools are listed', () => {
    const world = exchangeWorld();
    const [gone, staying] = [weather(world, 'Rome'), weather(world, 'Oslo')];
    gone.leave();
    answerWith(world, { tools: [{ name: 'weather', inputSchema }] });
    expect([gone.ends, staying.failures]).toMatchObject([1, [{ code: -32020 }]]);
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
