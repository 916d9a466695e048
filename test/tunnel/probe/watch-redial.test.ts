// When a tunnel that calls itself up is dialled anew.
import { expect, test } from 'vitest';
import type { Problem } from '../../../src/tunnel/probe/problem.ts';
import {
  dead,
  noDns,
  pass,
  reconnect,
  settled,
  signal,
  stranger,
  unguarded,
  url,
  watching,
  wordsOf,
} from './watch-world.ts';

const away: Problem = { kind: 'unreachable', reason: 'ENETUNREACH' };

test.each([dead, stranger])('two looks in a row lead to a new connection, once: $kind', async (problem) => {
  const world = await watching();
  world.finds.reach = [problem];
  await pass(world, 60_000);
  expect([world.warnings, world.redials]).toEqual([[], []]);
  await pass(world, 1500);
  expect([world.warnings, world.redials]).toEqual([[wordsOf(problem)], [wordsOf(problem)]]);
  // It comes up, and is no better.
  reconnect(world);
  await pass(world, 4500, 1500, 60_000, 1500);
  expect([world.warnings.length, world.redials.length]).toEqual([1, 1]);
});

test('another service that answers once does not', async () => {
  const world = await watching();
  world.findsFirst.reach.push([stranger]);
  await pass(world, 60_000, 1500);
  expect([world.warnings, world.redials, world.watch.isTrusted()]).toEqual([[], [], true]);
});

test.each([noDns, away])('what only this machine sees is waited for until the next minute: $kind', async (problem) => {
  const world = await watching();
  world.finds.reach = [problem];
  await pass(world, 60_000, 1500);
  expect([world.warnings, world.redials]).toEqual([[wordsOf(problem)], []]);
  await pass(world, 60_000, 1500);
  expect(world.redials).toEqual([wordsOf(problem)]);
});

test('a network of one’s own that is gone for a moment now and then costs nobody their URL', async () => {
  const world = await watching();
  for (const reach of [[noDns], [], [away], [], [noDns]]) {
    world.finds.reach = reach;
    await pass(world, 60_000, 1500); // oxlint-disable-line no-await-in-loop -- minute by minute
  }
  expect(world.redials).toEqual([]);
});

test('looks before and after a new connection are not in a row', async () => {
  const world = await watching();
  world.finds.reach = [noDns];
  await pass(world, 60_000, 1500);
  reconnect(world);
  await pass(world, 4500, 1500);
  expect(world.redials).toEqual([]);
  await pass(world, 60_000, 1500);
  expect(world.redials).toHaveLength(1);
});

test('a new connection that helps is told, and the next death leads to another one', async () => {
  const world = await watching();
  world.finds.reach = [dead];
  await pass(world, 60_000, 1500);
  world.finds.reach = [];
  world.watch.statusChanged({ state: 'up', publicUrls: [url] });
  await pass(world, 4500);
  expect(world.warnings).toEqual([wordsOf(dead), `${url} works again`]);
  world.finds.reach = [dead];
  await pass(world, 60_000, 1500);
  expect([world.warnings.slice(2), world.redials.slice(1)]).toEqual([[wordsOf(dead)], [wordsOf(dead)]]);
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

test('a tunnel that has never worked is dialled anew when its far end says that it is dead', async () => {
  const world = await settled({}, { reach: [dead] });
  await world.watch.begin(signal);
  await pass(world, 60_000, 1500, 60_000, 1500);
  expect([world.warnings, world.redials]).toEqual([[wordsOf(dead)], [wordsOf(dead)]]);
});

test.each([noDns, away, stranger])('and not for what it has been from the beginning: $kind', async (problem) => {
  const world = await settled({}, { reach: [problem] });
  await world.watch.begin(signal);
  await pass(world, 60_000, 1500, 60_000, 1500, 60_000, 1500);
  expect(world.redials).toEqual([]);
});

test.each([unguarded, { kind: 'token_lost' } as const])(
  'what a new connection does not help against is told, and no more: $kind',
  async (problem) => {
    const world = await watching();
    world.finds.reach = [problem];
    await pass(world, 60_000, 60_000);
    expect([world.warnings, world.redials]).toEqual([[wordsOf(problem)], []]);
  },
);
