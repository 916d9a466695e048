import { beforeEach, describe, expect, test } from 'vitest';
import type { Registry } from '../../../src/tunnel/relay/registry.ts';
import { inTurn } from '../world.ts';
import { createRegistry } from '../../../src/tunnel/relay/registry.ts';

const hour = 60 * 60 * 1000;
let time: number;
let registry: Registry<string>;
beforeEach(() => {
  time = 0;
  registry = createRegistry({ maxAgents: 3, maxNames: 4, now: () => time });
});

async function online(name: string, key: string, origin = 'o'): Promise<number> {
  const claim = await registry.claim(name, key, origin);
  if (!claim.ok) throw new Error(claim.message);
  await registry.attach(name, claim.epoch, `${key}@${claim.epoch}`);
  return claim.epoch;
}

test('a name goes from unknown to online to offline', async () => {
  expect(await registry.find('files')).toEqual({ state: 'unknown' });
  const epoch = await online('files', 'k1');
  expect(await registry.find('files')).toEqual({ state: 'online', agent: 'k1@1' });
  await registry.release('files', epoch);
  expect(await registry.find('files')).toEqual({ state: 'offline' });
});

test.each(['__proto__', 'constructor', 'toString'])('%s is unknown', async (name) => {
  expect(await registry.find(name)).toEqual({ state: 'unknown' });
});

describe('takeover', () => {
  test('the same key gets the next epoch and the old agent back to close', async () => {
    await online('files', 'k1');
    expect(await registry.claim('files', 'k1', 'o')).toEqual({ ok: true, epoch: 2 });
    expect(await registry.find('files')).toEqual({ state: 'online', agent: 'k1@1' });
    expect(await registry.attach('files', 2, 'new')).toEqual({ accepted: true, replaced: 'k1@1' });
  });

  test('the clean-up of the old one leaves the new one alone', async () => {
    await online('files', 'k1');
    await online('files', 'k1');
    await registry.release('files', 1);
    expect(await registry.find('files')).toEqual({ state: 'online', agent: 'k1@2' });
  });

  test('a claim that was overtaken is not attached', async () => {
    await registry.claim('files', 'k1', 'o');
    await registry.claim('files', 'k1', 'o');
    expect(await registry.attach('files', 1, 'late')).toEqual({ accepted: false, replaced: undefined });
    expect(await registry.attach('files', 2, 'newest')).toEqual({ accepted: true, replaced: undefined });
  });
});

describe('another key', () => {
  test('is refused while the name is online, and for 24 h after', async () => {
    const epoch = await online('files', 'k1');
    time += 48 * hour;
    expect(await registry.claim('files', 'k2', 'o')).toMatchObject({ ok: false, code: 'name_taken' });
    await registry.release('files', epoch);
    time += 24 * hour;
    expect(await registry.claim('files', 'k2', 'o')).toMatchObject({ ok: false, code: 'name_taken' });
    time += 1;
    expect(await registry.claim('files', 'k2', 'o')).toEqual({ ok: true, epoch: 1 });
  });
});

describe('bounds', () => {
  test('agents: refused when full, and room again when one leaves; a takeover needs none', async () => {
    const epoch = await online('one', 'k1');
    await online('two', 'k2');
    await online('three', 'k3');
    expect(await registry.claim('four', 'k4', 'o')).toMatchObject({ ok: false, code: 'quota' });
    expect((await registry.claim('two', 'k2', 'o')).ok).toBe(true);
    await registry.release('one', epoch);
    await registry.release('one', epoch);
    expect((await registry.claim('four', 'k4', 'o')).ok).toBe(true);
    expect(await registry.claim('five', 'k5', 'o')).toMatchObject({ ok: false, code: 'quota' });
  });

  test('names: derived ones are forgotten first, wished ones are kept for their key', async () => {
    await inTurn(['files', 'abcdefgh22', 'docs', 'abcdefgh33'], async (name) => {
      await registry.release(name, await online(name, name));
    });
    await registry.release('more', await online('more', 'k'));
    expect((await registry.find('abcdefgh22')).state).toBe('unknown');
    await registry.release('even-more', await online('even-more', 'k'));
    expect(await registry.claim('too-many', 'k', 'o')).toMatchObject({ ok: false, code: 'quota' });
    expect((await registry.find('files')).state).toBe('offline');
    time += 24 * hour + 1;
    expect((await registry.claim('too-many', 'k', 'o')).ok).toBe(true);
  });
});

const use = async (name: string, origin: string): Promise<void> => {
  await registry.release(name, await online(name, name, origin));
};
const states = async (names: readonly string[]): Promise<string[]> =>
  await inTurn(names, async (name) => (await registry.find(name)).state);

describe('wished names that are kept for one origin', () => {
  const wished = Array.from({ length: 40 }, (_, index) => `name-${index}`);
  beforeEach(() => {
    registry = createRegistry({ maxAgents: 100, maxNames: 30, now: () => time });
  });

  test('the oldest of more than 16 gives way, so one origin never locks the others out', async () => {
    await use('of-another', 'o2');
    await inTurn(wished, async (name) => await use(name, 'o1'));
    expect(await states(wished)).toEqual(wished.map((_, index) => (index < 24 ? 'unknown' : 'offline')));
    expect((await registry.find('of-another')).state).toBe('offline');
    expect((await registry.claim('new-one', 'k', 'o3')).ok).toBe(true);
  });

  test('names in use, derived names and a name used anew do not give way', async () => {
    await online('in-use', 'k', 'o1');
    await use('abcdefgh22', 'o1');
    await inTurn(wished.slice(0, 16), async (name) => await use(name, 'o1'));
    await use('name-0', 'o1');
    await use('one-more', 'o1');
    expect(await states(['in-use', 'abcdefgh22', 'name-0', 'name-1', 'name-2'])).toEqual([
      'online',
      'offline',
      'offline',
      'unknown',
      'offline',
    ]);
  });

  test('a name that its key uses from elsewhere counts there', async () => {
    await use('moved', 'o1');
    await use('moved', 'o2');
    await inTurn(wished.slice(0, 17), async (name) => await use(name, 'o1'));
    expect(await states(['moved', 'name-0', 'name-1'])).toEqual(['offline', 'unknown', 'offline']);
  });
});
