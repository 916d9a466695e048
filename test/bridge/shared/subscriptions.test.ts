import { describe, expect, test } from 'vitest';
import { failedResponse, notification, request, response } from '../messages.ts';
import { answered, idIn, sharedWorld, type Client, type SharedWorld } from './world.ts';

const subscribe = (uri: unknown, id: number | string = 1) => request(id, 'resources/subscribe', { uri });
const unsubscribe = (uri: unknown, id: number | string = 1) => request(id, 'resources/unsubscribe', { uri });
const updated = (uri: unknown) => notification('notifications/resources/updated', { uri });

/** Sends requests, lets the server agree, and returns whether the server saw any. */
async function settle(
  world: SharedWorld,
  client: Client,
  ...messages: readonly ReturnType<typeof request>[]
): Promise<boolean> {
  for (const each of messages) client.upstream.send(each);
  const lines = world.sent();
  for (const line of lines) world.server().say(response(idIn(line)));
  await answered();
  expect(client.take()).toEqual(messages.map(({ id }) => `{"jsonrpc":"2.0","id":${id},"result":{}}`));
  return lines.length > 0;
}

/** How many updates of a resource each client gets. */
function hearing(world: SharedWorld, uri: string, clients: readonly Client[]): number[] {
  world.server().say(updated(uri));
  return clients.map((client) => client.take().length);
}

test('the server sees the first subscriber and the last', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(), await world.join()];
  expect(await settle(world, a, subscribe('x:1'))).toBe(true);
  expect(await settle(world, b, subscribe('x:1'))).toBe(false);
  expect(await settle(world, b, subscribe('x:1'))).toBe(false);
  expect(await settle(world, b, subscribe('x:2'))).toBe(true);
  expect(hearing(world, 'x:1', [a, b])).toEqual([1, 1]);
  expect(await settle(world, a, unsubscribe('x:1'))).toBe(false);
  expect(hearing(world, 'x:1', [a, b])).toEqual([0, 1]);
  expect(await settle(world, a, unsubscribe('x:1'))).toBe(false);
  expect(await settle(world, b, unsubscribe('x:1'))).toBe(true);
  expect(hearing(world, 'x:1', [a, b])).toEqual([0, 0]);
  expect(await settle(world, b, unsubscribe('x:1'))).toBe(true);
  expect(await settle(world, a, subscribe('x:1'))).toBe(true);
});

test('a session that goes leaves its subscriptions, and the server hears of those that nobody else has', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(), await world.join()];
  await settle(world, a, subscribe('x:1', 1), subscribe('x:2', 2), subscribe('x:3', 3));
  await settle(world, b, subscribe('x:2'));
  await a.upstream.close();
  const lines = world.sent();
  expect(lines.map((line) => /"method":.*/.exec(line)?.[0])).toEqual([
    '"method":"resources/unsubscribe","params":{"uri":"x:1"}}',
    '"method":"resources/unsubscribe","params":{"uri":"x:3"}}',
  ]);
  for (const line of lines) world.server().say(response(idIn(line)));
  expect([b.take(), world.warnings]).toEqual([[], []]);
  expect(hearing(world, 'x:2', [b])).toEqual([1]);
});

