import { beforeEach, describe, expect, test } from 'vitest';
import { inTurn } from '../world.ts';
import { Registry } from '../../../../src/tunnel/relay/server/registry.ts';

const hour = 60 * 60 * 1000;
let time: number;
let registry: Registry<string>;
beforeEach(() => {
  time = 0;
  registry = new Registry({ maxAgents: 3, maxNames: 4, now: () => time });
});

async function online(name: string, key: string, origin = 'o', replica?: string): Promise<number> {
  const claim = await registry.claim(name, key, origin, replica);
  if (!claim.ok) throw new Error(claim.message);
  await registry.attach(name, claim.epoch, `${key}@${claim.epoch}`);
  return claim.epoch;
}

test('a name goes from unknown to online to offline', async () => {
  expect(await registry.find('files')).toEqual({ state: 'unknown' });
  const epoch = await online('files', 'k1');
  expect(await registry.find('files')).toEqual({ state: 'online', agents: ['k1@1'] });
  await registry.release('files', epoch);
  expect(await registry.find('files')).toEqual({ state: 'offline' });
});

test.each(['__proto__', 'constructor', 'toString'])('%s is unknown', async (name) => {
  expect(await registry.find(name)).toEqual({ state: 'unknown' });
});

describe('a clock that jumps', () => {
  test("by days: a name that is online stays online, and its key's", async () => {
    const epoch = await online('files', 'k1');
    time += 1000 * hour;
    expect(await registry.find('files')).toMatchObject({ state: 'online' });
    await registry.release('files', epoch);
    expect(await registry.claim('files', 'k2', 'o')).toMatchObject({ ok: false, code: 'name_taken' });
  });

  test('back by years: a name that is offline is kept for a day all the same, and no longer', async () => {
    time = 100_000 * hour;
    await registry.release('files', await online('files', 'k1'));
    time = 0;
    expect(await registry.find('files')).toEqual({ state: 'offline' });
    time += 23 * hour;
    expect(await registry.find('files')).toEqual({ state: 'offline' });
    time += 2 * hour;
    expect(await registry.find('files')).toEqual({ state: 'unknown' });
  });
});

describe('takeover', () => {
  test('the same key gets the next epoch and the old agent back to close', async () => {
    await online('files', 'k1');
    expect(await registry.claim('files', 'k1', 'o')).toEqual({ ok: true, epoch: 2 });
    expect(await registry.find('files')).toEqual({ state: 'online', agents: ['k1@1'] });
    expect(await registry.attach('files', 2, 'new')).toEqual({ accepted: true, replaced: ['k1@1'], online: 1 });
  });

  test('the clean-up of the old one leaves the new one alone', async () => {
    await online('files', 'k1');
    await online('files', 'k1');
    await registry.release('files', 1);
    expect(await registry.find('files')).toEqual({ state: 'online', agents: ['k1@2'] });
  });

  test('a claim that was overtaken is not attached', async () => {
    await registry.claim('files', 'k1', 'o');
    await registry.claim('files', 'k1', 'o');
    expect(await registry.attach('files', 1, 'late')).toEqual({ accepted: false, replaced: [], online: 0 });
    expect(await registry.attach('files', 2, 'newest')).toEqual({ accepted: true, replaced: [], online: 1 });
  });
});

const agents = async (): Promise<unknown> => await registry.find('files');

