import fs, { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createIdentity } from '../../../../src/tunnel/relay/protocol/identity.ts';
import type { StateFile } from '../../../../src/platform/state-file.ts';
import { openNameFile, type KeptName } from '../../../../src/tunnel/relay/server/name-file.ts';
import { Registry } from '../../../../src/tunnel/relay/server/registry.ts';
import { eventually, inTurn, temporaryFolder } from '../world.ts';

const { publicKey } = createIdentity();
const kept: KeptName = { name: 'files', publicKey, origin: '192.0.2.1', offlineSince: 1 };
let folder: ReturnType<typeof temporaryFolder>;
let path: string;
let warnings: string[];
const files: StateFile<KeptName>[] = [];
beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder.path, 'names.json');
  warnings = [];
});
afterEach(async () => {
  await Promise.all(files.splice(0).map(async (file) => await file.close()));
  folder.remove();
});

async function open(
  options: { path?: string | undefined; relay?: string; home?: string } = {},
): Promise<StateFile<KeptName>> {
  const { relay = 'relay.example:7900', home = folder.path, ...more } = options;
  const env = { XDG_CONFIG_HOME: home };
  const file = await openNameFile({ path, relay, env, onWarning: (warning) => warnings.push(warning), ...more });
  files.push(file);
  return file;
}