describe('an update', () => {
  test.each([
    ['file:///a/b', 'file:///a/b', true],
    ['file:///a/b', 'file:///a/b/c', true],
    ['file:///a/b', 'file:///a/b/c/d?e#f', true],
    ['file:///a/b/', 'file:///a/b/c', true],
    ['file:///a/b', 'file:///a/b/', true],
    ['file:///', 'file:///a', true],
    ['demo://x', 'demo://x/y', true],
    ['demo://x', 'demo://x?y', true],
    ['demo://x', 'demo://x#y', true],
    ['file:///a/b', 'file:///a/bc', false],
    ['file:///a/b', 'file:///a', false],
    ['file:///a/b/', 'file:///a/b', false],
    ['file:///a/b', 'file:///A/b', false],
    ['', 'file:///a', false],
  ])('subscribed to %s, of %s', async (subscribed, uri, heard) => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    await settle(world, a, subscribe(subscribed));
    await settle(world, b, subscribe('other:'));
    expect(hearing(world, uri, [a, b])).toEqual([heard ? 1 : 0, 0]);
  });

  test('comes once to a session that is subscribed to several parents', async () => {
    const world = sharedWorld();
    const a = await world.join();
    const parents = ['f:a', 'f:a/b', 'f:a/b/', 'f:a/b/c'];
    await settle(world, a, ...parents.map((uri, id) => subscribe(uri, id)));
    expect(hearing(world, 'f:a/b/c', [a])).toEqual([1]);
  });

  test('of an address that never ends costs no more than its length', async () => {
    const world = sharedWorld();
    const a = await world.join();
    await settle(world, a, subscribe('f:'));
    const begin = performance.now();
    expect(hearing(world, `f:${'/'.repeat(1_000_000)}`, [a])).toEqual([0]);
    expect(performance.now() - begin).toBeLessThan(2000);
  });

  test('that names nothing goes to nobody', async () => {
    const world = sharedWorld();
    const a = await world.join();
    await settle(world, a, subscribe('x:1'));
    world.server().say(updated(7));
    world.server().say(notification('notifications/resources/updated'));
    expect(a.take()).toEqual([]);
  });
});

describe('a subscription that the server refuses', () => {
  test('is none', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    a.upstream.send(subscribe('x:1'));
    world.server().say(failedResponse(idIn(world.sent()[0])));
    a.take();
    expect(hearing(world, 'x:1', [a])).toEqual([0]);
    expect(await settle(world, b, subscribe('x:1'))).toBe(true);
    await a.upstream.close();
    expect(world.sent()).toEqual([]);
  });

  test('is not promised to others before it is clear', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    a.upstream.send(subscribe('x:1'));
    b.upstream.send(subscribe('x:1'));
    const [ofA, ofB] = world.sent().map(idIn);
    world.server().say(failedResponse(ofA ?? ''));
    world.server().say(response(ofB ?? ''));
    a.take();
    b.take();
    expect(hearing(world, 'x:1', [a, b])).toEqual([0, 1]);
  });

  test('does not undo a later one of the same session', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.send(subscribe('x:1', 'first'));
    a.upstream.send(unsubscribe('x:1', 'second'));
    a.upstream.send(subscribe('x:1', 'third'));
    const [first, second, third] = world.sent().map(idIn);
    world.server().say(failedResponse(first ?? ''));
    world.server().say(response(second ?? ''));
    world.server().say(response(third ?? ''));
    a.take();
    expect(hearing(world, 'x:1', [a])).toEqual([1]);
  });

  test('or does not take, or loses, is none', async () => {
    const world = sharedWorld();
    const a = await world.join();
    world.server().accepting = false;
    expect(a.upstream.send(subscribe('x:1'))).toBe(false);
    world.server().accepting = true;
    expect(hearing(world, 'x:1', [a])).toEqual([0]);
    a.upstream.send(subscribe('x:1'));
    world.server().lose();
    expect(hearing(world, 'x:1', [a])).toEqual([0]);
  });

  test('because it names nothing is for the server to refuse', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.send(subscribe(7));
    a.upstream.send(unsubscribe(undefined, 2));
    expect(world.sent()).toHaveLength(2);
  });
});

test('what was confirmed stays over a connection that is made anew', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(), await world.join()];
  await settle(world, a, subscribe('x:1'));
  world.server().lose();
  expect(hearing(world, 'x:1', [a])).toEqual([1]);
  expect(await settle(world, b, subscribe('x:1'))).toBe(false);
});

test('a session has ten thousand of them at most', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(), await world.join()];
  for (let n = 0; n < 10_000; n++) a.upstream.send(subscribe(`x:${n}`, n));
  expect(world.sent()).toHaveLength(10_000);
  a.upstream.send(subscribe('x:one more', 'late'));
  await answered();
  expect([world.sent(), a.take()]).toEqual([[], [expect.stringContaining('"id":"late","error":{"code":-32603')]]);
  a.upstream.send(subscribe('x:0', 'again'));
  expect(world.sent()).toHaveLength(1);
  expect(await settle(world, b, subscribe('x:one more'))).toBe(true);
});
