// Requests of a server that several sessions share: they reach the session that they belong to, or nobody.
import { describe, expect, test } from 'vitest';
import { agreement, failedResponse, notification, request, response, watchedRequest } from '../messages.ts';
import { idIn, opening, sharedWorld, written, type Client, type SharedWorld } from './world.ts';

const everything = { roots: {}, sampling: {}, elicitation: {} };
const related = (taskId: unknown) => ({ _meta: { 'io.modelcontextprotocol/related-task': { taskId } } });
const withdrawal = (requestId: unknown) => notification('notifications/cancelled', { requestId });
const serverRequest = (id: number | string = 'ask', method = 'sampling/createMessage', params: object = {}) =>
  request(id, method, params);

/** What the server is told of a server request that reached nobody. */
function refusals(world: SharedWorld): string[] {
  return world.sent().map((line) => /"reason":"(\w+)"/.exec(line)?.[1] ?? line);
}

describe('an ask goes to', () => {
  test('the session of the call that it came with', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(everything), await world.join(everything)];
    a.upstream.send(request('x'));
    b.upstream.send(request('x'));
    const [ofA, ofB] = world.sent().map(idIn);
    world.server().say(serverRequest(1), ofB);
    world.server().say(serverRequest(2), ofA);
    expect([a.take().map(idIn), b.take().map(idIn), a.origins, b.origins]).toEqual([[2], [1], ['x'], ['x']]);
  });

  test('the only session that the server is at work for', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(everything), await world.join(everything)];
    b.upstream.send(request(1));
    b.upstream.send(request(2));
    world.server().say(serverRequest());
    expect([a.take(), b.take().length]).toEqual([[], 1]);
  });

  test('the session whose "initialized" it follows', async () => {
    const world = sharedWorld();
    const [a, b] = [world.attach(), world.attach()];
    for (const client of [a, b]) client.upstream.send(opening(1, everything));
    world.server().say(agreement(idIn(world.sent()[0])));
    for (const client of [b, a]) client.upstream.send(notification('notifications/initialized'));
    for (const client of [a, b]) client.take();
    world.server().say(serverRequest('r', 'roots/list'));
    expect([a.take(), b.take().map(idIn)]).toEqual([[], ['r']]);
  });

  test.each<[string, (world: SharedWorld, client: Client) => void]>([
    [
      'was answered',
      (world, { upstream }) => {
        upstream.send(request(1));
        world.server().say(response(idIn(world.sent()[0])));
      },
    ],
    [
      'has answered an ask',
      (world, { upstream }) => {
        upstream.send(request(1));
        const origin = idIn(world.sent()[0]);
        world.server().say(serverRequest('earlier'), origin);
        world.server().say(response(origin));
        world.clock.advance(10_000);
        upstream.send(response('earlier'));
      },
    ],
    [
      'has told of the progress of an ask',
      (world, { upstream }) => {
        upstream.send(request(1));
        const origin = idIn(world.sent()[0]);
        world
          .server()
          .say(serverRequest('earlier', 'sampling/createMessage', { _meta: { progressToken: 't' } }), origin);
        world.server().say(response(origin));
        world.clock.advance(10_000);
        upstream.send(notification('notifications/progress', { progressToken: 't', progress: 1 }));
      },
    ],
    ['has told of a change', (_world, { upstream }) => upstream.send(notification('notifications/roots/list_changed'))],
  ])('the only session that %s, for a while', async (_what, act) => {
    const world = sharedWorld();
    const [a, b] = [await world.join(everything), await world.join(everything)];
    act(world, b);
    world.sent();
    b.take();
    world.clock.advance(9999);
    world.server().say(serverRequest(1, 'roots/list'));
    expect([a.take(), b.take().map(idIn), world.sent()]).toEqual([[], [1], []]);
    world.clock.advance(1);
    world.server().say(serverRequest(2, 'roots/list'));
    expect([a.take(), b.take(), refusals(world)]).toEqual([[], [], ['ambiguous_client']]);
  });

  test('nobody because of what the server has not heard', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(everything), await world.join(everything)];
    b.upstream.send(notification('notifications/initialized'));
    b.upstream.send(notification('notifications/progress', { progressToken: 't', progress: 1 }));
    b.upstream.send(withdrawal(99));
    b.upstream.send(response('never asked'));
    expect(world.sent()).toEqual([]);
    world.server().say(serverRequest());
    expect([a.take(), b.take(), refusals(world)]).toEqual([[], [], ['ambiguous_client']]);
  });

  test('the only session that there is', async () => {
    const world = sharedWorld();
    const a = await world.join(everything);
    world.server().say(serverRequest('r', 'roots/list'));
    expect(a.take()).toEqual(['{"jsonrpc":"2.0","id":"r","method":"roots/list","params":{}}']);
  });

  test('the session of the task that it names', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(everything), await world.join(everything)];
    a.upstream.send(request(1));
    world.server().say(response(idIn(world.sent()[0]), { task: { taskId: 't' } }));
    a.take();
    b.upstream.send(request(2));
    world.sent();
    world.server().say(serverRequest(1, 'elicitation/create', related('t')));
    expect([a.take().length, b.take(), world.sent()]).toEqual([1, [], []]);
    world.server().say(serverRequest(2, 'elicitation/create', related('another')));
    world.server().say(serverRequest(3, 'elicitation/create', related(7)));
    expect([a.take(), b.take(), refusals(world)]).toEqual([[], [], ['client_gone', 'client_gone']]);
    a.upstream.send(response(1));
    await a.upstream.close();
    world.sent();
    world.server().say(serverRequest(4, 'elicitation/create', related('t')));
    expect([b.take(), refusals(world)]).toEqual([[], ['client_gone']]);
  });
});

