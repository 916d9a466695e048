import { describe, expect, test } from 'vitest';
import { createDeferred, type Deferred } from '../../../src/deferred.ts';
import { capabilities } from '../../../src/tunnel/capabilities.ts';
import { createHostOverrides } from '../../../src/tunnel/host-overrides.ts';
import { wordsFor, type Problem } from '../../../src/tunnel/self-probe/problem.ts';
import { watchTunnel, type TunnelWatch } from '../../../src/tunnel/self-probe/watch-tunnel.ts';
import { eventually, within } from '../../harness/eventually.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';

const url = 'https://x.trycloudflare.com';
const dead: Problem = { kind: 'tunnel_dead', status: 530 };
const noDns: Problem = { kind: 'no_dns' };
const late: Problem = { kind: 'post_buffered' };
const lateGet: Problem = { kind: 'get_buffered' };
const down: Problem = { kind: 'upstream_dead', reason: 'it is down or starting' };
const unguarded: Problem = { kind: 'guard_missing', status: 404 };
const wordsOf = (problem: Problem): string => wordsFor(problem, url, capabilities.cloudflared);

interface World {
  readonly clock: FakeClock;
  readonly watch: TunnelWatch;
  readonly warnings: string[];
  readonly redials: string[];
  /** What the probe was asked, in order. */
  readonly asked: string[];
  /** What it finds from now on. */
  readonly finds: Record<'reach' | 'streams' | 'enter' | 'look', readonly Problem[]>;
  /** While it is there, nothing is found before it resolves. */
  held: Deferred<void> | undefined;
  getBuffered: number;
  readonly unguarded: string[];
  url: string;
}

function createWorld({ resolve = [] }: { resolve?: string[] } = {}): World {
  const clock = createFakeClock();
  const warnings: string[] = [];
  const redials: string[] = [];
  const asked: string[] = [];
  const ask = (what: keyof World['finds']) => async (): Promise<readonly Problem[]> => {
    asked.push(what);
    await world.held?.promise;
    return world.finds[what];
  };
  const watch = watchTunnel({
    probe: { reach: ask('reach'), streams: ask('streams'), enter: ask('enter'), look: ask('look') },
    capabilities: capabilities.cloudflared,
    clock,
    overrides: createHostOverrides(resolve),
    publicUrl: () => world.url,
    redial: (reason) => redials.push(reason),
    onWarning: (warning) => warnings.push(warning),
    onGetBuffered: () => world.getBuffered++,
    onUnguarded: (reason) => world.unguarded.push(reason),
  });
  const world: World = {
    clock,
    watch,
    warnings,
    redials,
    asked,
    finds: { reach: [], streams: [], enter: [], look: [] },
    held: undefined,
    getBuffered: 0,
    unguarded: [],
    url,
  };
  return world;
}

const { signal } = new AbortController();

/** Whatever follows from what has just happened has happened. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate); // oxlint-disable-line no-await-in-loop
}

/** Lets this much time pass, and what follows from that happen. */
async function pass({ clock }: World, ...steps: number[]): Promise<void> {
  for (const ms of steps) {
    clock.advance(ms);
    await settle(); // oxlint-disable-line no-await-in-loop -- step by step
  }
}

/** A watch that looks every minute, over a tunnel that has worked. */
async function watching(): Promise<World> {
  const world = createWorld();
  await world.watch.begin([], signal);
  expect(world.warnings).toEqual([]);
  world.asked.length = 0;
  return world;
}

