// What clients tell of the progress of server requests: it reaches the server only from the session that was asked.
import { describe, expect, test } from 'vitest';
import { SharedServerRequests } from '../../../src/bridge/shared/server-requests.ts';
import type { RequestId } from '../../../src/mcp/json-rpc.ts';
import { failedResponse, notification, request, response } from '../messages.ts';
import { idIn, sharedWorld, written, type Client, type SharedWorld } from './world.ts';

const progress = (progressToken: unknown) => notification('notifications/progress', { progressToken, progress: 1 });
const task = (id: RequestId) => response(id, { task: { taskId: `task ${id}` } });

/** Lets the server ask a session, which is to tell of the progress. */
function put(world: SharedWorld, client: Client, id: RequestId, progressToken: RequestId): void {
  client.upstream.send(request(`for ${id}`));
  const origin = idIn(world.sent()[0]);
  world.server().say(request(id, 'x/ask', { _meta: { progressToken } }), origin);
  world.server().say(response(origin));
  client.take();
}

/** What of the progress that a client tells reaches the server. */
function reaching(world: SharedWorld, client: Client, ...tokens: readonly unknown[]): unknown[] {
  return tokens.filter((token) => {
    expect(client.upstream.send(progress(token))).toBe(true);
    return world.sent().length > 0;
  });
}

test('it goes to the server as it came', async () => {
  const world = sharedWorld();
  const a = await world.join();
  put(world, a, 1, 't');
  const text = '{ "method":"notifications/progress","params":{"progress":1.0,"progressToken":"t"},"jsonrpc":"2.0"}';
  a.upstream.send(written(text));
  expect(world.sent()).toEqual([text]);
});

test('it goes nowhere from another session, nor with a token that nobody was given', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(), await world.join()];
  put(world, a, 'a', 1);
  put(world, b, 'b', '1');
  expect(reaching(world, a, '1', 2, null, undefined, {}, [1], 1)).toEqual([1]);
  expect(reaching(world, b, 1, '1')).toEqual(['1']);
});

test('it goes nowhere when the server may read another token than we do', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(), await world.join()];
  put(world, a, 'a', 'mine');
  put(world, b, 'b', 'yours');
  const begin = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1,';
  a.upstream.send(written(`${begin}"progressToken":"yours","progressToken":"mine"}}`));
  a.upstream.send(written(`${begin}"progresstoken":"yours","progressToken":"mine"}}`));
  expect(world.sent()).toEqual([]);
});

describe('it goes nowhere any more once', () => {
  test.each<[string, (world: SharedWorld, client: Client) => void]>([
    ['the ask is answered', (_world, { upstream }) => upstream.send(response(1))],
    ['the ask has failed', (_world, { upstream }) => upstream.send(failedResponse(1))],
    ['the ask is withdrawn', (world) => world.server().say(notification('notifications/cancelled', { requestId: 1 }))],
    [
      'the ask has given way to later ones',
      (world) => {
        for (let id = 2; id <= 1001; id++) world.server().say(request(id, 'x/ask'));
      },
    ],
    ['the server has used the id again', (world) => world.server().say(request(1, 'x/ask'))],
    ['the server has forgotten everything', (world) => world.server().lose()],
    [
      'the server has forgotten the task',
      (world, { upstream }) => {
        upstream.send(task(1));
        world.server().lose();
      },
    ],
  ])('%s', async (_what, end) => {
    const world = sharedWorld();
    const a = await world.join();
    put(world, a, 1, 't');
    expect(reaching(world, a, 't')).toEqual(['t']);
    end(world, a);
    world.sent();
    expect(reaching(world, a, 't')).toEqual([]);
  });
});

test('it goes on after the answer when that was a task', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(), await world.join()];
  put(world, a, 1, 't');
  a.upstream.send(task(1));
  world.sent();
  expect([reaching(world, b, 't'), reaching(world, a, 't')]).toEqual([[], ['t']]);
});

test('a token that the server uses again belongs to the later ask, whatever becomes of the earlier one', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(), await world.join()];
  put(world, a, 1, 't');
  put(world, b, 2, 't');
  a.upstream.send(response(1));
  world.sent();
  expect([reaching(world, a, 't'), reaching(world, b, 't')]).toEqual([[], ['t']]);
});

test('as many as two thousand tokens of tasks are remembered, the oldest is forgotten', async () => {
  const world = sharedWorld();
  const a = await world.join();
  const putTask = (id: number, token: number): void => {
    world.server().say(request(id, 'x/ask', { _meta: { progressToken: token } }));
    a.upstream.send(task(id));
    world.sent();
  };
  for (let token = 0; token < 2000; token++) putTask(token, token);
  expect(reaching(world, a, 0, 1)).toEqual([0, 1]);
  putTask(2000, 0);
  putTask(2001, 2000);
  expect(reaching(world, a, 0, 1, 2, 2000)).toEqual([0, 2, 2000]);
});

test('the tokens of a session that goes are forgotten, those of its tasks too', () => {
  const serverRequests = new SharedServerRequests<string>();
  for (const [id, owner] of ['a', 'a', 'b'].entries()) {
    serverRequests.open(request(id, 'x/ask', { _meta: { progressToken: id } }), owner);
    if (id === 1) serverRequests.settle(task(id));
  }
  expect(serverRequests.release('a')).toEqual([0]);
  expect([
    serverRequests.isWatched(0, 'a'),
    serverRequests.isWatched(1, 'a'),
    serverRequests.isWatched(2, 'b'),
  ]).toEqual([false, false, true]);
});
