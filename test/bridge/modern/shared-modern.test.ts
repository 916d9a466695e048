import { describe, expect, test } from 'vitest';
import { answered, written } from '../shared/world.ts';
import { failedResponse, notification, request, response, watchedRequest } from '../messages.ts';
import { modernWorld, type ModernClient, type ModernWorld } from './world.ts';

const logLevelKey = 'io.modelcontextprotocol/logLevel';
const subscriptionKey = 'io.modelcontextprotocol/subscriptionId';

const cancelled = (requestId: number | string) => notification('notifications/cancelled', { requestId });

/** Both make the same call, which the server gets as 1 and 2. */
function twoCallers(): { world: ModernWorld; a: ModernClient; b: ModernClient } {
  const world = modernWorld();
  const [a, b] = [world.attach(), world.attach()];
  for (const { upstream } of [a, b]) upstream.send(watchedRequest(7, 't'));
  return { world, a, b };
}

const log = (level?: string) => notification('notifications/message', { level, data: 'x' });
const call = ({ upstream }: ModernClient, id: number, level?: string) =>
  upstream.send(request(id, 'tools/call', { _meta: { [logLevelKey]: level } }));

function listen({ upstream }: ModernClient, id: number | string): void {
  upstream.send(request(id, 'subscriptions/listen', { notifications: { toolsListChanged: true } }));
}

describe('what is equal', () => {
  test('is kept apart: ids and progress tokens, of which the server sees numbers', () => {
    const { world, a, b } = twoCallers();
    expect(world.sent().map((line) => JSON.parse(line))).toMatchObject([
      { id: 1, params: { _meta: { progressToken: 1 } } },
      { id: 2, params: { _meta: { progressToken: 2 } } },
    ]);
    world.server().say(notification('notifications/progress', { progressToken: 2, progress: 1 }));
    world.server().say(response(2, { n: 2 }));
    world.server().say(response(1, { n: 1 }));
    expect(b.take()).toEqual([
      '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":1}}',
      '{"jsonrpc":"2.0","id":7,"result":{"n":2}}',
    ]);
    expect([a.take(), b.origins]).toEqual([['{"jsonrpc":"2.0","id":7,"result":{"n":1}}'], [7, undefined]]);
  });

  test('comes back as it was written, and nothing else of a message changes', () => {
    const world = modernWorld();
    const a = world.attach();
    const text =
      '{"params": {"x":1.0,"_meta":{"progressToken" : 1e1,"v":12345678901234567890}},"method":"x/y","id": 1.0,"jsonrpc":"2.0"}';
    a.upstream.send(written(text));
    expect(world.sent()).toEqual([text.replace('1e1', '1').replace('"id": 1.0', '"id": 1')]);
    world.server().say(notification('notifications/progress', { progressToken: 1, progress: 1 }));
    world
      .server()
      .say(written('{"jsonrpc":"2.0","id":1,"result":{"ttlMs":1.50,"resultType":"complete","_meta":{"z":[]}}}'));
    expect(a.take()).toEqual([
      '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1e1,"progress":1}}',
      '{"jsonrpc":"2.0","id":1.0,"result":{"ttlMs":1.50,"resultType":"complete","_meta":{"z":[]}}}',
    ]);
  });

  test('is kept apart on subscriptions: notifications, and the result that ends one', () => {
    const world = modernWorld();
    const [a, b] = [world.attach(), world.attach()];
    listen(a, 'listen');
    listen(b, 'listen');
    listen(b, 5);
    const marked = (method: string, id: number | string) =>
      notification(method, { _meta: { [subscriptionKey]: id, other: 1 } });
    world.server().say(marked('notifications/subscriptions/acknowledged', 2));
    // Some servers write every id as a string.
    world.server().say(marked('notifications/tools/list_changed', '3'));
    world.server().say(marked('notifications/tools/list_changed', 9));
    world.server().say(response(2, { resultType: 'complete', _meta: { [subscriptionKey]: 2 } }));
    world.server().say(failedResponse(3));
    expect([a.take(), world.shared.dropped]).toEqual([[], 0]);
    expect(b.take().map((line) => JSON.parse(line))).toEqual([
      {
        jsonrpc: '2.0',
        method: 'notifications/subscriptions/acknowledged',
        params: { _meta: { [subscriptionKey]: 'listen', other: 1 } },
      },
      {
        jsonrpc: '2.0',
        method: 'notifications/tools/list_changed',
        params: { _meta: { [subscriptionKey]: 5, other: 1 } },
      },
      { jsonrpc: '2.0', id: 'listen', result: { resultType: 'complete', _meta: { [subscriptionKey]: 'listen' } } },
      { jsonrpc: '2.0', id: 5, error: { code: -32601, message: 'no' } },
    ]);
    expect(b.origins).toEqual(['listen', 5, undefined, undefined]);
  });

  test('a server may end a subscription without a result', () => {
    const world = modernWorld();
    const a = world.attach();
    listen(a, 'listen');
    world.server().say(cancelled(1));
    world.server().say(cancelled(1));
    expect([a.take(), a.origins]).toEqual([
      ['{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"listen"}}'],
      ['listen'],
    ]);
  });
});