describe('replicas', () => {
  test('serve a name together, each under an epoch of its own, until the last one leaves', async () => {
    const first = await online('files', 'k1', 'o1', 'a');
    const second = await online('files', 'k1', 'o2', 'b');
    expect(await agents()).toEqual({ state: 'online', agents: ['k1@1', 'k1@2'] });
    expect(await registry.release('files', first)).toBe(1);
    expect(await registry.release('files', first)).toBe(1);
    expect(await agents()).toEqual({ state: 'online', agents: ['k1@2'] });
    expect(await registry.release('files', second)).toBe(0);
    expect(await agents()).toEqual({ state: 'offline' });
  });

  test('with the same id, one takes over the other and nobody else', async () => {
    await online('files', 'k1', 'o', 'a');
    await online('files', 'k1', 'o', 'b');
    await registry.claim('files', 'k1', 'o', 'a');
    expect(await agents()).toEqual({ state: 'online', agents: ['k1@1', 'k1@2'] });
    expect(await registry.attach('files', 3, 'again')).toEqual({ accepted: true, replaced: ['k1@1'], online: 2 });
    expect(await agents()).toEqual({ state: 'online', agents: ['k1@2', 'again'] });
  });

  test('an agent without an id takes over all of them, and is taken over by one with an id', async () => {
    await online('files', 'k1', 'o', 'a');
    await online('files', 'k1', 'o', 'b');
    await registry.claim('files', 'k1', 'o');
    expect(await registry.attach('files', 3, 'alone')).toEqual({
      accepted: true,
      replaced: ['k1@1', 'k1@2'],
      online: 1,
    });
    await registry.claim('files', 'k1', 'o', 'c');
    expect(await registry.attach('files', 4, 'shared')).toMatchObject({ replaced: ['alone'], online: 1 });
  });

  test('a claim that was overtaken is not attached, one of another replica is', async () => {
    await registry.claim('files', 'k1', 'o', 'a');
    await registry.claim('files', 'k1', 'o', 'b');
    await registry.claim('files', 'k1', 'o', 'a');
    expect(await registry.attach('files', 3, 'a again')).toMatchObject({ accepted: true, replaced: [] });
    expect(await registry.attach('files', 1, 'a')).toMatchObject({ accepted: false });
    expect(await registry.attach('files', 2, 'b')).toEqual({ accepted: true, replaced: [], online: 2 });
  });

  test('a claim that is given up leaves those that it would have taken over online', async () => {
    await online('files', 'k1');
    await registry.claim('files', 'k1', 'o');
    expect(await registry.release('files', 2)).toBe(1);
    expect(await agents()).toEqual({ state: 'online', agents: ['k1@1'] });
  });

  test('another key gets none of it', async () => {
    await online('files', 'k1', 'o', 'a');
    expect(await registry.claim('files', 'k2', 'o', 'a')).toMatchObject({ ok: false, code: 'name_taken' });
  });

  test('each counts as an agent: a full relay refuses one more, and one that takes over needs no room', async () => {
    await inTurn(['a', 'b', 'c'], async (replica) => await online('files', 'k1', 'o', replica));
    expect(await registry.claim('files', 'k1', 'o', 'd')).toMatchObject({ code: 'quota' });
    expect((await registry.claim('files', 'k1', 'o', 'b')).ok).toBe(true);
  });

  test('the seventeenth of a name is refused with a sentence', async () => {
    registry = new Registry({ now: () => time });
    const ids = Array.from({ length: 16 }, (_, index) => `r${index}`);
    await inTurn(ids, async (replica) => await online('files', 'k1', 'o', replica));
    expect(await registry.claim('files', 'k1', 'o', 'r16')).toEqual({
      ok: false,
      code: 'quota',
      message: 'the name files has 16 replicas, as many as a name can have',
    });
    expect((await registry.claim('files', 'k1', 'o', 'r3')).ok).toBe(true);
    expect((await registry.claim('files', 'k1', 'o')).ok).toBe(true);
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
    // Not that of the first owner again, whose agent may still be closing.
    expect(await registry.claim('files', 'k2', 'o')).toEqual({ ok: true, epoch: 2 });
  });
});

