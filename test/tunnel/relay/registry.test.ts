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

async function online(name: string, key: string): Promise<number> {
  const claim = await registry.claim(name, key);
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
    expect(await registry.claim('files', 'k1')).toEqual({ ok: true, epoch: 2 });
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
    await registry.claim('files', 'k1');
    await registry.claim('files', 'k1');
    expect(await registry.attach('files', 1, 'late')).toEqual({ accepted: false, replaced: undefined });
    expect(await registry.attach('files', 2, 'newest')).toEqual({ accepted: true, replaced: undefined });
  });
});

describe('another key', () => {
  test('is refused while the name is online, and for 24 h after', async () => {
    const epoch = await online('files', 'k1');
    time += 48 * hour;
    expect(await registry.claim('files', 'k2')).toMatchObject({ ok: false, code: 'name_taken' });
    await registry.release('files', epoch);
    time += 24 * hour;
    expect(await registry.claim('files', 'k2')).toMatchObject({ ok: false, code: 'name_taken' });
    time += 1;
    expect(await registry.claim('files', 'k2')).toEqual({ ok: true, epoch: 1 });
  });
});

describe('bounds', () => {
  test('agents: refused when full, and room again when one leaves; a takeover needs none', async () => {
    const epoch = await online('one', 'k1');
    await online('two', 'k2');
    await online('three', 'k3');
    expect(await registry.claim('four', 'k4')).toMatchObject({ ok: false, code: 'quota' });
    expect((await registry.claim('two', 'k2')).ok).toBe(true);
    await registry.release('one', epoch);
    await registry.release('one', epoch);
    expect((await registry.claim('four', 'k4')).ok).toBe(true);
    expect(await registry.claim('five', 'k5')).toMatchObject({ ok: false, code: 'quota' });
  });

  test('names: derived ones are forgotten first, wished ones are kept for their key', async () => {
    await inTurn(['files', 'abcdefgh22', 'docs', 'abcdefgh33'], async (name) => {
      await registry.release(name, await online(name, name));
    });
    await registry.release('more', await online('more', 'k'));
    expect((await registry.find('abcdefgh22')).state).toBe('unknown');
    await registry.release('even-more', await online('even-more', 'k'));
    expect(await registry.claim('too-many', 'k')).toMatchObject({ ok: false, code: 'quota' });
    expect((await registry.find('files')).state).toBe('offline');
    time += 24 * hour + 1;
    expect((await registry.claim('too-many', 'k')).ok).toBe(true);
  });
});
