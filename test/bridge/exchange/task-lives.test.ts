import { describe, expect, test } from 'vitest';
import { createPolicy } from '../../../src/policy/policy.ts';
import { heldBytes } from '../../harness/collect-garbage.ts';
import { message } from '../messages.ts';
import { methodsOf, type FakeCall } from '../session/fake-sink.ts';
import {
  about,
  accepted,
  answer,
  ask,
  begun,
  capabilities,
  day,
  extension,
  notDeclared,
  seen,
  taskWorld,
  tools,
  unknownTask,
} from './task-world.ts';
import { exchangeWorld, jsonOf, type CallOptions, type ExchangeWorld, type Json } from './world.ts';

function listen(world: ExchangeWorld, taskIds: string[], callOptions: CallOptions = {}): FakeCall {
  return about(world, 'subscriptions/listen', { notifications: { taskIds } }, callOptions);
}

describe('a task is its caller’s', () => {
  const readOnly = createPolicy({ allowTools: ['slow'] });

  test.each(['tasks/get', 'tasks/update', 'tasks/cancel'])('%s of another caller finds nothing', (method) => {
    const { world, taskId } = begun();
    const inputResponses = {};
    const foreign = about(world, method, { taskId, inputResponses }, { caller: 'other' });
    const absent = about(world, method, { taskId: 'none', inputResponses });
    expect(foreign.failures).toEqual([unknownTask]);
    expect(absent.failures).toEqual([unknownTask]);
    expect(about(world, method, { taskId: 7, inputResponses }).failures).toEqual([unknownTask]);
    expect(world.sent()).toEqual([]);
  });

  test('the name that the server has given to it means nothing', () => {
    const { world } = begun();
    expect(about(world, 'tasks/get', { taskId: 't' }).failures).toEqual([unknownTask]);
  });

  test('the same caller with other rights finds nothing', () => {
    const { world, taskId } = begun(taskWorld(), { policy: readOnly });
    expect(about(world, 'tasks/get', { taskId }).failures).toEqual([unknownTask]);
    expect(about(world, 'tasks/get', { taskId }, { policy: createPolicy({ denyTools: ['slow'] }) }).failures).toEqual([
      unknownTask,
    ]);
  });

  test('the same caller finds it whatever else it declares', () => {
    const task = begun(taskWorld(), { policy: readOnly });
    const options = { policy: readOnly, capabilities: { extensions: { [extension]: {} } } };
    expect(seen(task, 'working', {}, options)).toMatchObject({ status: 'working' });
  });

  test('a call that the rules forbid makes none', async () => {
    const world = taskWorld();
    const call = world.call('tools/call', { name: 'slow' }, { capabilities, policy: createPolicy({ allowTools: [] }) });
    for (const { id, method } of world.sent()) if (method === 'tools/list') world.say({ id, result: { tools } });
    await Promise.resolve();
    expect(call.responses[0]?.json['error']).toMatchObject({ data: { reason: 'not_allowed' } });
    expect(world.exchanges.report().tasks).toBe(0);
  });

  test('a caller whose credential has ended has none', async () => {
    const { world } = begun();
    world.exchanges.endCaller('me');
    expect(world.exchanges.report().tasks).toBe(0);
    await world.exchanges.close();
  });

  test.each(['tasks/get', 'tasks/update', 'tasks/cancel'])('%s needs the extension', (method) => {
    const { world, taskId } = begun();
    expect(about(world, method, { taskId }, { capabilities: {} }).failures).toMatchObject([notDeclared]);
  });

  test.each(['tasks/get', 'tasks/update', 'tasks/cancel'])('%s is unknown to a server without tasks', (method) => {
    const world = exchangeWorld();
    world.begun();
    expect(about(world, method, { taskId: 't' }).failures).toMatchObject([{ code: -32601 }]);
  });
});

