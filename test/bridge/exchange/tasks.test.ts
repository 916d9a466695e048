import { describe, expect, test } from 'vitest';
import { type FakeCall } from '../session/fake-sink.ts';
import {
  about,
  accepted,
  answer,
  ask,
  begun,
  called,
  capabilities,
  day,
  extension,
  seen,
  taskWorld,
  times,
  unknownTask,
} from './task-world.ts';
import { jsonOf, objectIn, resultOf, type Json } from './world.ts';

describe('a call of a client that knows tasks', () => {
  test.each(['slow', 'either'])('becomes a task in a server that runs the tool %s as one', (name) => {
    const world = taskWorld();
    const { call, sent } = called(world, name);
    expect(sent).toMatchObject({ method: 'tools/call', params: { name, task: { ttl: day } } });
    const task = { taskId: 't', status: 'working', ...times, ttl: 60_000, pollInterval: 50 };
    world.say({ id: sent['id'], result: { task } });
    expect(resultOf(call)).toEqual({
      resultType: 'task',
      taskId: expect.stringMatching(/^[\w-]{22}$/),
      status: 'working',
      ...times,
      ttlMs: 60_000,
      pollIntervalMs: 50,
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'fake', version: '9' } },
    });
  });

  test('is a plain call of a tool that does not run as one', () => {
    const world = taskWorld();
    expect(objectIn(called(world, 'fast').sent['params'])).not.toHaveProperty('task');
  });

  test('is a plain call if the client has not declared the extension with it', () => {
    const world = taskWorld();
    expect(objectIn(called(world, 'either', { capabilities: {} }).sent['params'])).not.toHaveProperty('task');
    const { call, sent } = called(world, 'slow', { capabilities: {} });
    world.say({ id: sent['id'], result: { task: { taskId: 't' } } });
    expect(call.responses).toEqual([]);
    world.say({ id: world.sent()[0]?.['id'], result: { content: [] } });
    expect(resultOf(call)).toMatchObject({ content: [], resultType: 'complete' });
    expect(world.exchanges.report().tasks).toBe(0);
  });

  test('may be asked something first, and becomes a task when it is sent again', () => {
    const world = taskWorld();
    const { call, sent } = called(world, 'slow');
    world.say({ id: 70, method: 'elicitation/create', params: { message: 'Sure?' } });
    world.clock.advance(20);
    const { requestState } = resultOf(call);
    const again = about(world, 'tools/call', { name: 'slow', requestState, inputResponses: { q1: accepted } });
    world.say({ id: sent['id'], result: { task: { taskId: 't', status: 'working' } } });
    expect(resultOf(again)).toMatchObject({ resultType: 'task' });
    expect(resultOf(again)).not.toHaveProperty('requestState');
  });

  test('has a task that is cancelled if its client does not come back for it', () => {
    const world = taskWorld({ parkTtlMs: 1000 });
    const { sent } = called(world, 'slow');
    world.say({ id: 70, method: 'elicitation/create', params: { message: 'Sure?' } });
    world.clock.advance(20);
    world.say({ id: sent['id'], result: { task: { taskId: 't', status: 'working' } } });
    world.sent();
    world.clock.advance(1000);
    expect(world.sent()).toContainEqual(expect.objectContaining({ method: 'tasks/cancel', params: { taskId: 't' } }));
  });

  test('is awaited as before where there are too many tasks, unless an old one has been read', () => {
    const world = taskWorld();
    const all = Array.from({ length: 64 }, () => begun(world));
    expect(world.exchanges.report().tasks).toBe(64);
    expect(objectIn(called(world, 'either').sent['params'])).not.toHaveProperty('task');
    const { call, sent } = called(world, 'slow');
    world.say({ id: sent['id'], result: { task: { taskId: 'u' } } });
    expect(call.responses).toEqual([]);
    const [first, second] = all;
    if (first === undefined || second === undefined) throw new Error('no tasks');
    seen(second, 'completed', { result: {} });
    begun(world);
    expect(world.exchanges.report().tasks).toBe(64);
    expect(about(world, 'tasks/get', { taskId: second.taskId }).failures).toEqual([unknownTask]);
    expect(seen(first, 'working')).toMatchObject({ status: 'working' });
    expect(called(world, 'either', { caller: 'other' }).sent['params']).toHaveProperty('task');
  });
});

