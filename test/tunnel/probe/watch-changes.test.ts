// A tunnel that changes while it is looked at: the token goes nowhere that has not been seen to lead here.
import { describe, expect, test } from 'vitest';
import { within } from '../../harness/eventually.ts';
import {
  createWatchWorld,
  dead,
  down,
  hold,
  otherUrl,
  pass,
  plain,
  reconnect,
  settle,
  settled,
  signal,
  stranger,
  thorough,
  unguarded,
  url,
  watching,
  wordsOf,
} from './watch-world.ts';

describe('while it settles', () => {
  test('one that goes down is not waited for: it says itself when it is up again', async () => {
    const world = createWatchWorld();
    world.finds.reach = [dead];
    const settling = world.watch.untilSettled(signal);
    await pass(world, 3000);
    world.watch.statusChanged({ state: 'reconnecting', publicUrls: [url] });
    expect(await within(5000, 'it to settle', settling)).toBeUndefined();
    expect(world.watch.isVerified()).toBe(false);
  });

  test('one that gets another name is looked at under that', async () => {
    const world = createWatchWorld();
    const letGo = hold(world);
    const settling = world.watch.untilSettled(signal);
    await pass(world, 3000);
    world.url = otherUrl;
    world.watch.statusChanged({ state: 'up', publicUrls: [otherUrl] });
    letGo();
    await pass(world, 0);
    expect(world.watch.isVerified()).toBe(false);
    world.finds.reach = [stranger];
    await pass(world, 3000);
    expect(await within(5000, 'it to settle', settling)).toEqual([stranger]);
    expect(world.asked).toEqual(['reach', 'reach']);
  });
});

describe('before the servers are there', () => {
  test('one that has another URL by then is seen to lead here first', async () => {
    const world = await settled();
    reconnect(world, otherUrl);
    world.finds.reach = [stranger];
    const begun = world.watch.begin(signal);
    await pass(world, 3000);
    await within(5000, 'it to begin', begun);
    expect([world.asked, world.toldToken, world.warnings]).toEqual([['reach'], [], [wordsOf(stranger, otherUrl)]]);
    expect([world.watch.isVerified(), world.watch.isTrusted()]).toEqual([false, false]);
  });

  test('one that has only lost its connection, too', async () => {
    const world = await settled();
    reconnect(world);
    expect(world.watch.isVerified()).toBe(false);
    const begun = world.watch.begin(signal);
    await pass(world, 3000);
    await within(5000, 'it to begin', begun);
    expect([world.asked, world.toldToken, world.watch.isVerified()]).toEqual([thorough, [url], true]);
  });

  test('one that was interrupted while it settled is not held to be well', async () => {
    const world = createWatchWorld();
    const settling = world.watch.untilSettled(signal);
    await pass(world, 1000);
    world.watch.statusChanged({ state: 'reconnecting', publicUrls: [url] });
    await within(5000, 'it to settle', settling);
    // It is still away when the servers are there.
    await within(5000, 'it to begin', world.watch.begin(signal));
    expect([world.asked, world.clock.pending]).toEqual([[], 0]);
    world.watch.statusChanged({ state: 'up', publicUrls: [url] });
    await pass(world, 4500);
    expect([world.asked, world.toldToken]).toEqual([thorough, [url]]);
  });

  test('it is not looked at', async () => {
    const world = createWatchWorld();
    reconnect(world);
    await pass(world, 600_000);
    expect(world.asked).toEqual([]);
  });
});

test('one that changes while it begins is looked at soon instead', async () => {
  const world = await settled({}, { enter: [dead] });
  const letGo = hold(world);
  const begun = world.watch.begin(signal);
  await settle();
  reconnect(world);
  letGo();
  await within(5000, 'it to begin', begun);
  expect(world.warnings).toEqual([]);
  world.finds.enter = [];
  await pass(world, 4500);
  expect(world.asked).toEqual(['enter', ...thorough]);
});

describe('later', () => {
  test('one that is down is not looked at, and thoroughly soon after it is up again', async () => {
    const world = await watching();
    world.watch.statusChanged({ state: 'reconnecting', publicUrls: [url] });
    world.watch.statusChanged({ state: 'down', publicUrls: [url] });
    await pass(world, 600_000);
    expect([world.asked, world.clock.pending]).toEqual([[], 0]);
    world.watch.statusChanged({ state: 'up', publicUrls: [url] });
    await pass(world, 4499);
    expect(world.asked).toEqual([]);
    await pass(world, 1, 60_000);
    expect(world.asked).toEqual([...thorough, ...plain]);
  });

  test('the thorough look that did not get as far as the server is made up for', async () => {
    const world = await watching();
    reconnect(world);
    world.finds.reach = [dead];
    await pass(world, 4500, 1500);
    world.finds.reach = [];
    await pass(world, 60_000, 60_000);
    expect(world.asked).toEqual(['reach', 'reach', ...thorough, ...plain]);
  });

  test('a server that refuses sessions is not held to be well for being there', async () => {
    const world = await watching();
    world.finds.enter = [down];
    reconnect(world);
    await pass(world, 4500, 60_000);
    expect(world.warnings).toEqual([wordsOf(down)]);
    world.finds.enter = [];
    reconnect(world);
    await pass(world, 4500);
    expect(world.warnings.slice(1)).toEqual([`${url} works again`]);
  });

  test('what was seen before says nothing of what is there now, and no token follows it', async () => {
    const world = await watching();
    const letGo = hold(world);
    await pass(world, 60_000);
    expect(world.asked).toEqual(['reach']);
    reconnect(world, otherUrl);
    letGo();
    await pass(world, 1500);
    expect([world.toldToken, world.watch.isVerified()]).toEqual([[], false]);
    expect([world.warnings, world.redials]).toEqual([[], []]);
    world.asked.length = 0;
    await pass(world, 3000);
    expect([world.asked, world.toldToken]).toEqual([thorough, [otherUrl]]);
  });

  test.each([[[]], [[unguarded]]])('the same of a URL that has changed without a word: %j', async (reach) => {
    const world = await watching();
    const letGo = hold(world);
    world.finds.reach = reach;
    await pass(world, 60_000);
    world.url = otherUrl;
    letGo();
    await settle();
    expect([world.toldToken, world.warnings, world.unguarded, world.watch.isVerified()]).toEqual([[], [], [], false]);
    world.asked.length = 0;
    world.finds.reach = [];
    await pass(world, 1500);
    expect([world.asked, world.toldToken]).toEqual([thorough, [otherUrl]]);
  });

  test('a token that is taken out on the way does not mean that it leads elsewhere', async () => {
    const world = await watching();
    world.finds.look = [{ kind: 'token_lost' }];
    await pass(world, 60_000);
    expect([world.watch.isVerified(), world.watch.isTrusted()]).toEqual([true, true]);
  });

  test.each([
    [stranger, false, false],
    [{ kind: 'host_changed' } as const, false, false],
    [dead, false, true],
    [{ kind: 'no_dns' } as const, true, true],
  ])('what is known of it: %j', async (problem, isVerified, isTrusted) => {
    const world = await watching();
    world.finds.reach = [problem];
    await pass(world, 60_000);
    expect([world.watch.isVerified(), world.watch.isTrusted()]).toEqual([isVerified, isTrusted]);
    // Whatever was there, another connection is not.
    reconnect(world);
    expect([world.watch.isVerified(), world.watch.isTrusted()]).toEqual([false, true]);
  });
});