describe('the server of a task', () => {
  const options = { idleTimeoutMs: 60_000 };

  test('stays until the result was read, and goes when it is idle then', () => {
    const task = begun(taskWorld(options), {}, { ttl: null });
    task.world.clock.advance(600_000);
    expect(task.world.exchanges.report()).toMatchObject({ children: 1, tasks: 1 });
    seen(task, 'completed', { result: {} });
    task.world.clock.advance(57_000);
    expect(task.world.exchanges.report().children).toBe(1);
    task.world.clock.advance(6000);
    expect(task.world.exchanges.report()).toMatchObject({ children: 0, tasks: 0 });
    expect(about(task.world, 'tasks/get', { taskId: task.taskId }).failures).toEqual([unknownTask]);
  });

  test.each([
    [30_000, 30_000],
    [null, day],
    [2 * day, day],
  ])('stays for the ttl of the task, %s ms, for at most a day', (ttl, kept) => {
    const { world, taskId } = begun(taskWorld(options), {}, { ttl });
    world.sent();
    world.clock.advance(kept - 1);
    expect(world.exchanges.report()).toMatchObject({ children: 1, tasks: 1 });
    world.clock.advance(2);
    expect(world.sent()).toContainEqual(expect.objectContaining({ method: 'tasks/cancel' }));
    expect(about(world, 'tasks/get', { taskId }).failures).toEqual([unknownTask]);
    world.clock.advance(63_000);
    expect(world.exchanges.report()).toMatchObject({ children: 0, tasks: 0 });
  });

  test('makes room for another one if nobody has looked at the task for long', () => {
    const world = taskWorld({ ...options, maxChildren: 1 });
    const { taskId } = begun(world, {}, { ttl: null });
    const other = (): FakeCall => world.call('tools/call', { name: 'fast' }, { caller: 'other' });
    world.clock.advance(59_999);
    expect(other().failures).toMatchObject([{ data: { reason: 'too_many_children' } }]);
    world.clock.advance(1);
    expect(other().failures).toEqual([]);
    expect(about(world, 'tasks/get', { taskId }).failures).toEqual([unknownTask]);
  });

  test('counts as a place for others then, of whom each may have several', () => {
    const world = taskWorld({ ...options, maxChildren: 3 });
    begun(world, {}, { ttl: null });
    begun(world, { capabilities: { extensions: { [extension]: {} } } }, { ttl: null });
    const other = (declared: Json): FakeCall =>
      world.call('tools/call', { name: 'fast' }, { caller: 'other', capabilities: declared });
    expect(other({}).failures).toEqual([]);
    expect(other({ elicitation: {} }).failures).toMatchObject([{ data: { reason: 'too_many_children' } }]);
    world.clock.advance(60_000);
    expect(other({ elicitation: {} }).failures).toEqual([]);
    expect(world.exchanges.report().counters.evictions).toBe(1);
  });

  test('goes when it is idle once a subscriber has heard of the result', () => {
    const { world, taskId } = begun(taskWorld(options), {}, { ttl: null });
    const call = listen(world, [taskId]);
    world.say({ method: 'notifications/tasks/status', params: { taskId: 't' } });
    answer(world, { 'tasks/get': { result: { taskId: 't', status: 'completed' } } });
    answer(world, { 'tasks/result': { result: { content: [] } } });
    expect(call.got.at(-1)?.json['params']).toMatchObject({ status: 'completed' });
    call.leave();
    world.clock.advance(63_000);
    expect(world.exchanges.report()).toMatchObject({ children: 0, tasks: 0 });
  });

  test('stays while nobody has got the result: not a client that is away, nor one that does not read yet', () => {
    const task = begun(taskWorld(options), {}, { ttl: null });
    const { world, taskId } = task;
    const completed = { 'tasks/get': { result: { taskId: 't', status: 'completed' } } };
    const away = about(world, 'tasks/get', { taskId });
    away.open = false;
    answer(world, completed);
    answer(world, { 'tasks/result': { result: {} } });
    const call = listen(world, [taskId]);
    call.fast = false;
    world.say({ method: 'notifications/tasks/status', params: { taskId: 't' } });
    answer(world, completed);
    answer(world, { 'tasks/result': { result: {} } });
    call.leave();
    call.drain();
    world.clock.advance(600_000);
    expect(world.exchanges.report()).toMatchObject({ children: 1, tasks: 1 });
    seen(task, 'completed', { result: {} });
    world.clock.advance(63_000);
    expect(world.exchanges.report()).toMatchObject({ children: 0, tasks: 0 });
  });

  test('takes its tasks with it when it is lost', () => {
    const { world, taskId } = begun();
    const waiting = about(world, 'tasks/get', { taskId });
    world.server().lose();
    expect(waiting.failures).toHaveLength(1);
    expect(world.exchanges.report().tasks).toBe(0);
    expect(about(world, 'tasks/get', { taskId }).failures).toEqual([unknownTask]);
  });
});

