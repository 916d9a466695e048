// What several sessions say to one server, and it to them: nothing reaches a wrong one.
import { describe, expect, test } from 'vitest';
import { notification, request, response, watchedRequest } from '../messages.ts';
import { answered, idIn, sharedWorld, written } from './world.ts';

const requestText = (id: string): string =>
  `{ "x-first":1.0,"params" : {"b":12345678901234567890,"a":[1e2, "\\u0041"],"id":"p"},"method":"m","id" :${id} ,"jsonrpc":"2.0"}`;
const answerText = (id: string): string => `{"result":{"n":1.00,"id":3},"id": ${id},"jsonrpc":"2.0","future":0.10}`;
const progress = (progressToken: unknown) => notification('notifications/progress', { progressToken, progress: 1 });
const progressText = (token: string): string =>
  `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":1}}`;

describe('ids', () => {
  test('that are equal never meet', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    a.upstream.send(request(7));
    b.upstream.send(request(7));
    const [first, second] = world.sent().map(idIn);
    expect(first).not.toBe(second);
    world.server().say(response(second ?? '', { for: 'b' }));
    expect([a.take(), b.take()]).toEqual([[], ['{"jsonrpc":"2.0","id":7,"result":{"for":"b"}}']]);
    world.server().say(response(first ?? '', { for: 'a' }));
    expect([a.take(), b.take()]).toEqual([['{"jsonrpc":"2.0","id":7,"result":{"for":"a"}}'], []]);
  });

  test('are all that changes in a request and its answer', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.send(written(requestText(String.raw`"\u0041"`)));
    const [line] = world.sent();
    const id = JSON.stringify(idIn(line));
    expect(line).toBe(requestText(id));
    world.server().say(written(answerText(id)));
    expect(a.take()).toEqual([answerText(String.raw`"\u0041"`)]);
  });

  test.each(['1.0', '-0', '1e3', '9007199254740993', '"1"', '""'])('%s comes back as it was', async (id) => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.send(written(`{"jsonrpc":"2.0","id":${id},"method":"m"}`));
    world.server().say(response(idIn(world.sent()[0])));
    expect(a.take()).toEqual([`{"jsonrpc":"2.0","id":${id},"result":{}}`]);
  });

  test('what has no id passes as it is', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    const line = '{"jsonrpc":"2.0" ,"method":"notifications/x","params":{"n":1.0}}';
    a.upstream.send(written(line));
    expect([world.sent(), b.take()]).toEqual([[line], []]);
  });

  test('of answers that nobody waits for are dropped, with one warning', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.send(request(1));
    const id = idIn(world.sent()[0]);
    world.server().say(response(id));
    world.server().say(response(id));
    world.server().say(response('1'));
    world.server().say(response(1_000_000));
    expect(a.take()).toHaveLength(1);
    expect(world.warnings).toEqual([
      `the server answered a request that it was not sent (id ${JSON.stringify(id)}): dropped`,
    ]);
  });

  test('that the server may read differently are refused', async () => {
    const world = sharedWorld();
    const a = await world.join();
    for (const members of [
      '"id":5,"id":1',
      '"id":1,"ID":5',
      String.raw`"\u0069d":5,"id":1`,
      '"id":1,"Method":"initialize"',
      '"id":1,"result":{}',
      '"id":1,"error":null',
      '"id":1,"params":{"_meta":{"progressToken":1,"ProgressToken":2}}',
    ]) {
      a.upstream.send(written(`{"jsonrpc":"2.0","method":"m",${members}}`));
    }
    a.upstream.send(written('{"jsonrpc":"2.0","method":"notifications/x","ID":5}'));
    a.upstream.send(written('{"jsonrpc":"2.0","method":"notifications/x","result":{}}'));
    await answered();
    expect(world.sent()).toEqual([]);
    const refusals = a.take();
    expect(refusals).toHaveLength(7);
    for (const refusal of refusals) expect(refusal).toContain('"id":1,"error":{"code":-32600,"message":"the me');
  });

  test('of a request that the server does not take are free again', async () => {
    const world = sharedWorld();
    const a = await world.join();
    world.server().accepting = false;
    expect(a.upstream.send(request(1))).toBe(false);
    world.server().accepting = true;
    expect(a.upstream.send(request(1))).toBe(true);
    world.server().say(response(idIn(world.sent()[0])));
    expect(a.take()).toHaveLength(1);
  });
});