describe('tasks/get', () => {
  test('says how the task stands', () => {
    expect(seen(begun(), 'working')).toMatchObject({
      resultType: 'complete',
      status: 'working',
      ttlMs: 60_000,
      pollIntervalMs: 50,
    });
  });

  test('has the result once there is one', () => {
    const result = {
      content: [],
      isError: true,
      _meta: { 'io.modelcontextprotocol/related-task': { taskId: 't' }, a: 1 },
    };
    const task = seen(begun(), 'failed', { result });
    expect(task).toMatchObject({ status: 'completed', resultType: 'complete' });
    expect(task['result']).toEqual({ content: [], isError: true, resultType: 'complete', _meta: { a: 1 } });
    expect(task).not.toHaveProperty('error');
  });

  test('has the error with which the call has failed', () => {
    const task = seen(begun(), 'failed', { error: { code: -32603, message: 'broken' } });
    expect(task).toMatchObject({ status: 'failed', error: { code: -32603, message: 'broken' } });
    expect(task).not.toHaveProperty('result');
  });

  test('may be asked again, for as long as the task is kept', () => {
    const task = begun();
    for (const text of ['x', 'y']) {
      expect(seen(task, 'completed', { result: { content: [text] } })['result']).toMatchObject({ content: [text] });
    }
    task.world.clock.advance(59_999);
    expect(seen(task, 'completed', { result: {} })).toMatchObject({ status: 'completed' });
    task.world.clock.advance(1);
    expect(about(task.world, 'tasks/get', { taskId: task.taskId }).failures).toEqual([unknownTask]);
  });

  test('passes on what the server says of a task that it does not have any more', () => {
    const { world, taskId } = begun();
    const call = about(world, 'tasks/get', { taskId });
    answer(world, { 'tasks/get': { error: { code: -32602, message: 'expired' } } });
    expect(call.responses[0]?.json['error']).toEqual({ code: -32602, message: 'expired' });
    const other = about(world, 'tasks/get', { taskId });
    answer(world, { 'tasks/get': { result: {} } });
    expect(other.failures).toMatchObject([{ data: { reason: 'message_unreadable' } }]);
  });

  test('is withdrawn when its client goes, and so is what it asks next', () => {
    const { world, taskId } = begun();
    const leftAfter = (answers: Json): void => {
      const call = about(world, 'tasks/get', { taskId });
      answer(world, answers);
      const asked = world
        .server()
        .sent.map(jsonOf)
        .findLast(({ params }) => objectIn(params)['taskId'] === 't');
      world.sent();
      call.leave();
      expect(world.sent()).toMatchObject([{ method: 'notifications/cancelled', params: { requestId: asked?.['id'] } }]);
    };
    leftAfter({});
    leftAfter({ 'tasks/get': { result: { taskId: 't', status: 'completed' } } });
  });

  test('is refused beyond a thousand that the server has not answered', () => {
    const { world, taskId } = begun();
    const calls = Array.from({ length: 1001 }, () => about(world, 'tasks/get', { taskId }));
    expect(calls.filter(({ failures }) => failures.length === 0)).toHaveLength(999);
    expect(calls.at(-1)?.failures).toMatchObject([{ data: { reason: 'too_many_calls' } }]);
    for (const call of calls) call.leave();
    expect(about(world, 'tasks/get', { taskId }).failures).toEqual([]);
  });

  test('waits for the result again if the server has refused to say it before', () => {
    const task = begun();
    const { world, taskId, waiting } = task;
    const look = (): FakeCall => {
      const call = about(world, 'tasks/get', { taskId });
      answer(world, { 'tasks/get': { result: { taskId: 't', status: 'working' } } });
      return call;
    };
    world.say({ id: waiting, error: { code: -32602, message: 'not yet' } });
    expect(resultOf(look())).toMatchObject({ status: 'working' });
    expect(world.sent()).toMatchObject([{ method: 'tasks/result', params: { taskId: 't' } }]);
    expect(resultOf(look())).toMatchObject({ status: 'working' });
    expect(world.sent()).toEqual([]);
  });
});

