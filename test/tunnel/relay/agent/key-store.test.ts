import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createIdentity } from '../../../../src/tunnel/relay/protocol/identity.ts';
import { openKeyFile, openKeySlot } from '../../../../src/tunnel/relay/agent/key-store.ts';
import { temporaryFolder } from '../world.ts';

let folder: ReturnType<typeof temporaryFolder>;
let keys: string;
let warnings: string[];
beforeEach(() => {
  folder = temporaryFolder();
  keys = join(folder.path, 'mcp-expose', 'keys');
  warnings = [];
});
afterEach(() => {
  folder.remove();
});

function open(options: { relayHost?: string; share?: string; name?: string } = {}) {
  return openKeySlot({
    relayHost: 'relay.example:8443',
    env: { XDG_CONFIG_HOME: folder.path },
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
}

test('the key is kept, for this user alone', () => {
  const first = open();
  first.close();
  const second = open();
  second.close();
  expect(second.identity.name).toBe(first.identity.name);
  expect(readdirSync(keys)).toEqual(['relay.example%3A8443.1.key']);
  expect(statSync(keys).mode & 0o777).toBe(0o700);
  expect(statSync(join(keys, 'relay.example%3A8443.1.key')).mode & 0o777).toBe(0o600);
  expect(warnings).toEqual([]);
});

test('every relay has a key of its own, whatever its name looks like', () => {
  const names = ['relay.example', '[::1]:80', '..', 'a/../../b', `${'x'.repeat(300)}.example`].map((relayHost) => {
    const slot = open({ relayHost });
    slot.close();
    return slot.identity.name;
  });
  expect(new Set(names).size).toBe(5);
  expect(readdirSync(keys)).toHaveLength(5);
});

test('two at once get two slots, and each slot keeps its name', () => {
  const one = open();
  const two = open();
  expect(two.identity.name).not.toBe(one.identity.name);
  one.close();
  two.close();
  const again = [open(), open()];
  expect(again.map((slot) => slot.identity.name)).toEqual([one.identity.name, two.identity.name]);
  for (const slot of again) slot.close();
  expect(readdirSync(keys).filter((name) => name.endsWith('.lock'))).toEqual([]);
});

test('the lock of another living process is respected, that of a dead one is taken over', () => {
  const { pid: deadPid } = spawnSync(process.execPath, ['-e', '']);
  mkdirSync(keys, { recursive: true });
  const lock = join(keys, 'relay.example%3A8443.1.lock');
  writeFileSync(lock, `${process.ppid}\n`);
  const beside = open();
  expect(existsSync(join(keys, 'relay.example%3A8443.2.key'))).toBe(true);
  expect(readFileSync(lock, 'utf8')).toBe(`${process.ppid}\n`);
  beside.close();
  writeFileSync(lock, `${deadPid}\n`);
  const over = open();
  expect(existsSync(join(keys, 'relay.example%3A8443.1.key'))).toBe(true);
  expect(readFileSync(lock, 'utf8')).toContain(`${process.pid}\n`);
  over.close();
  expect(existsSync(lock)).toBe(false);
});

test('a lock with our own pid that we do not hold is from an earlier run (containers)', () => {
  mkdirSync(keys, { recursive: true });
  writeFileSync(join(keys, 'relay.example%3A8443.1.lock'), `${process.pid}\n`);
  open().close();
  expect(readdirSync(keys)).toEqual(['relay.example%3A8443.1.key']);
});

test('a lock without a pid is another starter for a moment, and left behind later', () => {
  mkdirSync(keys, { recursive: true });
  const lock = join(keys, 'relay.example%3A8443.1.lock');
  writeFileSync(lock, '');
  open().close();
  expect(readdirSync(keys)).toContain('relay.example%3A8443.2.key');
  utimesSync(lock, 1, 1);
  open().close();
  expect(readdirSync(keys)).toContain('relay.example%3A8443.1.key');
});

test('a stale lock that another starter is taking over is left to it', () => {
  mkdirSync(keys, { recursive: true });
  writeFileSync(join(keys, 'relay.example%3A8443.1.lock'), '4194305\n');
  writeFileSync(join(keys, 'relay.example%3A8443.1.lock.takeover'), '4194306\n');
  open().close();
  expect(readdirSync(keys)).toContain('relay.example%3A8443.2.key');
});

test.each([
  ['can be read by other users', (path: string) => chmodSync(path, 0o640), 'chmod 600'],
  ['is damaged', (path: string) => writeFileSync(path, 'garbage'), 'delete it'],
  ['is damaged', (path: string) => writeFileSync(path, ''), 'delete it'],
])('a key that %s is refused, and the lock is freed', (message, damage, hint) => {
  open().close();
  damage(join(keys, 'relay.example%3A8443.1.key'));
  expect(() => open()).toThrow(
    expect.objectContaining({
      code: 'tunnel_unavailable',
      message: expect.stringContaining(message),
      hints: expect.arrayContaining([expect.stringContaining(hint)]),
    }),
  );
  expect(readdirSync(keys).some((name) => name.endsWith('.lock'))).toBe(false);
});

test('a folder that cannot be made: a key for this run and a warning', () => {
  writeFileSync(join(folder.path, 'mcp-expose'), 'a file where the folder should be');
  const slot = open();
  expect(slot.isStable).toBe(false);
  expect(slot.identity.name).toMatch(/^[a-z2-7]{10}$/);
  expect(warnings).toEqual([expect.stringContaining('its URL will change with every start')]);
  slot.close();
});

test('a wished name keeps its key, whatever is shared before it', () => {
  const named = open({ name: 'mine' });
  named.close();
  const [anonymous, other] = [open(), open({ name: 'other' })];
  const again = open({ name: 'mine' });
  for (const slot of [anonymous, other, again]) slot.close();
  expect(again.identity.name).toBe(named.identity.name);
  expect(new Set([again, anonymous, other].map(({ identity }) => identity.name)).size).toBe(3);
});

test('a wished name that another share of this user has is refused', () => {
  const first = open({ name: 'mine' });
  expect(() => open({ name: 'mine' })).toThrow('the name mine is in use by another share of yours');
  first.close();
  open({ name: 'mine' }).close();
});

test('a folder that cannot be made on any account is noticed at once', () => {
  // Node's own recursive mkdir never returns there.
  const slot = openKeySlot({
    relayHost: 'relay.example',
    env: { XDG_CONFIG_HOME: '/proc/nowhere' },
    onWarning: (warning) => warnings.push(warning),
  });
  expect([slot.isStable, warnings.length]).toEqual([false, 1]);
});

test('the key belongs to what is shared, in whichever order shares are started', () => {
  const first = ['one', 'other'].map((share) => open({ share }));
  for (const slot of first) slot.close();
  const again = ['other', 'one'].map((share) => open({ share }));
  for (const slot of again) slot.close();
  expect(again.map(({ identity }) => identity.name)).toEqual(first.map(({ identity }) => identity.name).toReversed());
});

test('the same share twice at once has two keys, and both are kept', () => {
  const names = [1, 2].map(() => {
    const both = [open({ share: 'one' }), open({ share: 'one' })];
    for (const slot of both) slot.close();
    return both.map(({ identity, isStable }) => isStable && identity.name);
  });
  expect(names[0]).toEqual(names[1]);
  expect(new Set(names[0]).size).toBe(2);
});

test('what is shared shows in no name of a file; its digest is frozen, another one would give it another URL', () => {
  open({ share: 'npx server --password=secret' }).close();
  expect(readdirSync(keys)).toEqual(['relay.example%3A8443.share-cd27b9ea908a2507b300384a0d6c4c5d.1.key']);
});

const oldFile = (slot: number, extension = 'key') => join(keys, `relay.example%3A8443.${slot}.${extension}`);
const nameOf = (share: string): string => {
  const slot = open({ share });
  slot.close();
  return slot.identity.name;
};

describe('keys that were given out in the order of starting', () => {
  const older = [createIdentity(), createIdentity()];
  const [first, second] = older.map(({ name }) => name);
  beforeEach(() => {
    mkdirSync(keys, { recursive: true });
    for (const [index, identity] of older.entries()) {
      writeFileSync(oldFile(index + 1), identity.exportPem(), { mode: 0o600 });
    }
  });

  test('go to the first shares that come, and stay theirs', () => {
    expect([nameOf('one'), nameOf('other')]).toEqual([first, second]);
    expect([first, second]).not.toContain(nameOf('third'));
    expect([nameOf('other'), nameOf('one')]).toEqual([second, first]);
    expect(readdirSync(keys).filter((file) => !file.includes('.share-'))).toEqual([]);
  });

  test('are left to who is using them', () => {
    writeFileSync(oldFile(1, 'lock'), `${process.ppid}\n`);
    expect(nameOf('one')).toBe(second);
    expect(readdirSync(keys)).toContain('relay.example%3A8443.1.key');
  });

  test('are refused when they are damaged', () => {
    writeFileSync(oldFile(1), 'garbage');
    expect(() => open({ share: 'one' })).toThrow(`the tunnel key ${oldFile(1)} is damaged`);
    expect(readdirSync(keys).some((name) => name.endsWith('.lock'))).toBe(false);
  });
});

describe('a key file of the choice of the user', () => {
  test('is made for the user alone, and stays the same, for several at once too', async () => {
    const path = join(folder.path, 'relay.key');
    const [one, other] = await Promise.all([openKeyFile(path), openKeyFile(path)]);
    expect(other.name).toBe(one.name);
    expect((await openKeyFile(path)).name).toBe(one.name);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder.path)).toEqual(['relay.key']);
  });

  test('is one that openssl has made', async () => {
    const path = join(folder.path, 'relay.key');
    const made = spawnSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', path]);
    expect(made.status).toBe(0);
    chmodSync(path, 0o600);
    const publicKey = spawnSync('openssl', ['pkey', '-in', path, '-pubout', '-outform', 'DER']).stdout.subarray(-32);
    expect((await openKeyFile(path)).publicKey).toBe(publicKey.toString('base64url'));
  });

  test.each<[string, (path: string) => void, RegExp]>([
    [
      'that others can read',
      (path) => writeFileSync(path, createIdentity().exportPem(), { mode: 0o644 }),
      /relay key .* can be read by other users \(mode 0644\)/,
    ],
    ['without a key', (path) => writeFileSync(path, 'no key', { mode: 0o600 }), /is not an Ed25519 private key in PEM/],
    [
      'with a key of another kind',
      (path) => {
        const { privateKey } = generateKeyPairSync('x25519');
        writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
      },
      /is not an Ed25519 private key in PEM/,
    ],
    ['that is a folder', (path) => mkdirSync(path), /is not a file/],
  ])('%s is refused, and left as it is', async (_what, make, message) => {
    const path = join(folder.path, 'relay.key');
    make(path);
    const { mtimeMs } = statSync(path);
    await expect(openKeyFile(path)).rejects.toMatchObject({
      code: 'tunnel_unavailable',
      message: expect.stringMatching(message),
    });
    expect(statSync(path).mtimeMs).toBe(mtimeMs);
  });

  test('in a folder that does not exist is an error that says so', async () => {
    const path = join(folder.path, 'missing', 'relay.key');
    await expect(openKeyFile(path)).rejects.toThrow(`cannot make the relay key ${path}: ENOENT`);
  });
});