describe('an ask is refused', () => {
  test('when it may be for several, with one warning', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(everything), await world.join(everything)];
    world.server().say(serverRequest(1, 'roots/list'));
    a.upstream.send(request(1));
    b.upstream.send(request(1));
    world.sent();
    world.server().say(serverRequest(2));
    world.server().say(serverRequest(3));
    expect([a.take(), b.take()]).toEqual([[], []]);
    expect(world.sent()).toEqual([
      '{"jsonrpc":"2.0","id":2,"error":{"code":-32603,"message":"several clients share this server, and the request does not say which of them it is for","data":{"reason":"ambiguous_client"}}}',
      expect.stringContaining('"id":3,'),
    ]);
    expect(world.warnings).toEqual([
      'refused a request of the server (roots/list): it does not say which of several clients it is for',
    ]);
  });

  test('when there is nobody', async () => {
    const world = sharedWorld();
    await (await world.join(everything)).upstream.close();
    world.server().say(serverRequest());
    expect([refusals(world), world.warnings]).toEqual([['client_gone'], []]);
  });

  test('when the session of its call has gone', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(everything), await world.join(everything)];
    a.upstream.send(request(1));
    const origin = idIn(world.sent()[0]);
    await a.upstream.close();
    world.sent();
    world.server().say(serverRequest(), origin);
    expect([b.take(), refusals(world)]).toEqual([[], ['client_gone']]);
    world.server().say(serverRequest(), 1_000_000);
    expect([b.take(), refusals(world)]).toEqual([[], ['client_gone']]);
  });

  test('for a while when it may be for a call that was cancelled', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(everything), await world.join(everything)];
    a.upstream.send(request(1));
    a.upstream.send(notification('notifications/cancelled', { requestId: 1 }));
    b.upstream.send(request(1));
    world.sent();
    world.server().say(serverRequest(1));
    expect([a.take(), b.take(), refusals(world)]).toEqual([[], [], ['ambiguous_client']]);
    world.clock.advance(10_000);
    world.server().say(serverRequest(2));
    expect([a.take(), b.take().length]).toEqual([[], 1]);
  });

  test('for a while when it may be for an answered call of another', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(everything), await world.join(everything)];
    a.upstream.send(request(1));
    world.server().say(response(idIn(world.sent()[0])));
    a.take();
    b.upstream.send(request(1));
    world.sent();
    world.server().say(serverRequest(1));
    expect([a.take(), b.take(), refusals(world)]).toEqual([[], [], ['ambiguous_client']]);
    world.clock.advance(10_000);
    world.server().say(serverRequest(2));
    expect([a.take(), b.take().length]).toEqual([[], 1]);
  });

  test('for a while when it may be for a session that has left in the middle of a call', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(everything), await world.join(everything)];
    a.upstream.send(request(1));
    await a.upstream.close();
    world.sent();
    world.server().say(serverRequest(1));
    expect([b.take(), refusals(world)]).toEqual([[], ['client_gone']]);
    world.clock.advance(10_000);
    world.server().say(serverRequest(2));
    expect(b.take()).toHaveLength(1);
  });

  test.each([
    ['roots/list', { sampling: {}, elicitation: {} }],
    ['sampling/createMessage', { roots: {}, elicitation: {} }],
    ['elicitation/create', { roots: {}, sampling: {} }],
  ])('when its session has not declared %s', async (method, capabilities) => {
    const world = sharedWorld();
    const a = await world.join(capabilities);
    world.server().say(serverRequest('x', method));
    expect([a.take(), world.sent()]).toEqual([
      [],
      [`{"jsonrpc":"2.0","id":"x","error":{"code":-32601,"message":"the client does not support ${method}"}}`],
    ]);
    world.server().say(serverRequest('y', 'x/unknown'));
    expect(a.take()).toHaveLength(1);
  });
});

test('a ping of the server is answered for all', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(), await world.join()];
  world.server().say(serverRequest(7, 'ping'));
  expect([a.take(), b.take(), world.sent()]).toEqual([[], [], ['{"jsonrpc":"2.0","id":7,"result":{}}']]);
});

