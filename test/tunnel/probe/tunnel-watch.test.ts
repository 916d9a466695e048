import { describe, expect, test } from 'vitest';
import { capabilities } from '../../../src/tunnel/capabilities.ts';
import { within } from '../../harness/eventually.ts';
import {
  createWatchWorld,
  dead,
  down,
  hold,
  late,
  lateGet,
  noDns,
  pass,
  plain,
  settle,
  settled,
  signal,
  thorough,
  throttled,
  unguarded,
  url,
  watching,
  wordsOf,
} from './watch-world.ts';

describe('until it settles', () => {
  test('the name is not asked for before it can be known', async () => {
    const world = createWatchWorld();
    const settling = world.watch.untilSettled(signal);
    await pass(world, 2999);
    expect(world.asked).toEqual([]);
    await pass(world, 1);
    expect(await within(5000, 'it to settle', settling)).toEqual([]);
    expect([world.asked, world.toldToken]).toEqual([['reach', 'streams'], []]);
  });

  test('a name whose address is known needs no wait', async () => {
    const world = createWatchWorld({ resolve: ['x.trycloudflare.com:443:127.0.0.1'] });
    expect(await within(5000, 'it to settle', world.watch.untilSettled(signal))).toEqual([]);
  });

  test.each([noDns, dead, throttled])(
    'what may pass is looked at again and again, until it has: $kind',
    async (problem) => {
      const world = createWatchWorld();
      world.finds.reach = [problem];
      const settling = world.watch.untilSettled(signal);
      await pass(world, 3000, 1500, 1500);
      expect(world.asked).toEqual(['reach', 'reach', 'reach']);
      world.finds.reach = [];
      world.finds.streams = [lateGet];
      await pass(world, 1500);
      expect(await within(5000, 'it to settle', settling)).toEqual([lateGet]);
      expect(world.warnings).toEqual([]);
    },
  );

  test('or until the time for it is over', async () => {
    const world = createWatchWorld();
    world.finds.reach = [dead];
    const settling = world.watch.untilSettled(signal);
    await pass(world, 3000, ...Array.from({ length: 7 }, () => 1500));
    expect(await within(5000, 'it to settle', settling)).toEqual([dead]);
    // Three seconds for the name, and then every one and a half as far as a look fits in.
    expect(world.asked).toHaveLength(8);
  });

  test('what does not pass is not waited for', async () => {
    const world = createWatchWorld();
    world.finds.reach = [unguarded];
    const settling = world.watch.untilSettled(signal);
    await pass(world, 3000);
    expect(await within(5000, 'it to settle', settling)).toEqual([unguarded]);
    expect(world.asked).toEqual(['reach']);
  });

  test.each(['signal', 'close'])('nobody waits for it any more: %s', async (how) => {
    const world = createWatchWorld();
    world.finds.reach = [dead];
    const abort = new AbortController();
    const settling = world.watch.untilSettled(abort.signal);
    await pass(world, 3000);
    if (how === 'signal') abort.abort();
    else await within(5000, 'the end', world.watch.close());
    expect(await within(5000, 'it to settle', settling)).toBeUndefined();
    expect(world.clock.pending).toBe(0);
  });
});

describe('when the servers are there', () => {
  test('it begins as a client would, and tells what is wrong by then', async () => {
    const world = await settled({}, { streams: [lateGet], enter: [{ kind: 'token_lost' }] });
    await world.watch.begin(signal);
    expect(world.asked).toEqual(['enter']);
    expect(world.warnings).toEqual([wordsOf(lateGet), wordsOf({ kind: 'token_lost' })]);
    expect(world.getBuffered).toBe(1);
  });

  test.each([dead, throttled])('nothing is begun where nothing gets through: $kind', async (problem) => {
    const world = await settled({}, { reach: [problem] });
    await world.watch.begin(signal);
    expect([world.asked, world.warnings]).toEqual([[], [wordsOf(problem)]]);
  });

  test('nothing is told when nobody wants it any more', async () => {
    const world = await settled({}, { streams: [late] });
    const letGo = hold(world);
    const abort = new AbortController();
    const begun = world.watch.begin(abort.signal);
    abort.abort();
    letGo();
    await within(5000, 'it to begin', begun);
    expect([world.warnings, world.clock.pending]).toEqual([[], 0]);
  });
});