describe('progress', () => {
  test('goes to the call whose it is, with the token that the client gave', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    a.upstream.send(watchedRequest(1, 'same'));
    b.upstream.send(watchedRequest(1, 'same'));
    b.upstream.send(watchedRequest(2, 2));
    const tokens = world.sent().map((line) => /"progressToken":(\d+)/.exec(line)?.[1]);
    expect(new Set(tokens).size).toBe(3);
    for (const token of tokens) world.server().say(progress(Number(token)));
    expect(a.take()).toEqual([progressText('"same"')]);
    expect(b.take()).toEqual([progressText('"same"'), progressText('2')]);
    expect([a.origins, b.origins]).toEqual([[1], [1, 2]]);
  });

  test('of a call that is over, was cancelled or gave no token goes nowhere', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.send(watchedRequest(1, 'a'));
    a.upstream.send(watchedRequest(2, 'b'));
    a.upstream.send(request(3));
    const ids = world.sent().map(idIn);
    world.server().say(response(ids[0] ?? ''));
    a.upstream.send(notification('notifications/cancelled', { requestId: 2 }));
    a.take();
    for (const id of [...ids, 'a', 1_000_000, null, String(ids[2])]) world.server().say(progress(id));
    expect(a.take()).toEqual([]);
  });

  test('a token of neither kind stays as it is', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.send(written('{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":[1.0]}}}'));
    expect(world.sent()[0]).toContain('{"progressToken":[1.0]}');
  });
});

describe('cancelling', () => {
  test('reaches the own call only', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    a.upstream.send(request(1));
    b.upstream.send(request('b'));
    const [ofA] = world.sent().map(idIn);
    b.upstream.send(notification('notifications/cancelled', { requestId: 1 }));
    b.upstream.send(notification('notifications/cancelled', { requestId: ofA }));
    b.upstream.send(notification('notifications/cancelled', {}));
    b.upstream.send(
      written(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"b","RequestId":${ofA}}}`),
    );
    expect(world.sent()).toEqual([]);
    a.upstream.send(
      written('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":1.0,"requestId":1}}'),
    );
    expect(world.sent()).toEqual([
      `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":1.0,"requestId":${ofA}}}`,
    ]);
  });

  test('still lets a late answer come, and says nothing twice', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.send(request(1));
    const id = idIn(world.sent()[0]);
    const cancelled = notification('notifications/cancelled', { requestId: 1 });
    a.upstream.send(cancelled);
    a.upstream.send(cancelled);
    expect(world.sent()).toHaveLength(1);
    world.server().say(response(id, { late: true }));
    expect(a.take()).toEqual(['{"jsonrpc":"2.0","id":1,"result":{"late":true}}']);
    expect(world.warnings).toEqual([]);
  });
});

describe('notifications for all', () => {
  test.each(['notifications/tools/list_changed', 'notifications/prompts/list_changed', 'notifications/x/y'])(
    '%s goes to everybody who has been initialized',
    async (method) => {
      const world = sharedWorld();
      const [a, b] = [await world.join(), await world.join()];
      const early = world.attach();
      const line = `{"jsonrpc":"2.0","method":"${method}","params":{"n":1.0}}`;
      world.server().say(written(line));
      expect([a.take(), b.take(), early.take()]).toEqual([[line], [line], []]);
    },
  );

  test('those that come with a call go to its session alone, except that a list has changed', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    a.upstream.send(request('x'));
    const origin = idIn(world.sent()[0]);
    world.server().say(notification('notifications/message', { level: 'info', data: 'secret' }), origin);
    world.server().say(notification('notifications/x'), origin);
    expect([a.take().length, a.origins, b.take()]).toEqual([2, ['x', 'x'], []]);
    world.server().say(notification('notifications/tools/list_changed'), origin);
    expect([a.take().length, b.take().length]).toEqual([1, 1]);
    await a.upstream.close();
    world.server().say(notification('notifications/x'), origin);
    expect(b.take()).toEqual([]);
  });

  test('the status of a task goes to whose it is', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    b.upstream.send(request(1));
    world.server().say(response(idIn(world.sent()[0]), { task: { taskId: 't1', status: 'working' } }));
    b.take();
    const related = { _meta: { 'io.modelcontextprotocol/related-task': { taskId: 't1' } }, data: 1 };
    world.server().say(notification('notifications/tasks/status', { taskId: 't1' }));
    world.server().say(notification('notifications/message', related));
    world.server().say(notification('notifications/tasks/status', { taskId: 'unknown' }));
    world.server().say(notification('notifications/tasks/status', {}));
    expect([a.take(), b.take().length]).toEqual([[], 2]);
    await b.upstream.close();
    world.server().say(notification('notifications/tasks/status', { taskId: 't1' }));
    expect(a.take()).toEqual([]);
  });
});
