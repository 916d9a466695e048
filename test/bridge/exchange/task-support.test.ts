import { expect, test } from 'vitest';
import { heldBytes } from '../../harness/collect-garbage.ts';
import type { FakeCall } from '../session/fake-sink.ts';
import { askedIn, exchangeWorld, resultOf, type ExchangeWorld } from './world.ts';

const capabilities = {};
const tools = [{ name: 'slow', execution: { taskSupport: 'required' } }, { name: 'fast' }];

/** A server that runs some tools as tasks only, and a call of such a tool. */
function called(name = 'slow', declared: object = capabilities): { world: ExchangeWorld; call: FakeCall } {
  const world = exchangeWorld();
  world.introduction = {
    ...world.introduction,
    capabilities: { tools: {}, tasks: { requests: { tools: { call: {} } } } },
  };
  const call = world.call('tools/call', { name }, { capabilities: { ...declared } });
  const [, , first] = world.sent();
  expect(first).toMatchObject({ method: 'tools/list', params: {} });
  world.say({ id: first?.['id'], result: { tools: tools.slice(1), nextCursor: 'c' } });
  const [second] = world.sent();
  expect(second).toMatchObject({ method: 'tools/list', params: { cursor: 'c' } });
  world.say({ id: second?.['id'], result: { tools: tools.slice(0, 1) } });
  return { world, call };
}

test('a tool that runs as a task only is run as one, and its result awaited', () => {
  const { world, call } = called();
  const [sent] = world.sent();
  expect(sent).toMatchObject({ method: 'tools/call', params: { name: 'slow', task: {} } });
  world.say({ id: sent?.['id'], result: { task: { taskId: 't', status: 'working' } } });
  const [awaited] = world.sent();
  expect(awaited).toMatchObject({ method: 'tasks/result', params: { taskId: 't' } });
  expect(call.responses).toEqual([]);
  world.say({ id: awaited?.['id'], result: { content: ['done'] } });
  expect(resultOf(call)).toMatchObject({ content: ['done'], resultType: 'complete' });
});

test('another tool is not, and the list is read once until it changes', () => {
  const { world } = called('fast');
  expect(world.sent()).toMatchObject([{ method: 'tools/call', params: { name: 'fast' } }]);
  expect(JSON.stringify(world.server().sent)).not.toContain('"task"');
  world.call('tools/call', { name: 'fast' }, { capabilities });
  expect(world.sent().map(({ method }) => method)).toEqual(['tools/call']);
  world.say({ method: 'notifications/tools/list_changed' });
  world.call('tools/call', { name: 'fast' }, { capabilities });
  expect(world.sent().map(({ method }) => method)).toEqual(['tools/list']);
});

test('what the server asks in a task belongs to its call', () => {
  const { world, call } = called('slow', { elicitation: {} });
  world.say({ id: world.sent()[0]?.['id'], result: { task: { taskId: 't' } } });
  world.call('tools/call', { name: 'fast' }, { capabilities: { elicitation: {} } });
  const related = { 'io.modelcontextprotocol/related-task': { taskId: 't' } };
  world.say({ id: 1, method: 'elicitation/create', params: { message: 'x', _meta: related } });
  world.clock.advance(20);
  expect(JSON.stringify(askedIn(call).inputRequests)).not.toContain('related-task');
  expect(world.exchanges.report().counters.ambiguousAttributions).toBe(0);
});

test('a cancelled call cancels its task, also one that is not known yet', () => {
  const { world, call } = called();
  const [sent] = world.sent();
  world.say({ id: sent?.['id'], result: { task: { taskId: 't' } } });
  const [awaited] = world.sent();
  call.leave();
  expect(world.sent()).toMatchObject([
    { method: 'tasks/cancel', params: { taskId: 't' } },
    { method: 'notifications/cancelled', params: { requestId: awaited?.['id'] } },
  ]);
  const early = called();
  const [begun] = early.world.sent();
  early.call.leave();
  early.world.sent();
  early.world.say({ id: begun?.['id'], result: { task: { taskId: 'u' } } });
  expect(early.world.sent()).toMatchObject([{ method: 'tasks/cancel', params: { taskId: 'u' } }]);
});