describe('until it settles', () => {
  test('the name is not asked for before it can be known', async () => {
    const world = createWorld();
    const settled = world.watch.untilSettled(15_000, signal);
    await pass(world, 2999);
    expect(world.asked).toEqual([]);
    await pass(world, 1);
    expect(await within(5000, 'it to settle', settled)).toEqual([]);
    expect(world.asked).toEqual(['reach', 'streams']);
  });

  test('a name whose address is known needs no wait', async () => {
    const world = createWorld({ resolve: ['x.trycloudflare.com:443:127.0.0.1'] });
    expect(await within(5000, 'it to settle', world.watch.untilSettled(15_000, signal))).toEqual([]);
  });

  test('what may pass is looked at again and again, until it has', async () => {
    const world = createWorld();
    world.finds.reach = [noDns];
    const settled = world.watch.untilSettled(15_000, signal);
    await pass(world, 3000, 1500, 1500);
    expect(world.asked).toEqual(['reach', 'reach', 'reach']);
    world.finds.reach = [];
    world.finds.streams = [lateGet];
    await pass(world, 1500);
    expect(await within(5000, 'it to settle', settled)).toEqual([lateGet]);
    expect(world.warnings).toEqual([]);
  });

  test('or until the time for it is over', async () => {
    const world = createWorld();
    world.finds.reach = [dead];
    const settled = world.watch.untilSettled(15_000, signal);
    await pass(world, 3000, ...Array.from({ length: 7 }, () => 1500));
    expect(await within(5000, 'it to settle', settled)).toEqual([dead]);
    // Three seconds for the name, and then every one and a half as far as a look fits in.
    expect(world.asked).toHaveLength(8);
  });

  test('what does not pass is not waited for', async () => {
    const world = createWorld();
    world.finds.reach = [unguarded];
    const settled = world.watch.untilSettled(15_000, signal);
    await pass(world, 3000);
    expect(await within(5000, 'it to settle', settled)).toEqual([unguarded]);
    expect(world.asked).toEqual(['reach']);
  });

  test('a tunnel that goes down meanwhile is not waited for: it says itself when it is up again', async () => {
    const world = createWorld();
    world.finds.reach = [dead];
    const settled = world.watch.untilSettled(15_000, signal);
    await pass(world, 3000);
    world.watch.statusChanged({ state: 'reconnecting', publicUrls: [url] });
    expect(await within(5000, 'it to settle', settled)).toEqual([]);
  });

  test.each(['signal', 'close'])('nobody waits for it any more: %s', async (how) => {
    const world = createWorld();
    world.finds.reach = [dead];
    const abort = new AbortController();
    const settled = world.watch.untilSettled(15_000, abort.signal);
    await pass(world, 3000);
    if (how === 'signal') abort.abort();
    else world.watch.close();
    expect(await within(5000, 'it to settle', settled)).toEqual([]);
    expect(world.clock.pending).toBe(0);
  });
});

describe('when the servers are there', () => {
  test('it begins as a client would, and tells what is wrong by then', async () => {
    const world = createWorld();
    world.finds.enter = [{ kind: 'token_lost' }];
    await world.watch.begin([lateGet], signal);
    expect(world.asked).toEqual(['enter']);
    expect(world.warnings).toEqual([wordsOf(lateGet), wordsOf({ kind: 'token_lost' })]);
    expect(world.getBuffered).toBe(1);
  });

  test('nothing is begun where nothing gets through', async () => {
    const world = createWorld();
    await world.watch.begin([dead], signal);
    expect([world.asked, world.warnings]).toEqual([[], [wordsOf(dead)]]);
  });

  test('nothing is told when nobody wants it any more', async () => {
    const world = createWorld();
    world.held = createDeferred();
    const abort = new AbortController();
    const begun = world.watch.begin([late], abort.signal);
    abort.abort();
    world.held.resolve();
    await within(5000, 'it to begin', begun);
    expect([world.warnings, world.clock.pending]).toEqual([[], 0]);
  });

  test('a tunnel that has changed while it began is looked at soon instead', async () => {
    const world = createWorld();
    world.held = createDeferred();
    world.finds.enter = [dead];
    const begun = world.watch.begin([], signal);
    world.watch.statusChanged({ state: 'reconnecting', publicUrls: [url] });
    world.watch.statusChanged({ state: 'up', publicUrls: [url] });
    world.held.resolve();
    await within(5000, 'it to begin', begun);
    expect(world.warnings).toEqual([]);
    await pass(world, 1500);
    expect(world.asked).toEqual(['enter', 'reach', 'streams', 'look']);
  });
});