describe('a notification that names no request', () => {
  const odd = notification('x/odd', { data: 'x' });

  test('goes to the request on whose stream it came', () => {
    const { world, a, b } = twoCallers();
    world.server().say(odd, 2);
    expect([a.take().length, b.take().length, b.origins]).toEqual([0, 1, [7]]);
    b.upstream.send(cancelled(7));
    world.server().say(odd, 2);
    expect([a.take(), b.take(), world.shared.dropped]).toEqual([[], [], 1]);
  });

  test('without a stream goes to the only request in flight, beside any subscriptions', () => {
    const world = modernWorld();
    const [a, b] = [world.attach(), world.attach()];
    listen(a, 'listen');
    b.upstream.send(request(7));
    world.server().say(odd);
    expect([a.take().length, b.take().length, b.origins]).toEqual([0, 1, [7]]);
  });

  test('is dropped and counted where there are several, or none, with one warning', () => {
    const { world, a, b } = twoCallers();
    world.server().say(odd);
    world.server().say(odd);
    world.server().say(response(1));
    world.server().say(odd);
    world.server().say(response(2));
    world.server().say(odd);
    expect([a.take().length, b.take().length, world.shared.dropped]).toEqual([1, 2, 3]);
    expect(world.warnings).toEqual(['dropped "x/odd" of the server: no request is known that it belongs to']);
  });

  test('may be of a request that was cancelled, until that is long ago or answered', () => {
    const { world, a, b } = twoCallers();
    a.upstream.send(cancelled(7));
    world.server().say(odd);
    expect([a.take(), b.take(), world.shared.dropped]).toEqual([[], [], 1]);
    world.clock.advance(10_000);
    world.server().say(odd);
    expect(b.take().length).toBe(1);
    a.upstream.send(request(8));
    a.upstream.send(cancelled(8));
    world.server().say(response(3));
    world.server().say(odd);
    expect([a.take(), b.take().length]).toEqual([[], 1]);
  });
});

describe('a log message that names no request', () => {
  test('goes to the request that asks for such messages, whatever else is in flight or was cancelled', () => {
    const world = modernWorld();
    const [a, b] = [world.attach(), world.attach()];
    call(a, 1);
    call(a, 2);
    a.upstream.send(cancelled(2));
    call(b, 3, 'warning');
    call(a, 4, 'emergency');
    world.server().say(log('warning'));
    world.server().say(log('error'));
    expect([a.take().length, b.take().length, b.origins]).toEqual([0, 2, [3, 3]]);
    world.server().say(log('info'));
    expect([a.take(), b.take(), world.shared.dropped]).toEqual([[], [], 1]);
  });

  test('is for nobody where requests of several clients ask, one of them until it was cancelled long ago', () => {
    const world = modernWorld();
    const [a, b] = [world.attach(), world.attach()];
    call(a, 1, 'info');
    call(b, 2, 'info');
    world.server().say(log('info'));
    world.server().say(log());
    a.upstream.send(cancelled(1));
    world.server().say(log('info'));
    expect([a.take(), b.take(), world.shared.dropped]).toEqual([[], [], 3]);
    world.clock.advance(10_000);
    world.server().say(log('info'));
    world.server().say(log());
    expect([a.take(), b.take().length]).toEqual([[], 2]);
  });

  test('goes to the newest where one client asks several times', () => {
    const world = modernWorld();
    const a = world.attach();
    for (const id of [1, 2, 3]) call(a, id, 'info');
    a.upstream.send(cancelled(3));
    world.server().say(log('info'));
    expect([a.take().length, a.origins]).toEqual([1, [2]]);
  });
});