describe('what the server asks in a task', () => {
  test('comes with tasks/get, and is answered by tasks/update, one by one', () => {
    const task = begun();
    const { world, taskId } = task;
    ask(world, 70);
    ask(world, 71);
    const asked = seen(task, 'input_required');
    expect(asked).toMatchObject({
      status: 'input_required',
      inputRequests: {
        q1: { method: 'elicitation/create', params: { message: 'Question 70' } },
        q2: { method: 'elicitation/create', params: { message: 'Question 71' } },
      },
    });
    expect(JSON.stringify(asked)).not.toContain('related-task');
    const update = about(world, 'tasks/update', { taskId, inputResponses: { q1: accepted, q9: accepted } });
    expect(resultOf(update)).toEqual({ resultType: 'complete', _meta: expect.anything() });
    expect(world.sent()).toEqual([{ jsonrpc: '2.0', id: 70, result: accepted }]);
    expect(Object.keys(objectIn(seen(task, 'input_required')['inputRequests']))).toEqual(['q2']);
    about(world, 'tasks/update', { taskId, inputResponses: { q1: accepted, q2: accepted } });
    expect(world.sent()).toEqual([{ jsonrpc: '2.0', id: 71, result: accepted }]);
    expect(seen(task, 'input_required')).toMatchObject({ status: 'working' });
    ask(world, 72);
    expect(Object.keys(objectIn(seen(task, 'working')['inputRequests']))).toEqual(['q3']);
  });

  test('goes on waiting for an answer that is none', () => {
    const task = begun();
    const { world, taskId } = task;
    ask(world, 70);
    about(world, 'tasks/update', { taskId, inputResponses: { q1: { action: 'surprise' } } });
    expect(seen(task, 'working')).toMatchObject({ status: 'input_required' });
    const wrong = about(world, 'tasks/update', { taskId });
    expect(wrong.failures).toMatchObject([{ code: -32602, message: expect.stringContaining('inputResponses') }]);
  });

  test('may be withdrawn', () => {
    const task = begun();
    ask(task.world, 70);
    task.world.say({ method: 'notifications/cancelled', params: { requestId: 70 } });
    expect(seen(task, 'working')).toMatchObject({ status: 'working' });
  });

  test('belongs to the task and not to a call that runs next to it', () => {
    const task = begun();
    const { world } = task;
    const { call } = world.begun({ name: 'fast' }, { capabilities });
    ask(world, 70);
    world.clock.advance(20);
    expect(call.responses).toEqual([]);
    expect(world.exchanges.report().counters.ambiguousAttributions).toBe(0);
    expect(seen(task, 'working')).toMatchObject({ status: 'input_required' });
  });

  test('belongs to the task if it comes with its result, although it does not name it', () => {
    const task = begun();
    const { call } = task.world.begun({ name: 'fast' }, { capabilities });
    task.world.say({ id: 70, method: 'elicitation/create', params: { message: 'x' } }, Number(task.waiting));
    task.world.clock.advance(20);
    expect(call.responses).toEqual([]);
    expect(seen(task, 'working')).toMatchObject({ status: 'input_required' });
  });

  test('is taken for that of the task where nothing else runs, but for the roots', () => {
    const task = begun(taskWorld(), { capabilities: { ...capabilities, roots: {} } });
    task.world.say({ id: 70, method: 'elicitation/create', params: { message: 'Unmarked?' } });
    task.world.say({ id: 71, method: 'roots/list' });
    const { inputRequests } = seen(task, 'working');
    expect(Object.values(objectIn(inputRequests))).toMatchObject([{ method: 'elicitation/create' }]);
  });

  test('is refused where its client is not capable of it', () => {
    const { world } = begun(taskWorld(), { capabilities: { extensions: { [extension]: {} } } });
    ask(world, 70);
    expect(world.sent()).toMatchObject([{ id: 70, error: { code: -32603 } }]);
  });
});

describe('tasks/cancel', () => {
  test('is taken at once; the server hears of it before what it has asked fails', () => {
    const task = begun();
    const { world, taskId, waiting } = task;
    ask(world, 70);
    expect(resultOf(about(world, 'tasks/cancel', { taskId }))).toEqual({
      resultType: 'complete',
      _meta: expect.anything(),
    });
    expect(world.sent()).toMatchObject([
      { method: 'tasks/cancel', params: { taskId: 't' } },
      { method: 'notifications/cancelled', params: { requestId: waiting } },
      { id: 70, error: { data: { reason: 'client_gone' } } },
    ]);
    const cancelled = seen(task, 'cancelled');
    expect(cancelled).toMatchObject({ status: 'cancelled' });
    expect(Object.keys(cancelled)).not.toEqual(expect.arrayContaining(['result', 'error', 'inputRequests']));
  });

  test('of a task that has ended is taken too', () => {
    const task = begun();
    seen(task, 'completed', { result: {} });
    expect(resultOf(about(task.world, 'tasks/cancel', { taskId: task.taskId }))).toMatchObject({
      resultType: 'complete',
    });
  });
});