describe('bounds', () => {
  test('agents: refused when full, and room again when one leaves; a takeover needs none', async () => {
    const epoch = await online('one', 'k1');
    await online('two', 'k2');
    await online('three', 'k3');
    expect(await registry.claim('four', 'k4', 'o')).toMatchObject({ ok: false, code: 'quota' });
    await online('two', 'k2');
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
  const wished = Array.from({ length: 16 }, (_, index) => `name-${index}`);
  beforeEach(() => {
    registry = new Registry({ maxAgents: 100, maxNames: 30, now: () => time });
  });

  test('the seventeenth is refused with a sentence, and none of the sixteen passes to another key', async () => {
    await use('of-another', 'o2');
    await inTurn(wished, async (name) => await use(name, 'o1'));
    expect(await registry.claim('seventeenth', 'k', 'o1')).toEqual({
      ok: false,
      code: 'quota',
      message: expect.stringContaining('16 names for your network'),
    });
    expect(await states([...wished, 'of-another'])).toEqual(Array.from({ length: 17 }, () => 'offline'));
    expect(await registry.claim('name-0', 'stranger', 'o2')).toMatchObject({ code: 'name_taken' });
    expect((await registry.claim('new-one', 'k', 'o3')).ok).toBe(true);
  });

  test('a key keeps the names that it has, and gets its derived one', async () => {
    await inTurn(wished, async (name) => await use(name, 'o1'));
    await use('name-0', 'o1');
    await use('abcdefgh22', 'o1');
    await registry.release('name-1', await online('name-1', 'name-1', 'o1'));
    expect((await registry.find('abcdefgh22')).state).toBe('offline');
  });

  test('names in use and derived names do not count; there is room again after 24 h', async () => {
    await online('in-use', 'k', 'o1');
    await use('abcdefgh22', 'o1');
    await inTurn(wished, async (name) => await use(name, 'o1'));
    expect((await registry.claim('one-more', 'k', 'o1')).ok).toBe(false);
    time += 24 * hour + 1;
    expect((await registry.claim('one-more', 'k', 'o1')).ok).toBe(true);
  });

  test('a name that its key uses from elsewhere counts there', async () => {
    await use('moved', 'o1');
    await inTurn(wished.slice(1), async (name) => await use(name, 'o1'));
    expect((await registry.claim('one-more', 'k', 'o1')).ok).toBe(false);
    await use('moved', 'o2');
    expect((await registry.claim('one-more', 'k', 'o1')).ok).toBe(true);
  });

  test('of agents that cannot be told apart, only each key is limited', async () => {
    await inTurn([...wished, 'one-more'], async (name) => await use(name, ''));
    expect(await states(['name-0', 'one-more'])).toEqual(['offline', 'offline']);
    await inTurn(wished, async (name) => await online(`of-k-${name}`, 'k', 'o1').catch(() => undefined));
    expect(await registry.claim('of-k', 'k', 'o2')).toMatchObject({ message: expect.stringContaining('for your key') });
  });
});

describe('when all names are remembered', () => {
  beforeEach(() => {
    registry = new Registry({ maxAgents: 100, maxNames: 10, now: () => time });
  });

  test('the oldest that is offline at the origin that has most gives way, and never one of who asks', async () => {
    await use('honest', 'o1');
    await online('in-use', 'k', 'o2');
    await inTurn([1, 2, 3, 4, 5, 6, 7, 8], async (index) => await use(`greedy-${index}`, 'o2'));
    expect(await registry.claim('more-greed', 'k2', 'o2')).toMatchObject({ ok: false, code: 'quota' });
    await use('newcomer', 'o3');
    expect(await states(['honest', 'in-use', 'greedy-1', 'greedy-2', 'newcomer'])).toEqual([
      'offline',
      'online',
      'unknown',
      'offline',
      'offline',
    ]);
  });

  test('a derived name is served all the same', async () => {
    await inTurn(
      Array.from({ length: 10 }, (_, index) => `name-${index}`),
      async (name) => await use(name, ''),
    );
    const epoch = await online('abcdefgh22', 'k', '');
    expect((await registry.find('abcdefgh22')).state).toBe('online');
    await registry.release('abcdefgh22', epoch);
    expect(await states(['name-0', 'abcdefgh22'])).toEqual(['offline', 'unknown']);
  });

  test('whoever claims and drops derived names displaces only their own', async () => {
    await use('abcdefgh22', 'o1');
    const letters = 'abcdefghijklmnopqrstuvwxyz'.split('');
    await inTurn(letters, async (letter) => await use(`${letter.repeat(9)}2`, 'o2'));
    expect(await states(['abcdefgh22', 'aaaaaaaaa2', 'zzzzzzzzz2'])).toEqual(['offline', 'unknown', 'offline']);
  });
});

describe('when all places are taken', () => {
  beforeEach(() => {
    registry = new Registry({ maxAgents: 3, now: () => time });
  });

  test('an agent of the origin that has most gives way: one that nobody has called, else the newest', async () => {
    await inTurn(['one', 'two', 'three'], async (name) => await online(name, name, 'o1'));
    await registry.find('one');
    const first = await registry.claim('of-another', 'k', 'o2');
    expect(first).toMatchObject({ ok: true, displaced: 'two@2' });
    await registry.attach('of-another', 4, 'k@4');
    expect(await states(['one', 'two', 'three', 'of-another'])).toEqual(['online', 'offline', 'online', 'online']);
    await registry.release('two', 2);
    expect(await registry.claim('of-a-third', 'k3', 'o3')).toMatchObject({ ok: true, displaced: 'three@3' });
    // One each: nobody has more than another would get.
    expect(await registry.claim('of-a-fourth', 'k4', 'o4')).toMatchObject({ ok: false, code: 'quota' });
  });

  test('within an origin only one that nobody has called for a while', async () => {
    await inTurn(['one', 'two', 'three'], async (name) => await online(name, name, 'o1'));
    expect(await registry.claim('four', 'k', 'o1')).toMatchObject({ ok: false, code: 'quota' });
    time += 2_000;
    await registry.find('one');
    expect(await registry.claim('four', 'k', 'o1')).toMatchObject({ ok: true, displaced: 'two@2' });
  });
});