test('a server that does not list its tools gets plain calls', () => {
  const world = exchangeWorld();
  world.introduction = { ...world.introduction, capabilities: { tasks: { requests: { tools: { call: {} } } } } };
  world.call('tools/call', { name: 'slow' }, { capabilities });
  world.say({ id: world.sent().at(-1)?.['id'], error: { code: -32601, message: 'no' } });
  expect(world.sent()).toMatchObject([{ method: 'tools/call', params: { name: 'slow' } }]);
});

/** Calls of a server that has yet to say which tools run as tasks. */
function unread(...names: string[]): { world: ExchangeWorld; calls: FakeCall[]; id: unknown } {
  const world = exchangeWorld();
  world.introduction = { ...world.introduction, capabilities: { tasks: { requests: { tools: { call: {} } } } } };
  const calls = names.map((name) => world.call('tools/call', { name }, { capabilities }));
  const lists = world.sent().filter(({ method }) => method === 'tools/list');
  expect(lists).toHaveLength(1);
  return { world, calls, id: lists[0]?.['id'] };
}

const slowAsTask = { method: 'tools/call', params: { name: 'slow', task: {} } };

test('a list whose server was lost is read again before the calls that wait for it', () => {
  const { world, calls } = unread('slow');
  world.server().lose();
  const [again] = world.sent();
  expect(again).toMatchObject({ method: 'tools/list' });
  world.say({ id: again?.['id'], result: { tools } });
  expect(world.sent()).toMatchObject([slowAsTask]);
  expect(calls[0]?.failures).toEqual([]);
});

test('a list that changes while it is read is read again', () => {
  const { world, id } = unread('slow');
  world.say({ method: 'notifications/tools/list_changed' });
  world.say({ id, result: { tools: [] } });
  const [again] = world.sent();
  expect(again).toMatchObject({ method: 'tools/list', params: {} });
  world.say({ id: again?.['id'], result: { tools } });
  expect(world.sent()).toMatchObject([slowAsTask]);
});

test('one that changes whenever it is read is read a hundred times', () => {
  const { world, id } = unread('slow');
  let list: unknown = id;
  for (let time = 0; time < 100; time++) {
    world.say({ method: 'notifications/tools/list_changed' });
    world.say({ id: list, result: { tools } });
    const [sent] = world.sent();
    expect(sent?.['method']).toBe(time < 99 ? 'tools/list' : 'tools/call');
    list = sent?.['id'];
  }
});

test('a list that was refused is asked for again by the next call', () => {
  const { world, id } = unread('slow');
  world.say({ id, error: { code: -32603, message: 'busy' } });
  expect(world.sent()).toMatchObject([{ method: 'tools/call' }]);
  world.call('tools/call', { name: 'slow' }, { capabilities });
  const [again] = world.sent();
  world.say({ id: again?.['id'], result: { tools } });
  expect(world.sent()).toMatchObject([slowAsTask]);
});

test('a list that was refused after a change leaves what was known before', () => {
  const { world, id } = unread('slow');
  world.say({ id, result: { tools } });
  world.say({ method: 'notifications/tools/list_changed' });
  world.sent();
  world.call('tools/call', { name: 'slow' }, { capabilities });
  world.say({ id: world.sent()[0]?.['id'], error: { code: -32603, message: 'busy' } });
  expect(world.sent()).toMatchObject([slowAsTask]);
});

test('a server that does not list its tools holds up their calls for ten seconds, and nothing else', () => {
  const { world, calls, id } = unread('slow', 'gone');
  world.call('prompts/get', { name: 'p' }, { capabilities });
  expect(world.sent()).toMatchObject([{ method: 'prompts/get' }]);
  calls[1]?.leave();
  world.clock.advance(9999);
  expect(world.sent()).toEqual([]);
  world.clock.advance(1);
  expect(world.sent()).toMatchObject([
    { method: 'notifications/cancelled', params: { requestId: id } },
    { method: 'tools/call', params: { name: 'slow' } },
  ]);
});

test('a call whose client has gone is not kept while it would wait for the list', () => {
  const { world } = unread('slow');
  const before = heldBytes();
  for (let call = 0; call < 50; call++) {
    world.call('tools/call', { name: 'slow', text: 'x'.repeat(1_000_000) }, { capabilities }).leave();
  }
  expect(heldBytes() - before).toBeLessThan(10_000_000);
});