describe('the end of a call', () => {
  test('that is cancelled is told to the server under its own id, and its late answer is dropped', () => {
    const { world, a, b } = twoCallers();
    world.sent();
    b.upstream.send(
      written('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":"x","requestId":7}}'),
    );
    b.upstream.send(cancelled(99));
    expect(world.sent()).toEqual([
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":"x","requestId":2}}',
    ]);
    world.server().say(notification('notifications/progress', { progressToken: 2, progress: 1 }));
    world.server().say(response(2));
    world.server().say(response(99));
    expect([a.take(), b.take()]).toEqual([[], []]);
  });

  test('whose client leaves is told to the server, which goes on for the others', async () => {
    const { world, a, b } = twoCallers();
    world.sent();
    await b.upstream.close();
    await answered();
    expect(world.sent()).toEqual([
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2,"reason":"the client has gone"}}',
    ]);
    world.server().say(response(2));
    world.server().say(response(1));
    expect([b.take(), b.ends.length, a.take().length, a.ends]).toEqual([[], 1, 1, []]);
    expect([b.upstream.send(request(1)), world.server().closeCalls]).toEqual([false, 0]);
  });

  test('that cancels a task is carried out after its client has left', async () => {
    const { world, b } = twoCallers();
    b.upstream.send(request(8, 'tasks/cancel', { taskId: 't' }));
    world.sent();
    await b.upstream.close();
    expect(world.sent().map((line) => JSON.parse(line))).toMatchObject([{ params: { requestId: 2 } }]);
  });

  test('that the server would read otherwise is an error at once', async () => {
    const { world, a } = twoCallers();
    world.sent();
    a.upstream.send(written('{"jsonrpc":"2.0","id":8,"ID":7,"method":"tools/call"}'));
    await answered();
    expect(world.sent()).toEqual([]);
    expect(JSON.parse(a.take()[0] ?? '')).toMatchObject({ id: 8, error: { code: -32600 } });
  });

  test('which the server does not take is nobody’s', () => {
    const { world, a, b } = twoCallers();
    world.server().accepting = false;
    world.server().fill();
    expect(a.upstream.send(request(8))).toBe(false);
    world.server().say(response(3));
    expect([a.take(), b.take()]).toEqual([[], []]);
  });
});

describe('a server', () => {
  test('that asks something is told that nobody knows the method, with one warning', () => {
    const { world, a, b } = twoCallers();
    world.sent();
    for (const method of ['ping', 'roots/list']) world.server().say(request('s', method));
    expect(world.sent().map((line) => JSON.parse(line))).toMatchObject([
      { id: 's', error: { code: -32601 } },
      { id: 's', error: { code: -32601 } },
    ]);
    expect([a.take(), b.take(), world.warnings]).toEqual([
      [],
      [],
      ['the server sent the request "ping", which none of revision 2026-07-28 may'],
    ]);
  });

  test('gets notifications as they are, and no answers', () => {
    const { world, a } = twoCallers();
    world.sent();
    expect(a.upstream.send(response('s'))).toBe(true);
    a.upstream.send(notification('notifications/x', { y: 1 }));
    expect(world.sent()).toEqual(['{"jsonrpc":"2.0","method":"notifications/x","params":{"y":1}}']);
  });
});

describe('a client that does not read', () => {
  test('holds up nobody, and gets everything of its call in order when it reads again', () => {
    const { world, a, b } = twoCallers();
    a.upstream.pause();
    for (let progress = 0; progress < 3; progress++)
      world.server().say(notification('notifications/progress', { progressToken: 1, progress }));
    world.server().say(response(1));
    world.server().say(response(2));
    expect([a.take(), b.take().length, world.server().paused]).toEqual([[], 1, false]);
    a.upstream.resume();
    expect(a.take().map((line) => JSON.parse(line).params?.progress)).toEqual([0, 1, 2, undefined]);
  });

  test('holds up the server once four megabytes of answers wait, until it reads or leaves', async () => {
    const world = modernWorld();
    const a = world.attach();
    const calls = 6;
    for (let id = 1; id <= calls; id++) a.upstream.send(request(id));
    a.upstream.pause();
    for (let id = 1; id < calls; id++) world.server().say(response(id, { text: 'x'.repeat(1024 * 1024) }));
    expect(world.server().paused).toBe(true);
    a.upstream.resume();
    expect([world.server().paused, a.take().length]).toEqual([false, calls - 1]);
  });

  test('holds up nobody with its last answer, however large, until it calls again', () => {
    const { world, a, b } = twoCallers();
    a.upstream.pause();
    world.server().say(response(1, { text: 'x'.repeat(5 * 1024 * 1024) }));
    world.server().say(response(2));
    expect([world.server().paused, b.take().length]).toEqual([false, 1]);
    for (const id of [8, 9]) a.upstream.send(request(id));
    expect([world.server().paused, world.server().pauses]).toEqual([true, 1]);
    a.upstream.resume();
    expect([world.server().paused, a.take().length]).toEqual([false, 1]);
  });

  test('hears of a change once on each of its subscriptions', () => {
    const world = modernWorld();
    const a = world.attach();
    listen(a, 'x');
    listen(a, 'y');
    a.upstream.pause();
    for (const id of [1, 2, 1, 2])
      world
        .server()
        .say(notification('notifications/resources/updated', { uri: 'u:', _meta: { [subscriptionKey]: id } }));
    a.upstream.resume();
    expect([a.take().length, a.origins]).toEqual([2, ['x', 'y']]);
  });
});

test('its end is that of all clients, also of one that comes later', async () => {
  const { world, a, b } = twoCallers();
  await world.shared.close();
  const late = world.attach();
  await answered();
  expect([a, b, late].map(({ ends }) => ends.map(({ code }) => code))).toEqual([
    ['upstream_exited'],
    ['upstream_exited'],
    ['upstream_exited'],
  ]);
  expect([world.server().closeCalls, late.upstream.send(request(1))]).toEqual([1, false]);
});
