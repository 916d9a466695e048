// Sessions that do not read, beside others that do.
import { describe, expect, test } from 'vitest';
import { notification, request, response, watchedRequest } from '../messages.ts';
import { answered, idIn, opening, sharedWorld, type Client, type SharedWorld } from './world.ts';

const note = (n: number, text = '') => notification('notifications/x', { n, text });

const log = (n: number, text = '') => notification('notifications/message', { level: 'error', data: text, n });
const megabyte = 'x'.repeat(1024 * 1024);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

/** Makes calls, and returns what lets the server answer the next of them. */
function inFlight(world: SharedWorld, { upstream }: Client, calls: number): (n: number, text?: string) => void {
  for (let id = 0; id < calls; id++) upstream.send(request(id));
  const ids = world.sent().map(idIn);
  return (n, text = '') => world.server().say(response(ids.shift() ?? '', { n, text }));
}

function numbers(client: Client): number[] {
  return client.take().map((line) => Number(/"n":(\d+)/.exec(line)?.[1]));
}

describe('a session that does not read', () => {
  test('holds up only itself, and gets everything in order when it reads again', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    a.upstream.pause();
    for (let n = 0; n < 5; n++) world.server().say(note(n));
    expect([numbers(a), numbers(b), world.server().paused]).toEqual([[], [0, 1, 2, 3, 4], false]);
    a.onGot = () => a.upstream.pause();
    a.upstream.resume();
    expect(numbers(a)).toEqual([0]);
    world.server().say(note(5));
    a.onGot = () => {};
    a.upstream.resume();
    expect(numbers(a)).toEqual([1, 2, 3, 4, 5]);
    world.server().say(note(6));
    expect(numbers(a)).toEqual([6]);
  });

  test('gets what comes while it catches up behind what waits', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.pause();
    for (let n = 0; n < 3; n++) world.server().say(note(n));
    let said = 3;
    a.onGot = () => {
      if (said < 5) world.server().say(note(said++));
    };
    a.upstream.resume();
    expect(numbers(a)).toEqual([0, 1, 2, 3, 4]);
  });

  test('holds up the server with more than a thousand answers, until it has read them', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    const answer = inFlight(world, a, 1002);
    a.upstream.pause();
    for (let n = 0; n < 1000; n++) answer(n);
    expect(world.server().paused).toBe(false);
    answer(1000);
    answer(1001);
    world.server().say(note(1002));
    expect([world.server().paused, world.server().pauses, numbers(b)]).toEqual([true, 1, [1002]]);
    a.upstream.resume();
    expect([world.server().paused, numbers(a)]).toEqual([false, upTo(1002)]);
  });

  test('holds up the server with more than four megabytes of answers', async () => {
    const world = sharedWorld();
    const a = await world.join();
    const answer = inFlight(world, a, 5);
    a.upstream.pause();
    world.server().say(log(0));
    a.upstream.resume();
    a.take();
    a.upstream.pause();
    for (let n = 0; n < 3; n++) answer(n, megabyte);
    expect(world.server().paused).toBe(false);
    answer(3, megabyte);
    expect(world.server().paused).toBe(true);
    a.upstream.resume();
    expect(world.server().paused).toBe(false);
    a.upstream.pause();
    answer(4, megabyte);
    expect([world.server().paused, numbers(a), world.warnings]).toEqual([false, [0, 1, 2, 3], []]);
  });

  test('and is full lets the server go on when it leaves, unless another is full', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    for (const client of [a, b]) {
      const answer = inFlight(world, client, 1001);
      client.upstream.pause();
      for (let n = 0; n <= 1000; n++) answer(n);
    }
    expect([world.server().paused, world.server().pauses]).toEqual([true, 1]);
    await a.upstream.close();
    expect(world.server().paused).toBe(true);
    b.upstream.resume();
    expect([world.server().paused, a.take(), numbers(b)]).toEqual([false, [], upTo(1001)]);
  });

  test('misses notifications beyond a thousand, with one warning, and holds up nobody', async () => {
    const world = sharedWorld();
    const [a, b, c] = [await world.join(), await world.join(), await world.join()];
    for (const client of [a, b]) client.upstream.pause();
    for (let n = 0; n < 1000; n++) world.server().say(note(n));
    expect(world.warnings).toEqual([]);
    for (let n = 1000; n < 1003; n++) world.server().say(note(n));
    expect(world.warnings).toEqual(['a client does not read: notifications for it are dropped']);
    expect([world.server().pauses, numbers(c)]).toEqual([0, upTo(1003)]);
    a.upstream.resume();
    world.server().say(note(1003));
    expect(numbers(a)).toEqual([...upTo(1000), 1003]);
  });

  test('learns beyond that, too, what has changed, once of each', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.pause();
    for (let n = 0; n < 1000; n++) world.server().say(note(n));
    const news = notification('notifications/tools/list_changed');
    world.server().say(news);
    world.server().say(news);
    world.server().say(note(1000));
    a.upstream.resume();
    expect(a.take().slice(1000)).toEqual([news.bytes.toString()]);
  });

  test('misses notifications beyond four megabytes, those that still fit it gets', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.pause();
    for (let n = 0; n < 4; n++) world.server().say(note(n, megabyte));
    world.server().say(note(4));
    expect(world.server().pauses).toBe(0);
    a.upstream.resume();
    expect(numbers(a)).toEqual([0, 1, 2, 4]);
  });

  test('misses log messages and progress before anything else', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.send(watchedRequest(1, 't'));
    const id = idIn(world.sent()[0]);
    a.upstream.pause();
    world.server().say(log(0));
    world.server().say(notification('notifications/progress', { progressToken: id, n: 1 }));
    for (let n = 2; n < 1000; n++) world.server().say(note(n));
    expect(world.warnings).toEqual([]);
    world.server().say(note(1000));
    expect(world.warnings).toHaveLength(1);
    world.server().say(log(1001));
    a.upstream.resume();
    expect(numbers(a)).toEqual([...upTo(1000).slice(2), 1000, 1001]);
  });

  test('gets the newest of many log messages, and what then fits', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.pause();
    for (let n = 0; n < 4; n++) world.server().say(log(n, megabyte));
    for (let n = 4; n < 6; n++) world.server().say(note(n, megabyte));
    a.upstream.resume();
    expect(numbers(a)).toEqual([3, 4, 5]);
  });

  test('gets answers and asks for which log messages make room, and nobody is held up', async () => {
    const world = sharedWorld();
    const a = await world.join();
    const answer = inFlight(world, a, 1);
    a.upstream.pause();
    world.server().say(log(0));
    world.server().say(log(1));
    for (let n = 2; n < 1000; n++) world.server().say(note(n));
    answer(1000);
    world.server().say(request('ask', 'x/ask', { n: 1001 }));
    expect(world.server().pauses).toBe(0);
    a.upstream.resume();
    expect(numbers(a)).toEqual(upTo(1002).slice(2));
  });

  test('misses no answer, no ask and no withdrawal of one', async () => {
    const world = sharedWorld();
    const a = await world.join();
    const answer = inFlight(world, a, 1);
    a.upstream.pause();
    for (let n = 0; n < 1000; n++) world.server().say(note(n));
    world.server().say(request('ask', 'x/ask', { n: 1000 }));
    answer(1001);
    world.server().say(notification('notifications/cancelled', { requestId: 'ask', n: 1002 }));
    world.server().say(note(1003));
    expect(world.server().paused).toBe(true);
    a.upstream.resume();
    expect(numbers(a)).toEqual(upTo(1003));
  });

  test('is told once what has changed, however often it did', async () => {
    const world = sharedWorld();
    const a = await world.join();
    for (const uri of ['x:1', 'x:2']) a.upstream.send(request(uri, 'resources/subscribe', { uri }));
    for (const line of world.sent()) world.server().say(response(idIn(line)));
    a.take();
    const changes = [
      notification('notifications/tools/list_changed'),
      notification('notifications/prompts/list_changed'),
      notification('notifications/resources/updated', { uri: 'x:1' }),
      notification('notifications/resources/updated', { uri: 'x:2' }),
    ];
    const texts = changes.map(({ bytes }) => bytes.toString());
    a.upstream.pause();
    for (const change of [...changes, ...changes]) world.server().say(change);
    a.onGot = () => a.upstream.pause();
    a.upstream.resume();
    for (const change of changes) world.server().say(change);
    a.onGot = () => {};
    a.upstream.resume();
    expect(a.take()).toEqual([...texts, texts[0]]);
    for (const change of [...changes, ...changes]) world.server().say(change);
    expect(a.take()).toEqual([...texts, ...texts]);
  });

  test('gets its answers all the same before it hears that the server has gone', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.send(request(1));
    a.upstream.send(request(2));
    const [first, second] = world.sent().map(idIn);
    a.upstream.pause();
    world.server().say(response(first ?? ''));
    world.server().lose();
    expect([a.take().length, a.losses.length]).toEqual([1, 1]);
    a.upstream.send(request(3));
    world.server().say(response(second ?? ''));
    world.server().say(response(idIn(world.sent()[0])));
    world.server().die();
    expect([a.take().map(idIn), a.ends.length]).toEqual([[3], 1]);
  });

  test('waits for what we answer too', async () => {
    const world = sharedWorld();
    await world.join();
    const a = world.attach();
    a.upstream.pause();
    a.upstream.send(opening('o'));
    await answered();
    expect(a.take()).toEqual([]);
    a.upstream.resume();
    expect(a.take().map(idIn)).toEqual(['o']);
  });
});

test('a server that does not read holds up all sessions', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(), await world.join()];
  world.server().fill();
  let released = 0;
  a.upstream.whenWritable(() => released++);
  b.upstream.whenWritable(() => released++);
  expect([a.upstream.isWritable(), b.upstream.isWritable(), released]).toEqual([false, false, 0]);
  world.server().drain();
  expect([a.upstream.isWritable(), b.upstream.isWritable(), released]).toEqual([true, true, 2]);
});

test('a session that leaves while it is told of a loss is told nothing more', async () => {
  const world = sharedWorld();
  const [a, b] = [await world.join(), await world.join()];
  a.upstream.pause();
  world.server().say(note(1));
  world.server().say(note(2));
  a.onGot = () => void a.upstream.close();
  world.server().lose();
  await answered();
  expect([numbers(a), a.losses.length, a.ends.length, b.losses.length]).toEqual([[1], 0, 1, 1]);
});
