// Sessions that do not read, beside others that do.
import { describe, expect, test } from 'vitest';
import { notification, request, response } from '../messages.ts';
import { answered, idIn, opening, sharedWorld, type Client } from './world.ts';

const note = (n: number, text = '') => notification('notifications/x', { n, text });

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

  test('holds up the server from a thousand messages on, until it has read them', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    a.upstream.pause();
    for (let n = 0; n < 1000; n++) world.server().say(note(n));
    expect(world.server().paused).toBe(false);
    world.server().say(note(1000));
    world.server().say(note(1001));
    expect([world.server().paused, world.server().pauses, b.take().length]).toEqual([true, 1, 1002]);
    a.upstream.resume();
    expect([world.server().paused, a.take().length]).toEqual([false, 1002]);
  });

  test('holds up the server from four megabytes on', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.pause();
    const megabyte = 'x'.repeat(1024 * 1024);
    for (let n = 0; n < 3; n++) world.server().say(note(n, megabyte));
    expect(world.server().paused).toBe(false);
    world.server().say(note(3, megabyte));
    expect(world.server().paused).toBe(true);
    a.upstream.resume();
    expect(world.server().paused).toBe(false);
    a.upstream.pause();
    world.server().say(note(4, megabyte));
    expect(world.server().paused).toBe(false);
  });

  test('and is full lets the server go on when it leaves, unless another is full', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    a.upstream.pause();
    b.upstream.pause();
    for (let n = 0; n <= 1000; n++) world.server().say(note(n));
    expect([world.server().paused, world.server().pauses]).toEqual([true, 1]);
    await a.upstream.close();
    expect(world.server().paused).toBe(true);
    b.upstream.resume();
    expect([world.server().paused, a.take(), b.take().length]).toEqual([false, [], 1001]);
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