describe('the answer', () => {
  test('is taken from the session that was asked, once', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(everything), await world.join(everything)];
    a.upstream.send(watchedRequest(1, 1));
    world.sent();
    world.server().say(serverRequest(7));
    b.upstream.send(response(7, { from: 'b' }));
    a.upstream.send(response('7', { from: 'a' }));
    expect(world.sent()).toEqual([]);
    a.upstream.send(written('{"result":{"n":1.0}, "id":7,"jsonrpc":"2.0"}'));
    a.upstream.send(response(7, { from: 'a' }));
    expect(world.sent()).toEqual(['{"result":{"n":1.0}, "id":7,"jsonrpc":"2.0"}']);
  });

  test('that the server has not taken can be given again', async () => {
    const world = sharedWorld();
    const a = await world.join(everything);
    world.server().say(serverRequest(7));
    world.server().accepting = false;
    expect(a.upstream.send(response(7))).toBe(false);
    world.server().accepting = true;
    for (let times = 0; times < 2; times++) expect(a.upstream.send(response(7))).toBe(true);
    expect(world.sent()).toEqual([response(7).bytes.toString()]);
  });

  test('has the id as the server wrote it', async () => {
    const world = sharedWorld();
    const a = await world.join(everything);
    world.server().say(written('{"jsonrpc":"2.0","id":9007199254740993,"method":"sampling/createMessage"}'));
    a.upstream.send(written('{"jsonrpc":"2.0","id":9007199254740993,"result":{}}'));
    expect(world.sent()).toEqual(['{"jsonrpc":"2.0","id":9007199254740993,"result":{}}']);
  });

  test('that the server may read as that to another ask is replaced', async () => {
    const world = sharedWorld();
    const a = await world.join(everything);
    world.server().say(serverRequest(7));
    a.upstream.send(written('{"jsonrpc":"2.0","id":7,"ID":8,"result":{"secret":1}}'));
    const [line] = world.sent();
    expect(line).toContain('"id":7,"error":{"code":-32603,"message":"the client\'s answer: the member \\"ID\\"');
    expect(line).not.toContain('secret');
    a.upstream.send(response(7));
    expect(world.sent()).toEqual([]);
  });

  test('is given by us when the session goes', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(everything), await world.join(everything)];
    a.upstream.send(request(1));
    const origin = idIn(world.sent()[0]);
    world.server().say(serverRequest(1), origin);
    world.server().say(serverRequest(2), origin);
    a.upstream.send(response(1));
    world.sent();
    await a.upstream.close();
    const [, ...lines] = world.sent();
    expect(lines).toEqual([expect.stringMatching(/"id":2,"error":.*"reason":"client_gone"/)]);
    b.upstream.send(response(2));
    expect(world.sent()).toEqual([]);
  });

  test('is given by us for the oldest of more than a thousand', async () => {
    const world = sharedWorld();
    const a = await world.join(everything);
    for (let id = 0; id < 1000; id++) world.server().say(serverRequest(id));
    expect(world.sent()).toEqual([]);
    world.server().say(serverRequest(1000));
    expect(world.sent()).toEqual([expect.stringMatching(/"id":0,"error":.*"reason":"too_many_asks"/)]);
    a.upstream.send(response(0));
    expect(world.sent()).toEqual([]);
    a.upstream.send(failedResponse(1));
    expect(world.sent()).toHaveLength(1);
  });

  test('to what the server has forgotten goes nowhere', async () => {
    const world = sharedWorld();
    const a = await world.join(everything);
    world.server().say(serverRequest(1));
    world.server().lose();
    a.upstream.send(response(1));
    expect(world.sent()).toEqual([]);
  });
});

test('an id that the server uses again stands for the later ask', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(everything), await world.join(everything)];
  a.upstream.send(request(1));
  b.upstream.send(request(1));
  const [ofA, ofB] = world.sent().map(idIn);
  world.server().say(serverRequest(5), ofA);
  world.server().say(serverRequest(5), ofB);
  a.upstream.send(response(5, { from: 'a' }));
  await a.upstream.close();
  expect(world.sent().filter((line) => idIn(line) === 5)).toEqual([]);
  b.upstream.send(response(5, { from: 'b' }));
  expect(world.sent()).toEqual(['{"jsonrpc":"2.0","id":5,"result":{"from":"b"}}']);
});

test('an ask that comes with the handshake goes to the only session that there is', () => {
  const world = sharedWorld();
  const a = world.attach();
  a.upstream.send(opening(1, everything));
  world.server().say(serverRequest(), idIn(world.sent()[0]));
  expect(a.take()).toHaveLength(1);
});

test('the withdrawal of an ask goes to the session that was asked', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(everything), await world.join(everything)];
  b.upstream.send(request(1));
  world.server().say(serverRequest(5), idIn(world.sent()[0]));
  b.take();
  for (const id of ['5', 6, null, 5, 5]) world.server().say(withdrawal(id));
  expect([a.take(), b.take()]).toEqual([[], [withdrawal(5).bytes.toString()]]);
  b.upstream.send(response(5));
  expect(world.sent()).toEqual([]);
});
