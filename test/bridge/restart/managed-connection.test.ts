import { describe, expect, test } from 'vitest';
import { agreement, initialize, notification } from '../messages.ts';
import { managedWorld, use, type ManagedWorld } from './managed-world.ts';

const word = notification('notifications/message');

/** A world with idle servers. */
function warmWorld(count = 1): ManagedWorld {
  const given = managedWorld({ count });
  given.warmPool.begin();
  return given;
}

test('a connection passes on what its server says and is sent', () => {
  const { made, connect } = managedWorld();
  const upstream = connect();
  const { messages, origins, lost, ends } = use(upstream);
  const [server] = made;
  upstream.send(word);
  upstream.pause();
  server?.say(word, 5);
  expect([server?.sent.length, server?.paused, server?.pauses]).toEqual([1, true, 1]);
  upstream.resume();
  server?.fill();
  expect([server?.paused, upstream.isWritable()]).toEqual([false, false]);
  let isDrained = false;
  upstream.whenWritable(() => (isDrained = true));
  server?.drain();
  server?.lose({ reason: 'lost' });
  server?.die({ reason: 'dead' });
  expect([isDrained, messages, origins]).toEqual([true, [word], [5]]);
  expect([...lost, ...ends].map(({ reason }) => reason)).toEqual(['lost', 'dead']);
});

test('what has ended is closed once, however often it is closed', async () => {
  const { made, connect, coexistence } = managedWorld();
  const upstream = connect();
  const { ends } = use(upstream);
  made[0]?.die();
  expect([upstream.ended !== undefined, coexistence.count]).toEqual([true, 1]);
  await Promise.all([upstream.close(), upstream.close()]);
  expect([made[0]?.closeCalls, ends.length, coexistence.count]).toEqual([1, 1, 0]);
});

test('one that was never started is closed, and counts nowhere', async () => {
  const { made, connect, coexistence, changes } = managedWorld();
  const upstream = connect();
  await upstream.close();
  expect([made[0]?.closeCalls, coexistence.count, changes()]).toEqual([1, 0, 0]);
});

test('it is settled two seconds after its first message, unless it ends before', async () => {
  const { made, connect, clock } = managedWorld({ knowledge: 'unknown' });
  const [first, second] = [connect(), connect()];
  use(first);
  use(second);
  clock.advance(60_000);
  expect(first.isSettled).toBe(false);
  made[0]?.say(agreement());
  made[1]?.say(agreement());
  clock.advance(1999);
  await second.close();
  clock.advance(1);
  expect([first.isSettled, second.isSettled, clock.pending]).toEqual([true, false, 0]);
});

describe('connections that were warm', () => {
  test('are taken oldest first, and read from the start of their taker on', () => {
    const { take, made, wanted } = warmWorld(2);
    const upstream = take();
    expect([made[0]?.paused, wanted[0]?.()]).toEqual([true, false]);
    const { messages, ends, lost } = use(upstream);
    expect([made[0]?.paused, wanted[0]?.(), made[1]?.paused, wanted[1]?.()]).toEqual([false, true, true, false]);
    expect(upstream.send(initialize)).toBe(true);
    made[0]?.say(agreement());
    made[0]?.lose();
    made[0]?.die();
    expect([messages.length, lost.length, ends.length, made[0]?.sent.length]).toEqual([1, 1, 1, 1]);
  });

  test('that end between being taken and being started tell their taker so', async () => {
    const { take, made } = warmWorld();
    const upstream = take();
    made[0]?.die({ exitCode: 5 });
    const { ends } = use(upstream);
    expect(ends).toEqual([]);
    await Promise.resolve();
    expect(ends).toMatchObject([{ exitCode: 5, isUnused: true, untaken: [] }]);
  });

  test('that end before they have said anything give back what they were sent', () => {
    const { take, made } = warmWorld();
    const upstream = take();
    const { ends } = use(upstream);
    upstream.send(initialize);
    made[0]?.die();
    expect(ends).toMatchObject([{ isUnused: true, untaken: [initialize] }]);
  });

  test('that do not read are ended, and give back what they were sent', async () => {
    const { take, made } = warmWorld();
    const upstream = take();
    const { ends } = use(upstream);
    if (made[0] !== undefined) made[0].accepting = false;
    expect(upstream.send(initialize)).toBe(true);
    await new Promise(setImmediate);
    expect(ends).toMatchObject([{ isUnused: true, untaken: [initialize] }]);
  });

  test.each(['it has said something', 'it was sent more than one message', 'its taker has ended it'])(
    'that end are lost when %s',
    async (what) => {
      const { take, made } = warmWorld();
      const upstream = take();
      const { ends } = use(upstream);
      upstream.send(initialize);
      if (what === 'it has said something') made[0]?.say(agreement());
      if (what === 'it was sent more than one message') upstream.send(initialize);
      if (what === 'its taker has ended it') await upstream.close();
      else made[0]?.die();
      expect(ends).toHaveLength(1);
      expect(ends[0]).not.toHaveProperty('isUnused');
    },
  );

  test('that say something unasked wait on, and are replaced when they die', () => {
    const { warmPool, made, clock, health } = warmWorld();
    made[0]?.say(word);
    expect([warmPool.ready, health.report().state]).toEqual([1, 'up']);
    made[0]?.die();
    expect(warmPool.ready).toBe(0);
    clock.advance(30_000);
    expect([made.length, warmPool.ready]).toEqual([2, 1]);
  });
});