describe('every minute', () => {
  test('it looks, without troubling the servers', async () => {
    const world = await watching();
    await pass(world, 59_999);
    expect(world.asked).toEqual([]);
    await pass(world, 1, 60_000);
    expect(world.asked).toEqual(['reach', 'streams', 'look', 'reach', 'streams', 'look']);
    expect([world.warnings, world.redials]).toEqual([[], []]);
  });

  test('one look that fails is the network’s', async () => {
    const world = await watching();
    world.finds.reach = [dead];
    await pass(world, 60_000);
    world.finds.reach = [];
    await pass(world, 1500);
    expect([world.asked.length, world.warnings, world.redials]).toEqual([4, [], []]);
    await pass(world, 60_000);
    expect(world.asked).toHaveLength(7);
  });

  test('two in a row are told and lead to a new connection, once', async () => {
    const world = await watching();
    world.finds.reach = [dead];
    await pass(world, 60_000, 1500);
    expect([world.warnings, world.redials]).toEqual([[wordsOf(dead)], [wordsOf(dead)]]);
    // It comes up, and is dead again.
    world.watch.statusChanged({ state: 'reconnecting', publicUrls: [url] });
    world.watch.statusChanged({ state: 'up', publicUrls: [url] });
    await pass(world, 4500, 1500, 60_000, 1500);
    expect([world.warnings.length, world.redials.length]).toEqual([1, 1]);
  });

  test('a new connection that helps is told, and the next death leads to another one', async () => {
    const world = await watching();
    world.finds.reach = [dead];
    await pass(world, 60_000, 1500);
    world.finds.reach = [];
    world.watch.statusChanged({ state: 'up', publicUrls: [url] });
    await pass(world, 4500);
    expect(world.warnings).toEqual([wordsOf(dead), `${url} works again`]);
    world.finds.reach = [noDns];
    await pass(world, 60_000, 1500);
    expect([world.warnings.slice(2), world.redials.slice(1)]).toEqual([[wordsOf(noDns)], [wordsOf(noDns)]]);
  });

  test('one that did not help is tried again after ten minutes', async () => {
    const world = await watching();
    world.finds.reach = [dead];
    await pass(world, 60_000, 1500);
    for (let minutes = 0; minutes < 9; minutes++) await pass(world, 60_000, 1500); // oxlint-disable-line no-await-in-loop
    expect(world.redials).toHaveLength(1);
    await pass(world, 60_000, 1500);
    expect(world.redials).toHaveLength(2);
  });

  test('a tunnel that has never worked is not dialled anew', async () => {
    const world = createWorld();
    await world.watch.begin([dead], signal);
    world.finds.reach = [dead];
    await pass(world, 60_000, 1500, 60_000, 1500);
    expect([world.warnings.length, world.redials]).toEqual([1, []]);
  });

  test.each([unguarded, { kind: 'token_lost' } as const])(
    'what a new connection does not help against is told, and no more: %j',
    async (problem) => {
      const world = await watching();
      world.finds.reach = [problem];
      await pass(world, 60_000, 60_000);
      expect([world.warnings, world.redials]).toEqual([[wordsOf(problem)], []]);
    },
  );

  test('a guard that is missing all at once is told to whoever can close the tunnel, and nobody looks on', async () => {
    const world = await watching();
    world.finds.reach = [unguarded];
    await pass(world, 60_000);
    expect([world.unguarded, world.clock.pending]).toEqual([[wordsOf(unguarded)], 0]);
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

describe('the tunnel', () => {
  test('is not looked at while it is down, and soon after it is up again', async () => {
    const world = await watching();
    world.watch.statusChanged({ state: 'reconnecting', publicUrls: [url] });
    world.watch.statusChanged({ state: 'down', publicUrls: [url] });
    await pass(world, 600_000);
    expect([world.asked, world.clock.pending]).toEqual([[], 0]);
    world.watch.statusChanged({ state: 'up', publicUrls: [url] });
    await pass(world, 4499);
    expect(world.asked).toEqual([]);
    await pass(world, 1, 60_000);
    expect(world.asked).toEqual(['reach', 'streams', 'look', 'reach', 'streams', 'look']);
  });

  test('is not looked at before the servers are there', async () => {
    const world = createWorld();
    world.watch.statusChanged({ state: 'reconnecting', publicUrls: [url] });
    world.watch.statusChanged({ state: 'up', publicUrls: [url] });
    await pass(world, 600_000);
    expect(world.asked).toEqual([]);
  });

  test('has changed while it was looked at: what was seen says nothing of what is there now', async () => {
    const world = await watching();
    world.finds.reach = [dead];
    world.held = createDeferred();
    await pass(world, 60_000);
    expect(world.asked).toEqual(['reach']);
    world.watch.statusChanged({ state: 'reconnecting', publicUrls: [url] });
    world.url = 'https://y.trycloudflare.com';
    world.watch.statusChanged({ state: 'up', publicUrls: [world.url] });
    world.held.resolve();
    world.held = undefined;
    await settle();
    await pass(world, 1500);
    expect([world.asked.length, world.warnings, world.redials]).toEqual([1, [], []]);
    world.finds.reach = [];
    await pass(world, 3000);
    expect(world.asked.slice(1)).toEqual(['reach', 'streams', 'look']);
  });

  test('is closed: nobody looks any more, nor tells what was seen', async () => {
    const world = await watching();
    world.finds.reach = [unguarded];
    world.held = createDeferred();
    await pass(world, 60_000);
    world.watch.close();
    world.held.resolve();
    await eventually(() => expect(world.asked).toEqual(['reach']));
    await settle();
    expect([world.warnings, world.clock.pending]).toEqual([[], 0]);
  });
});

test('another service in the place of a tunnel that has worked is a reason to dial anew', async () => {
  const world = createWorld();
  await world.watch.begin([], signal);
  world.finds.reach = [{ kind: 'wrong_service', status: 404 }];
  await pass(world, 60_000);
  expect([world.redials.length, world.warnings]).toEqual([1, [expect.stringContaining('is not this mcp-expose')]]);
});

test('a guard that is missing later is told of once, and nobody looks any more', async () => {
  const world = createWorld();
  await world.watch.begin([], signal);
  world.finds.reach = [{ kind: 'guard_missing', status: 200 }];
  await pass(world, 60_000);
  expect(world.unguarded).toEqual([expect.stringContaining('lets in who brings no token (200)')]);
  const asked = world.asked.length;
  await pass(world, 120_000);
  expect([world.unguarded.length, world.asked.length]).toEqual([1, asked]);
});