describe('every minute', () => {
  test('it looks, without troubling the servers', async () => {
    const world = await watching();
    await pass(world, 59_999);
    expect(world.asked).toEqual([]);
    await pass(world, 1, 60_000);
    expect(world.asked).toEqual([...plain, ...plain]);
    expect([world.warnings, world.redials]).toEqual([[], []]);
  });

  test('where requests are few, it looks more rarely, and with as few as it can', async () => {
    const world = await watching({ way: capabilities.ngrok });
    await pass(world, 599_999);
    expect(world.asked).toEqual([]);
    await pass(world, 1, 600_000);
    expect(world.asked).toEqual(['reach', 'look', 'reach', 'look']);
  });

  test('one look that fails is the network’s', async () => {
    const world = await watching();
    world.findsFirst.reach.push([dead]);
    await pass(world, 60_000, 1500);
    expect([world.asked, world.warnings, world.redials]).toEqual([['reach', ...plain], [], []]);
    await pass(world, 60_000);
    expect(world.asked).toHaveLength(7);
  });

  test('one that is turned away for being too many shows nothing', async () => {
    const world = await watching();
    world.finds.reach = [throttled];
    await pass(world, 60_000, 60_000);
    expect([world.asked, world.warnings, world.redials]).toEqual([['reach', 'reach'], [], []]);
    expect([world.watch.isVerified(), world.watch.isTrusted()]).toEqual([true, true]);
    // Neither does it end what was told of before.
    world.finds.reach = [];
    world.finds.look = [down];
    await pass(world, 60_000);
    world.finds.look = [throttled];
    await pass(world, 60_000);
    world.finds.look = [down];
    await pass(world, 60_000);
    expect(world.warnings).toEqual([wordsOf(down)]);
  });

  test('a look that fails in itself is told, and looked on after', async () => {
    const world = await watching();
    world.fails = new Error('no such opening');
    await pass(world, 60_000);
    expect(world.warnings).toEqual(['the public URL could not be looked at: no such opening']);
    world.fails = undefined;
    await pass(world, 60_000);
    expect(world.asked).toEqual(['reach', ...plain]);
  });

  test('each kind is told once, as long as it lasts', async () => {
    const world = await watching();
    world.finds.look = [down];
    await pass(world, 60_000, 60_000);
    world.finds.streams = [late];
    await pass(world, 60_000, 60_000);
    expect(world.warnings).toEqual([wordsOf(down), wordsOf(late)]);
    world.finds.look = [];
    await pass(world, 60_000);
    expect(world.warnings.slice(2)).toEqual([`${url} works again`]);
    world.finds.look = [down];
    await pass(world, 60_000);
    expect(world.warnings.slice(3)).toEqual([wordsOf(down)]);
  });

  test('streams that are late now and then are told of once', async () => {
    const world = await watching();
    for (const streams of [[lateGet], [], [lateGet], []]) {
      world.finds.streams = streams;
      await pass(world, 60_000); // oxlint-disable-line no-await-in-loop -- minute by minute
    }
    expect([world.warnings, world.getBuffered]).toEqual([[wordsOf(lateGet)], 2]);
  });
});

describe('a guard that is missing', () => {
  test('later is told once to whoever can close the tunnel, and nobody looks on', async () => {
    const world = await watching();
    world.finds.reach = [unguarded];
    await pass(world, 60_000);
    expect([world.unguarded, world.warnings, world.clock.pending]).toEqual([
      [wordsOf(unguarded)],
      [wordsOf(unguarded)],
      0,
    ]);
    expect([world.toldToken, world.watch.isTrusted()]).toEqual([[], false]);
    await world.watch.close();
    world.watch.statusChanged({ state: 'down', publicUrls: [url] });
    expect(world.watch.isTrusted()).toBe(false);
  });

  test('is seen to when the servers are there, too', async () => {
    const world = createWatchWorld();
    world.finds.reach = [unguarded];
    const begun = world.watch.begin(signal);
    await pass(world, 3000);
    await within(5000, 'it to begin', begun);
    expect([world.unguarded, world.toldToken, world.clock.pending]).toEqual([[wordsOf(unguarded)], [], 0]);
  });
});

describe('closed', () => {
  test('nobody looks any more, nor tells what was seen', async () => {
    const world = await watching();
    world.finds.reach = [unguarded];
    const letGo = hold(world);
    await pass(world, 60_000);
    let isClosed = false;
    const closed = world.watch.close().then(() => (isClosed = true));
    await settle();
    // What is under way has to end first.
    expect(isClosed).toBe(false);
    letGo();
    await within(5000, 'the end', closed);
    world.watch.statusChanged({ state: 'up', publicUrls: [url] });
    await settle();
    expect([world.asked, world.warnings, world.unguarded, world.clock.pending]).toEqual([['reach'], [], [], 0]);
  });

  test('a look that fails in itself by then is none of anybody’s', async () => {
    const world = await watching();
    const letGo = hold(world);
    await pass(world, 60_000);
    world.fails = new Error('closed');
    const closed = world.watch.close();
    letGo();
    await within(5000, 'the end', closed);
    await settle();
    expect([world.warnings, world.clock.pending]).toEqual([[], 0]);
  });
});

test('what is begun once is not begun every minute', async () => {
  const world = createWatchWorld();
  const begun = world.watch.begin(signal);
  await pass(world, 3000);
  await within(5000, 'it to begin', begun);
  await pass(world, 60_000);
  expect(world.asked).toEqual([...thorough, ...plain]);
});