describe('a subscription to tasks', () => {
  const acknowledged = 'notifications/subscriptions/acknowledged';

  test('is to those of the caller', () => {
    const { world, taskId } = begun();
    const call = listen(world, [taskId, 'none']);
    expect(call.got[0]?.json['params']).toMatchObject({ notifications: { taskIds: [taskId] } });
    const foreign = listen(world, [taskId], { caller: 'other' });
    expect(methodsOf(foreign)).toEqual([acknowledged]);
    expect(foreign.got[0]?.json['params']).toMatchObject({ notifications: {} });
    expect(foreign.responses).toHaveLength(1);
    expect(listen(world, [taskId], { capabilities: {} }).failures).toMatchObject([notDeclared]);
  });

  test('brings each change, as tasks/get would say it', () => {
    const { world, taskId, waiting } = begun();
    const call = listen(world, [taskId]);
    const news = (): unknown[] => call.got.splice(0).map(({ json }) => json['params']);
    news();
    const status = (word: string): void =>
      answer(world, { 'tasks/get': { result: { taskId: 't', status: word, ttl: 60_000 } } });
    world.say({ method: 'notifications/tasks/status', params: { taskId: 't', status: 'working' } });
    world.say({ method: 'notifications/tasks/status', params: { taskId: 'other', status: 'working' } });
    status('working');
    const tagged = { _meta: { 'io.modelcontextprotocol/subscriptionId': expect.anything() } };
    expect(news()).toEqual([{ taskId, status: 'working', ttlMs: 60_000, ...tagged }]);
    ask(world, 70);
    ask(world, 71);
    status('input_required');
    status('input_required');
    expect(news()).toMatchObject([
      { status: 'input_required', inputRequests: { q1: {}, q2: {} } },
      { status: 'input_required', inputRequests: { q1: {}, q2: {} } },
    ]);
    about(world, 'tasks/update', { taskId, inputResponses: { q1: accepted, q2: accepted } });
    world.say({ id: waiting, result: { content: [] } });
    status('completed');
    answer(world, { 'tasks/result': { result: { content: [] } } });
    status('completed');
    answer(world, { 'tasks/result': { result: { content: [] } } });
    expect(news()).toMatchObject([
      { status: 'completed', result: { content: [] } },
      { status: 'completed', result: { content: [] } },
    ]);
  });

  test('costs nothing while nobody has one', () => {
    const { world } = begun();
    world.say({ method: 'notifications/tasks/status', params: { taskId: 't', status: 'working' } });
    expect(world.sent()).toEqual([]);
    world.server().say(message({ method: 'notifications/tasks/status' }));
    expect(world.sent()).toEqual([]);
  });
});

test('a task does not keep the call of which it was made', () => {
  const world = taskWorld();
  const before = heldBytes();
  for (let task = 0; task < 20; task++) {
    world.call('tools/call', { name: 'slow', text: String(task).repeat(1_000_000) }, { capabilities });
    for (const { id, method } of world.sent()) {
      if (method === 'tools/list') world.say({ id, result: { tools } });
    }
  }
  for (const line of world.server().sent.splice(0)) {
    const { id, method } = jsonOf(line);
    if (method === 'tools/call') world.say({ id, result: { task: { taskId: `t${String(id)}` } } });
  }
  expect(world.exchanges.report().tasks).toBe(20);
  expect(heldBytes() - before).toBeLessThan(10_000_000);
});
