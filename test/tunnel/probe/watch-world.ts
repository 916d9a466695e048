// A watch over a tunnel whose probe finds what a test says, on a clock that a test moves.
import { createDeferred, type Deferred } from '../../../src/platform/deferred.ts';
import { capabilities, type Capabilities } from '../../../src/tunnel/capabilities.ts';
import { HostOverrides } from '../../../src/platform/net/host-overrides.ts';
import { wordsFor, type Problem } from '../../../src/tunnel/probe/problem.ts';
import { TunnelWatch } from '../../../src/tunnel/probe/tunnel-watch.ts';
import { within } from '../../harness/eventually.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';

export const url = 'https://x.trycloudflare.com';
export const otherUrl = 'https://y.trycloudflare.com';

export const dead: Problem = { kind: 'tunnel_dead', status: 530 };
export const noDns: Problem = { kind: 'no_dns' };
export const stranger: Problem = { kind: 'wrong_service', status: 404 };
export const throttled: Problem = { kind: 'throttled' };
export const late: Problem = { kind: 'post_buffered' };
export const lateGet: Problem = { kind: 'get_buffered' };
export const down: Problem = { kind: 'upstream_dead', reason: 'it is down or starting' };
export const unguarded: Problem = { kind: 'guard_missing', status: 404 };

export const wordsOf = (problem: Problem, at: string = url): string => wordsFor(problem, at, capabilities.cloudflared);

/** What a thorough check asks, and what one does that costs the servers nothing. */
export const thorough: readonly string[] = ['reach', 'streams', 'enter'];
export const plain: readonly string[] = ['reach', 'streams', 'look'];

export interface WatchWorld {
  readonly clock: FakeClock;
  readonly watch: TunnelWatch;
  readonly warnings: string[];
  readonly redials: string[];
  /** What the probe was asked, in order, and of which URLs with the token. */
  readonly asked: string[];
  readonly toldToken: string[];
  /** What it finds from now on. */
  readonly finds: Record<'reach' | 'streams' | 'enter' | 'look', readonly Problem[]>;
  /** What it finds first, in the place of that. */
  readonly findsFirst: { reach: (readonly Problem[])[] };
  /** While it is there, nothing is found before it resolves. */
  held: Deferred<void> | undefined;
  /** In the place of a find. */
  fails: Error | undefined;
  getBuffered: number;
  readonly unguarded: string[];
  url: string;
}

export interface WatchWorldOptions {
  readonly resolve?: string[];
  readonly way?: Capabilities;
}

export function createWatchWorld({ resolve = [], way = capabilities.cloudflared }: WatchWorldOptions = {}): WatchWorld {
  const clock = createFakeClock();
  const warnings: string[] = [];
  const redials: string[] = [];
  const asked: string[] = [];
  const toldToken: string[] = [];
  const ask =
    (what: keyof WatchWorld['finds']) =>
    async (at: string): Promise<readonly Problem[]> => {
      asked.push(what);
      if (what === 'enter' || what === 'look') toldToken.push(at);
      await world.held?.promise;
      if (world.fails !== undefined) throw world.fails;
      return (what === 'reach' ? world.findsFirst.reach.shift() : undefined) ?? world.finds[what];
    };
  const watch = new TunnelWatch({
    probe: { reach: ask('reach'), streams: ask('streams'), enter: ask('enter'), look: ask('look') },
    capabilities: way,
    clock,
    overrides: new HostOverrides(resolve),
    settleMs: 15_000,
    publicUrl: () => world.url,
    redial: (reason) => redials.push(reason),
    onWarning: (warning) => warnings.push(warning),
    onGetBuffered: () => world.getBuffered++,
    onUnguarded: (reason) => world.unguarded.push(reason),
  });
  const world: WatchWorld = {
    clock,
    watch,
    warnings,
    redials,
    asked,
    toldToken,
    finds: { reach: [], streams: [], enter: [], look: [] },
    findsFirst: { reach: [] },
    held: undefined,
    fails: undefined,
    getBuffered: 0,
    unguarded: [],
    url,
  };
  return world;
}

/** That nobody aborts. */
export const signal: AbortSignal = new AbortController().signal;

/** Whatever follows from what has just happened has happened. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate); // oxlint-disable-line no-await-in-loop
}

/** Lets this much time pass, and what follows from that happen. */
export async function pass({ clock }: WatchWorld, ...steps: number[]): Promise<void> {
  for (const ms of steps) {
    clock.advance(ms);
    await settle(); // oxlint-disable-line no-await-in-loop -- step by step
  }
}

/** It has settled, with what is found now. */
export async function settled(
  options?: WatchWorldOptions,
  finds: Partial<WatchWorld['finds']> = {},
): Promise<WatchWorld> {
  const world = createWatchWorld(options);
  Object.assign(world.finds, finds);
  const settling = world.watch.untilSettled(signal);
  await pass(world, 3000, ...Array.from({ length: 8 }, () => 1500));
  await within(5000, 'it to settle', settling);
  world.asked.length = 0;
  return world;
}

/** A watch that looks again and again, over a tunnel that has worked. */
export async function watching(options?: WatchWorldOptions): Promise<WatchWorld> {
  const world = await settled(options);
  await within(5000, 'it to begin', world.watch.begin(signal));
  world.asked.length = 0;
  world.toldToken.length = 0;
  return world;
}

/** The tunnel is lost, and comes up under this URL. */
export function reconnect(world: WatchWorld, to: string = world.url): void {
  world.watch.statusChanged({ state: 'reconnecting', publicUrls: [world.url] });
  world.url = to;
  world.watch.statusChanged({ state: 'up', publicUrls: [to] });
}

/** Holds what the probe finds; the function lets go of it. */
export function hold(world: WatchWorld): () => void {
  const held = createDeferred<void>();
  world.held = held;
  return () => {
    world.held = undefined;
    held.resolve();
  };
}
