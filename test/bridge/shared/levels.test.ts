import { describe, expect, test } from 'vitest';
import { failedResponse, notification, request, response } from '../messages.ts';
import { answered, idIn, sharedWorld, type Client, type SharedWorld } from './world.ts';

const setLevel = (level: unknown, id = 1) => request(id, 'logging/setLevel', { level });
const log = (level: unknown) => notification('notifications/message', { level, data: 'x' });

/** The levels of the log messages that a client got. */
const levelsOf = (client: Client): unknown[] =>
  client.take().map((line) => JSON.parse(/"level":([^,]+)/.exec(line)?.[1] ?? ''));

/** Asks for a level and lets the server agree; returns the levels that the server was told. */
async function set(world: SharedWorld, client: Client, level: string): Promise<unknown[]> {
  client.upstream.send(setLevel(level));
  const told = world.sent();
  for (const line of told) world.server().say(response(idIn(line)));
  await answered();
  expect(client.take()).toEqual(['{"jsonrpc":"2.0","id":1,"result":{}}']);
  return told.map((line) => /"level":"(\w+)"/.exec(line)?.[1]);
}

test('the server is told the most verbose level of all, when it changes', async () => {
  const world = sharedWorld();
  const [a, b, c] = [await world.join(), await world.join(), await world.join()];
  expect(await set(world, a, 'warning')).toEqual(['warning']);
  expect(await set(world, b, 'error')).toEqual([]);
  expect(await set(world, b, 'info')).toEqual(['info']);
  expect(await set(world, a, 'debug')).toEqual(['debug']);
  expect(await set(world, a, 'emergency')).toEqual(['info']);
  expect(await set(world, c, 'info')).toEqual([]);
  await b.upstream.close();
  expect(world.sent()).toEqual([]);
  await c.upstream.close();
  expect(world.sent()).toEqual([
    expect.stringMatching(/"method":"logging\/setLevel","params":\{"level":"emergency"\}/),
  ]);
  await a.upstream.close();
  expect(world.sent()).toEqual([]);
});

test('the answer to what we tell on our own goes to nobody', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(), await world.join()];
  await set(world, a, 'debug');
  await set(world, b, 'error');
  await a.upstream.close();
  world.server().say(response(idIn(world.sent()[0])));
  expect([b.take(), world.warnings]).toEqual([[], []]);
  expect(await set(world, b, 'error')).toEqual([]);
});

test('each session gets what its own level lets through', async () => {
  const world = sharedWorld();
  const [all, some, few] = [await world.join(), await world.join(), await world.join()];
  await set(world, some, 'notice');
  await set(world, few, 'alert');
  const levels = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency', 'odd', 7];
  for (const level of levels) world.server().say(log(level));
  expect(levelsOf(all)).toEqual(levels);
  expect(levelsOf(some)).toEqual(levels.slice(2));
  expect(levelsOf(few)).toEqual(levels.slice(6));
});

describe('a level that the server refuses', () => {
  test('counts for nobody, and the next is told again', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    await set(world, a, 'error');
    b.upstream.send(setLevel('debug'));
    world.server().say(failedResponse(idIn(world.sent()[0])));
    expect(b.take()).toEqual(['{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}']);
    world.server().say(log('debug'));
    expect([a.take(), b.take().length]).toEqual([[], 1]);
    expect(await set(world, b, 'emergency')).toEqual(['error']);
  });

  test('leaves a session with what it asked for before', async () => {
    const world = sharedWorld();
    const a = await world.join();
    await set(world, a, 'error');
    a.upstream.send(setLevel('debug'));
    const id = idIn(world.sent()[0]);
    world.server().say(log('info'));
    world.server().say(failedResponse(id));
    world.server().say(log('info'));
    expect(a.take().filter((line) => line.includes('"info"'))).toHaveLength(1);
  });

  test('that nobody knows is for the server to refuse', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.send(setLevel('loud'));
    a.upstream.send(setLevel(undefined, 2));
    expect(world.sent()).toHaveLength(2);
  });

  test('that nobody can tell for sure is refused by us', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.send(request(1, 'logging/setLevel', { level: 'error', Level: 'debug' }));
    await answered();
    expect([world.sent(), a.take()[0]]).toEqual([[], expect.stringContaining('-32600')]);
  });
});

test('the refusal of an earlier level does not undo a later one', async () => {
  const world = sharedWorld();
  const a = await world.join();
  a.upstream.send(setLevel('debug', 1));
  a.upstream.send(setLevel('error', 2));
  const [first, second] = world.sent().map(idIn);
  world.server().say(failedResponse(first ?? ''));
  world.server().say(response(second ?? ''));
  a.take();
  world.server().say(log('info'));
  world.server().say(log('alert'));
  expect(levelsOf(a)).toEqual(['alert']);
});

test('what we answer comes after the request was sent, as a server answers', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(), await world.join()];
  await set(world, a, 'debug');
  b.upstream.send(setLevel('error'));
  expect(b.take()).toEqual([]);
  await answered();
  expect(b.take()).toHaveLength(1);
});

test('while the server has not answered, others ask it too', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(), await world.join()];
  a.upstream.send(setLevel('info'));
  b.upstream.send(setLevel('error'));
  const [ofA, ofB] = world.sent();
  expect(ofB).toContain('"level":"info"');
  world.server().say(response(idIn(ofA)));
  world.server().say(response(idIn(ofB)));
  expect([a.take().length, b.take().length]).toEqual([1, 1]);
});
