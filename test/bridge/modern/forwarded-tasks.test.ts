import { describe, expect, test } from 'vitest';
import { parseMessage, type RpcRequest } from '../../../src/mcp/json-rpc.ts';
import { createPolicy } from '../../../src/policy/policy.ts';
import { request, response } from '../messages.ts';
import { call, envelope, exchangesWorld, type ExchangesWorld, type RunOptions } from './exchanges-world.ts';

const extension = 'io.modelcontextprotocol/tasks';
const declaring = {
  ...envelope,
  'io.modelcontextprotocol/clientCapabilities': { extensions: { [extension]: {} } },
};
const methods = ['tasks/get', 'tasks/update', 'tasks/cancel'];
const unknownTask = { code: -32602, data: { reason: 'unknown_task' } };

function about(method: string, taskId: unknown, _meta: object = declaring): RpcRequest {
  return request(9, method, { taskId, _meta });
}

/** A task that the server has made of a call. */
function begun(taskId = 't', options: RunOptions = {}, existing?: ExchangesWorld): ExchangesWorld {
  const all = existing ?? exchangesWorld();
  all.run(call(1), options);
  const id = all.sent().at(-1)?.id;
  all.world.server().say(response(id ?? 0, { resultType: 'task', taskId, status: 'working' }));
  return all;
}

describe('a task of a server', () => {
  test.each(methods)('is there for its caller: %s passes as it is', (method) => {
    const { run, sent } = begun();
    run(about(method, 't'));
    expect(sent()).toMatchObject([{ method, params: { taskId: 't' } }]);
  });

  test.each(methods)('is there for nobody else: %s fails as for one that is not there', (method) => {
    const policy = createPolicy({ denyTools: ['other'] });
    const { run, sent } = begun();
    const foreign = run(about(method, 't'), { caller: 'you' });
    const absent = run(about(method, 'absent'));
    expect(foreign.failures).toEqual(absent.failures);
    expect(foreign.failures).toMatchObject([unknownTask]);
    expect(run(about(method, 't'), { policy }).failures).toMatchObject([unknownTask]);
    expect(run(about(method, { id: 't' })).failures).toMatchObject([unknownTask]);
    expect(sent()).toEqual([]);
  });

  test.each(methods)('%s needs the extension', (method) => {
    const { run, sent } = begun();
    expect(run(about(method, 't', envelope)).failures).toMatchObject([
      { code: -32021, data: { requiredCapabilities: { extensions: { [extension]: {} } } } },
    ]);
    expect(sent()).toEqual([]);
  });

  test('is that of the last of two callers whose tasks have the same name', () => {
    const all = begun('t', { caller: 'you' }, begun());
    expect(all.run(about('tasks/get', 't')).failures).toMatchObject([unknownTask]);
    all.run(about('tasks/get', 't'), { caller: 'you' });
    expect(all.sent()).toHaveLength(1);
  });

  test('is forgotten with its server: the next one may give its name to a caller who is not known here', () => {
    const { world, run } = begun();
    world.server().die();
    expect(run(about('tasks/get', 't')).failures).toMatchObject([unknownTask]);
  });

  test('is made by a result of its type alone', () => {
    const { world, run, sent } = exchangesWorld();
    run(call(1));
    world.server().say(response(1, { resultType: 'complete', content: [], taskId: 't' }));
    sent();
    expect(run(about('tasks/get', 't')).failures).toMatchObject([unknownTask]);
  });

  test('is forgotten when its caller has made too many others, which costs no other caller one', () => {
    let all = begun('foreign', { caller: 'you' });
    for (let number = 0; number <= 1000; number++) all = begun(`t${number}`, {}, all);
    expect(all.run(about('tasks/get', 't0')).failures).toMatchObject([unknownTask]);
    all.run(about('tasks/get', 't1'));
    all.run(about('tasks/get', 'foreign'), { caller: 'you' });
    expect(all.sent()).toHaveLength(2);
  });

  test('is not looked after where callers are not known', () => {
    const { run, sent } = exchangesWorld({ areCallersKnown: false });
    run(about('tasks/get', 'any', envelope));
    expect(sent()).toMatchObject([{ method: 'tasks/get', params: { taskId: 'any' } }]);
  });
});

test('a subscription is to the tasks of its caller', () => {
  const { run, sent } = begun();
  const listen = (caller?: string): unknown => {
    const notifications = { toolsListChanged: true, taskIds: ['t', 'absent'] };
    run(
      request(2, 'subscriptions/listen', { notifications, _meta: declaring }),
      caller === undefined ? {} : { caller },
    );
    return sent()[0]?.params['notifications'];
  };
  expect(listen()).toEqual({ toolsListChanged: true, taskIds: ['t'] });
  expect(listen('you')).toEqual({ toolsListChanged: true, taskIds: [] });
});

test.each([
  '"notifications":{"taskIds":["t"],"taskIds":["own"]}',
  '"notifications":{"taskIds":["own"],"TaskIds":["t"]}',
  '"notifications":{"taskIds":["t"]},"notifications":{"taskIds":["own"]}',
])('a subscription that the server may read otherwise does not reach it: %s', (params) => {
  const { run, sent } = begun('own', { caller: 'you' }, begun());
  const bytes = `{"jsonrpc":"2.0","id":2,"method":"subscriptions/listen","params":{${params},"_meta":${JSON.stringify(declaring)}}}`;
  const listen = parseMessage(Buffer.from(bytes));
  if (listen.kind !== 'request') throw new Error('it is no request');
  expect(run(listen, { caller: 'you' }).failures).toMatchObject([
    { code: -32600, data: { reason: 'ambiguous_request' } },
  ]);
  expect(sent()).toEqual([]);
});