test('what is saved is there again, for this user alone', async () => {
  const file = await open();
  expect(file.entries).toEqual([]);
  const online: KeptName = { name: 'docs', publicKey, origin: '' };
  await file.save(() => [kept, online]);
  expect((await open()).entries).toEqual([kept, online]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('a claim waits until it is on the disk, and those that wait share a write', async () => {
  const file = await open();
  let snapshots = 0;
  const names: KeptName[] = [];
  const save = (name: string) => {
    names.push({ ...kept, name });
    return file.save(() => {
      snapshots += 1;
      return names;
    });
  };
  await Promise.all(['one', 'two', 'three'].map(save));
  expect(readFileSync(path, 'utf8')).toContain('"three"');
  expect(snapshots).toBeLessThan(3);
});

test('without a path each relay has its own file in the configuration folder', async () => {
  await (await open({ path: undefined })).save(() => [kept]);
  expect((await open({ path: undefined, relay: '127.0.0.1:1' })).entries).toEqual([]);
  expect((await open({ path: undefined })).entries).toEqual([kept]);
  expect(statSync(join(folder.path, 'mcp-expose', 'relays', 'relay.example%3A7900.json')).mode & 0o777).toBe(0o600);
});

test('a link stays a link', async () => {
  const target = join(folder.path, 'target.json');
  writeFileSync(target, '{"version":1,"names":[]}', { mode: 0o600 });
  symlinkSync(target, path);
  await (await open()).save(() => [kept]);
  expect(readFileSync(target, 'utf8')).toContain('files');
});

const entry = (more: object) => JSON.stringify({ version: 1, names: [{ ...kept, ...more }] });

describe('a file that cannot be used is refused in words', () => {
  test.each([
    ['is damaged', ''],
    ['is damaged', '{"version":1,"names":[{'],
    ['is damaged', '[]'],
    ['is damaged', '{"version":1,"names":{}}'],
    ['is damaged', entry({ name: '../x' })],
    ['is damaged', entry({ name: 'abcdefgh22' })],
    ['is damaged', entry({ publicKey: 'short' })],
    ['is damaged', entry({ origin: 'x'.repeat(65) })],
    ['is damaged', entry({ offlineSince: 'yesterday' })],
    ['was written by a newer mcp-expose', '{"version":2,"names":[]}'],
  ])('%s: %s', async (why, content) => {
    writeFileSync(path, content, { mode: 0o600 });
    await expect(open()).rejects.toMatchObject({
      code: 'state_unusable',
      message: expect.stringContaining(why),
      hints: [expect.stringContaining('delete it'), expect.any(String)],
    });
    expect(readFileSync(path, 'utf8')).toBe(content);
  });

  test.each([0o644, 0o622, 0o604])('that others can read or change: mode %o', async (mode) => {
    writeFileSync(path, '{"version":1,"names":[]}');
    chmodSync(path, mode);
    await expect(open()).rejects.toMatchObject({
      code: 'state_unusable',
      message: expect.stringContaining(`can be read or changed by other users (mode 0${mode.toString(8)})`),
      hints: [`make it private: chmod 600 ${path}`, expect.any(String)],
    });
    expect(statSync(path).mode & 0o777).toBe(mode);
  });

  test('that is no file', async () => {
    await expect(open({ path: '/dev/null' })).rejects.toThrow('/dev/null is not a file');
    await expect(open({ path: folder.path })).rejects.toThrow('is not a file');
  });

  test('that is too large', async () => {
    writeFileSync(path, Buffer.alloc(16 * 1024 * 1024 + 1), { mode: 0o600 });
    await expect(open()).rejects.toThrow('is larger than 16 MiB');
  });
});

test('a chosen file that cannot be written is refused; the default one only costs the memory', async () => {
  await expect(open({ path: join(folder.path, 'missing', 'names.json') })).rejects.toMatchObject({
    code: 'state_unusable',
    message: expect.stringContaining('cannot write'),
  });
  const blocked = join(folder.path, 'blocked');
  writeFileSync(blocked, 'a file where the folder should be');
  const file = await open({ path: undefined, home: blocked });
  expect(warnings).toEqual([expect.stringContaining('requested names go to the first agent that asks')]);
  await file.save(() => [kept]);
  expect(warnings).toHaveLength(1);
});

test('a default folder that this user may not search only costs the memory', async () => {
  const home = join(folder.path, 'locked');
  mkdirSync(home);
  vi.spyOn(fs, 'statSync').mockImplementation(() => {
    throw Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
  });
  syncBuiltinESMExports();
  await open({ path: undefined, home });
  vi.restoreAllMocks();
  syncBuiltinESMExports();
  expect(warnings).toEqual([expect.stringContaining('requested names go to the first agent that asks')]);
});

test('a write that fails later is told once, and the next ones are tried all the same', async () => {
  const file = await open();
  const draft = `${path}.${process.pid}.new`;
  mkdirSync(join(draft, 'in-the-way'), { recursive: true });
  await file.save(() => [kept]);
  await file.save(() => [kept]);
  expect(warnings).toEqual([expect.stringContaining('may not survive a restart')]);
});

test('two relays that share a file are told', async () => {
  const [one, other] = [await open(), await open()];
  await one.save(() => [kept]);
  await other.save(() => [kept]);
  expect(warnings).toContainEqual(expect.stringContaining('another process writes'));
});

test('a shared file that then cannot be written: both are told, each once', async () => {
  const one = await open();
  await open();
  await one.save(() => [kept]);
  mkdirSync(join(`${path}.${process.pid}.new`, 'in-the-way'), { recursive: true });
  await one.save(() => [kept]);
  await one.save(() => [kept]);
  expect(warnings).toEqual([
    expect.stringContaining('another process writes'),
    expect.stringContaining('may not survive a restart'),
  ]);
});

describe('a registry with a file', () => {
  const now = 1_000_000_000_000;
  const hour = 60 * 60 * 1000;
  const start = (time = now) => new Registry<string>({ file: open(), now: () => time });

  test('gives a wished name to no other key after a restart', async () => {
    const before = start();
    expect(await before.claim('files', publicKey, 'o')).toMatchObject({ ok: true });
    // Killed here, without a word: what was online may come back for a whole day.
    const after = start(now + 48 * hour);
    expect(await after.claim('files', 'another', 'o')).toMatchObject({ ok: false, code: 'name_taken' });
    expect(await after.find('files')).toEqual({ state: 'offline' });
    expect(await after.claim('files', publicKey, 'o')).toMatchObject({ ok: true });
  });

  test('lets go of it 24 h after its last use, a restart or not', async () => {
    const before = start();
    await before.claim('files', publicKey, 'o');
    await before.release('files', 1);
    await eventually(() => readFileSync(path, 'utf8').includes('offlineSince'), 'the release to be written');
    expect((await start(now + 24 * hour).claim('files', 'another', 'o')).ok).toBe(false);
    expect((await start(now + 24 * hour + 1).claim('files', 'another', 'o')).ok).toBe(true);
  });

  test('counts the names of an origin on, and keeps derived ones out', async () => {
    const before = start();
    const names = Array.from({ length: 16 }, (_, index) => `name-${index}`);
    await Promise.all(
      ['abcdefgh22', ...names].map(async (name) => await before.claim(name, name.padEnd(43, '-'), 'o')),
    );
    await inTurn(names, async (name) => await before.release(name, 1));
    const after = start();
    expect(await after.claim('one-more', publicKey, 'o')).toMatchObject({ ok: false, code: 'quota' });
    expect(await after.find('abcdefgh22')).toEqual({ state: 'unknown' });
  });

  test('that is damaged gives out no names', async () => {
    writeFileSync(path, '{', { mode: 0o600 });
    await expect(start().claim('files', publicKey, 'o')).rejects.toMatchObject({ code: 'state_unusable' });
  });
});
