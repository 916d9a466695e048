// A modern server makes tasks of calls (SEP-2663): a legacy client only waits longer.
import { describe, expect, test } from 'vitest';
import { failedResponse, notification, request, response } from '../messages.ts';
import { methodsOf, type FakeCall } from '../session/fake-sink.ts';
import { metaKey, openWorld, outcomeOf, type Sent, type World } from './legacy-world.ts';

const capabilities = { tools: {}, extensions: { [metaKey('tasks')]: {} } };
const created = { resultType: 'task', taskId: 't', status: 'working', ttlMs: null, pollIntervalMs: 500 };
const form = { method: 'elicitation/create', params: { message: 'm', requestedSchema: {} } };

const state = (status: string, more: object = {}): object => ({ resultType: 'complete', taskId: 't', status, ...more });

interface TaskWorld extends World {
  readonly task: FakeCall;
  /** What the server is asked of the task when it is looked at, after that time. */
  readonly look: (afterMs: number) => Sent;
}

async function taskWorld(method = 'tools/call'): Promise<TaskWorld> {
  const world = await openWorld(capabilities);
  const task = world.call(1, method, { name: 't', _meta: { progressToken: 'p' } });
  expect(world.toServer()).toMatchObject([
    { params: { _meta: { [metaKey('clientCapabilities')]: { extensions: { [metaKey('tasks')]: {} } } } } },
  ]);
  world.say(response(1, created));
  const look = (afterMs: number): Sent => {
    world.clock.advance(afterMs - 1);
    expect(world.toServer()).toEqual([]);
    world.clock.advance(1);
    const [asked] = world.toServer();
    expect(asked).toMatchObject({
      method: 'tasks/get',
      params: { taskId: 't', _meta: { [metaKey('protocolVersion')]: '2026-07-28' } },
    });
    return asked ?? {};
  };
  return { ...world, task, look };
}

test('the result of the task is that of the call', async () => {
  const { look, answer, task, say, clock } = await taskWorld();
  answer(look(500), state('working'));
  say(notification('notifications/progress', { progressToken: 'p', progress: 1 }));
  const last = look(1000);
  expect(outcomeOf(task)).toEqual([]);
  answer(last, state('completed', { result: { resultType: 'complete', content: [], structuredContent: [1] } }));
  expect(methodsOf(task)).toEqual(['notifications/progress']);
  expect(task.responses.map(({ json }) => json)).toEqual([
    {
      jsonrpc: '2.0',
      id: 1,
      result: { content: [{ type: 'text', text: '[1]' }], structuredContent: { result: [1] } },
    },
  ]);
  expect(clock.pending).toBe(0);
});

test.each([
  [1, 100],
  [10 ** 9, 60_000],
])('a server that says %i ms is asked after %i ms', async (pollIntervalMs, afterMs) => {
  const { look, answer } = await taskWorld();
  answer(look(500), state('working', { pollIntervalMs }));
  expect(look(afterMs)).toBeDefined();
});

describe('a task ends without a result', () => {
  test.each([
    [
      'fails',
      state('failed', { error: { code: -32021, message: 'm' } }),
      { code: -32603, message: 'm', data: { modernCode: -32021 } },
    ],
    [
      'is cancelled by the server',
      state('cancelled'),
      { content: [{ type: 'text', text: 'the server has cancelled the call' }], isError: true },
    ],
    ...['completed', 'failed'].map((status): [string, object, object] => [
      `is ${status}, but has nothing to show for it`,
      state(status),
      {
        code: -32603,
        message: 'the server does not say how the call has ended',
        data: { reason: 'message_unreadable' },
      },
    ]),
    [
      'is forgotten',
      { resultType: 'complete' },
      {
        code: -32603,
        message: 'the server does not say which task it has made of the call',
        data: { reason: 'message_unreadable' },
      },
    ],
  ])('that %s', async (_what, result, outcome) => {
    const { look, answer, task, clock } = await taskWorld();
    answer(look(500), result);
    expect(outcomeOf(task)).toEqual([outcome]);
    expect(clock.pending).toBe(0);
  });

  test('that is unknown', async () => {
    const { look, say, task } = await taskWorld();
    say(failedResponse(look(500).id ?? '', { code: -32602, message: 'unknown task' }));
    expect(outcomeOf(task)).toEqual([{ code: -32602, message: 'unknown task' }]);
  });

  test('that nobody can look at: it is cancelled after some attempts in a row', async () => {
    const { look, answer, say, task, toServer, server, clock } = await taskWorld();
    const lost = { code: -32603, message: 'lost', data: { reason: 'upstream_stream_lost' } };
    const lose = (asked: Sent): void => say(failedResponse(asked.id ?? '', lost));
    for (let times = 0; times < 5; times++) lose(look(500));
    answer(look(500), state('working', { pollIntervalMs: 500 }));
    for (let times = 0; times < 4; times++) lose(look(500));
    server.accepting = false;
    clock.advance(500);
    server.accepting = true;
    expect(outcomeOf(task)).toEqual([]);
    lose(look(500));
    expect(outcomeOf(task)).toEqual([lost]);
    expect(toServer()).toMatchObject([{ method: 'tasks/cancel', params: { taskId: 't' } }]);
    expect(clock.pending).toBe(0);
  });

  test('that the client cancels', async () => {
    const { look, answer, task, forward, toServer, clock } = await taskWorld();
    answer(look(500), state('working'));
    forward(notification('notifications/cancelled', { requestId: 1 }));
    const [cancel, ...more] = toServer();
    expect(cancel).toMatchObject({ method: 'tasks/cancel', params: { taskId: 't' } });
    expect(more).toEqual([]);
    answer(cancel ?? {}, { resultType: 'complete' });
    expect(outcomeOf(task)).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test('whose session ends: it is cancelled', async () => {
    const { channel, toServer, clock } = await taskWorld();
    await channel.close();
    expect(toServer()).toMatchObject([{ method: 'tasks/cancel', params: { taskId: 't' } }]);
    expect(clock.pending).toBe(0);
  });

  test('that is lost with its server while it is looked at', async () => {
    const { server, look, task, say, toServer, standalone } = await taskWorld();
    const asked = look(500);
    server.lose({ untaken: [request(asked.id ?? '')] });
    expect(outcomeOf(task)).toMatchObject([{ data: { reason: 'upstream_exited' } }]);
    say(response(asked.id ?? '', state('working')));
    expect([toServer(), methodsOf(standalone)]).toEqual([[], []]);
  });

  test('that is lost with its server', async () => {
    const { server, task, clock, toServer } = await taskWorld();
    server.lose();
    expect(outcomeOf(task)).toMatchObject([{ data: { reason: 'upstream_exited' } }]);
    clock.advance(60_000);
    expect(toServer()).toEqual([]);
  });
});

describe('a task that wants input', () => {
  const wants = state('input_required', { inputRequests: { a: form } });

  test('gets it, and is asked again when the server has confirmed it', async () => {
    const { look, answer, task, forward, toServer, clock } = await taskWorld();
    answer(look(500), wants);
    expect(methodsOf(task)).toEqual(['elicitation/create']);
    clock.advance(60_000);
    expect(toServer()).toEqual([]);
    forward(response(1, { action: 'accept' }));
    const [update] = toServer();
    expect(update).toMatchObject({
      method: 'tasks/update',
      params: { taskId: 't', inputResponses: { a: { action: 'accept' } } },
    });
    clock.advance(60_000);
    expect(toServer()).toEqual([]);
    answer(update ?? {}, { resultType: 'complete' });
    answer(look(1000), state('completed', { result: { content: [] } }));
    expect(outcomeOf(task)).toEqual([{ content: [] }]);
  });

  test('is not given the same twice, however long the server takes to act on it', async () => {
    const { look, answer, task, forward, toServer } = await taskWorld();
    answer(look(500), wants);
    forward(response(1, { action: 'accept' }));
    answer(toServer()[0] ?? {}, { resultType: 'complete' });
    for (let times = 0; times <= 10; times++) answer(look(1000), wants);
    answer(look(1000), state('input_required', { inputRequests: {} }));
    expect(methodsOf(task)).toEqual(['elicitation/create']);
    answer(look(1000), state('input_required', { inputRequests: { a: form, b: form } }));
    expect(methodsOf(task)).toEqual(['elicitation/create', 'elicitation/create']);
    forward(response(2, { action: 'decline' }));
    const [update] = toServer();
    expect(update?.params?.['inputResponses']).toEqual({ b: { action: 'decline' } });
    expect(outcomeOf(task)).toEqual([]);
  });

  test('is given it again when the server has not taken it', async () => {
    const { look, answer, task, forward, toServer, say } = await taskWorld();
    answer(look(500), wants);
    forward(response(1, { action: 'accept' }));
    say(failedResponse(toServer()[0]?.id ?? '', { code: -32603, message: 'busy' }));
    answer(look(1000), wants);
    expect(methodsOf(task)).toEqual(['elicitation/create', 'elicitation/create']);
  });

  test('and does not get it, is cancelled', async () => {
    const { look, answer, task, forward, toServer, clock } = await taskWorld();
    answer(look(500), wants);
    forward(failedResponse(1, { code: 1, message: 'no' }));
    expect(toServer()).toMatchObject([{ method: 'tasks/cancel' }]);
    expect(outcomeOf(task)).toMatchObject([{ isError: true }]);
    expect(clock.pending).toBe(0);
  });

  test('and whose client cancels the call, is cancelled, and the client asked no more', async () => {
    const { look, answer, task, forward, toServer, standalone, clock } = await taskWorld();
    answer(look(500), wants);
    forward(notification('notifications/cancelled', { requestId: 1 }));
    expect(toServer()).toMatchObject([{ method: 'tasks/cancel' }]);
    expect([...methodsOf(task), ...methodsOf(standalone)]).toContain('notifications/cancelled');
    expect(clock.pending).toBe(0);
  });
});

test('a server that has not advertised tasks makes none', async () => {
  const world = await openWorld();
  const call = world.call(1);
  world.say(response(1, created));
  expect(outcomeOf(call)).toMatchObject([{ data: { reason: 'unknown_result_type' } }]);
});
