import { createHash, randomBytes } from 'node:crypto';
import { existsSync, linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { ExposeError, messageOf } from '../../../errors.ts';
import { configFolder, fileStem, makeFolder } from '../../config-folder.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { takeLock } from '../../../platform/lock-file.ts';
import { readPrivateFile } from '../../../platform/private-file.ts';

/** Processes of one user that share the same thing at one relay and get a stored key each; further ones get a temporary key. */
const maxSlots = 100;
const slots: readonly number[] = Array.from({ length: maxSlots }, (_, index) => index + 1);
/** Hexadecimal digits of the digest of what is shared: 128 bits do not collide. */
const shareDigestLength = 32;

/** A key file has 119 bytes; the rest is room for comments. */
const maxKeyFileBytes = 4 * 1024;

export interface KeySlot {
  readonly identity: Identity;
  /** False when the key, and with it the public URL, is not kept after this process. */
  readonly isStable: boolean;
  /** Frees the slot for another process. Safe to call twice. */
  close(): void;
}

export interface KeyStoreOptions {
  /** `host[:port]` of the relay, as in `URL.host`. */
  readonly relayHost: string;
  /**
   * What is shared: the key belongs to it. Only its digest is stored, since it may contain secrets. Without it, keys are
   * assigned in the order in which processes start.
   */
  readonly share?: string | undefined;
  /** The requested name; it has a key of its own, whatever is shared under it. */
  readonly name?: string;
  /** Called when the key cannot be stored, so that the URL changes with the next start. */
  readonly onWarning: (message: string) => void;
  /** Where XDG_CONFIG_HOME, APPDATA and HOME are read; `process.env` by default. */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * The agent's key for one relay, from the user's configuration folder. It belongs to what is shared: the file
 * `<relay>.share-<digest>.1`, or `.2` and so on for processes that share the same thing at the same time. Each file has a lock,
 * so that no process takes over another's name. A requested name has its own file, `<relay>.name-<name>`. Creates the folder
 * (0700) and the key (0600) as needed; falls back to a key in memory with a warning.
 * @throws ExposeError `tunnel_unavailable` for a key file that is damaged or that others can read, or a requested name that
 * another process of this user has.
 */
export function openKeySlot(options: KeyStoreOptions): KeySlot {
  const { relayHost, share, name, onWarning } = options;
  const folder = join(configFolder(options.env ?? process.env), 'keys');
  let reason = `${maxSlots} processes share the same at this relay already`;
  try {
    makeFolder(folder);
    // Without `join`, which would resolve a host that consists of dots.
    const relay = `${folder}${sep}${fileStem(relayHost)}`;
    if (name !== undefined) return openNamedSlot(`${relay}.name-${name}`, name);
    const series = share === undefined ? relay : `${relay}.share-${digestOf(share)}`;
    for (const slot of slots) {
      const path = `${series}.${slot}.key`;
      const release = takeLock(`${series}.${slot}.lock`);
      if (release === undefined) continue;
      return openSlot(path, release, () => {
        if (share !== undefined) adoptOldKey(relay, path);
      });
    }
  } catch (error) {
    if (error instanceof ExposeError) throw error;
    reason = messageOf(error);
  }
  onWarning(`the key of this tunnel cannot be kept, its URL will change with every start (${reason})`);
  return { identity: createIdentity(), isStable: false, close() {} };
}

function digestOf(share: string): string {
  return createHash('sha256').update(share).digest('hex').slice(0, shareDigestLength);
}

/**
 * Older versions assign keys in the order of starting, as `<relay>.1`, `<relay>.2` and so on: each of these goes to the first
 * share without a key, so that its URL stays valid.
 */
function adoptOldKey(relay: string, path: string): void {
  for (const slot of slots) {
    const old = `${relay}.${slot}`;
    if (!existsSync(`${old}.key`)) continue;
    const release = takeLock(`${old}.lock`);
    // Another share is adopting it, or an older version is using it.
    if (release === undefined) continue;
    try {
      if (readKey(`${old}.key`) === undefined) continue;
      renameSync(`${old}.key`, path);
      return;
    } finally {
      release();
    }
  }
}

function openNamedSlot(stem: string, name: string): KeySlot {
  const release = takeLock(`${stem}.lock`);
  if (release !== undefined) return openSlot(`${stem}.key`, release);
  throw new ExposeError('tunnel_unavailable', `the name ${name} is in use by another share of yours`, {
    hints: [
      'end that one first, or choose another --name',
      'to serve it from both, start both with --replica and the same --relay-key <file>',
    ],
  });
}

function openSlot(path: string, release: () => void, beforeMaking: () => void = () => {}): KeySlot {
  try {
    if (!existsSync(path)) beforeMaking();
    const identity = readKey(path) ?? writeKey(path);
    return { identity, isStable: true, close: release };
  } catch (error) {
    release();
    throw error;
  }
}

function readKey(path: string): Identity | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  // Windows has no such bits; the folder's access list protects the file there.
  if (process.platform !== 'win32' && (stats.mode & 0o077) !== 0) {
    throw new ExposeError('tunnel_unavailable', `the tunnel key ${path} can be read by other users`, {
      hints: [
        `make it yours alone: chmod 600 '${path}'`,
        'or delete it to get a new key, and with it a new public URL',
      ],
    });
  }
  try {
    return createIdentity(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ExposeError('tunnel_unavailable', `the tunnel key ${path} is damaged`, {
      hints: ['delete it to get a new key, and with it a new public URL'],
      cause: error,
    });
  }
}

/**
 * The key in a file of the user's choice, which several processes and machines may use. Makes the file (0600) if it is missing.
 * @throws ExposeError `tunnel_unavailable` for a file that others can read, that has no Ed25519 key, or that cannot be made.
 */
export async function openKeyFile(path: string): Promise<Identity> {
  makeKeyFile(path);
  const pem = await readPrivateFile(path, {
    what: 'relay key',
    code: 'tunnel_unavailable',
    maxBytes: maxKeyFileBytes,
    missingHint: 'start again to make one',
  });
  try {
    return createIdentity(pem);
  } catch (cause) {
    throw new ExposeError(
      'tunnel_unavailable',
      `the relay key ${path} is not an Ed25519 private key in PEM (PKCS #8)`,
      {
        hints: ['name a file that does not exist, and --relay-key makes one'],
        cause,
      },
    );
  }
}

/** Never replaces a key: of several processes that start at once, all use that of the first. */
function makeKeyFile(path: string): void {
  if (existsSync(path)) return;
  const draft = `${path}.${randomBytes(4).toString('hex')}.new`;
  try {
    writeFileSync(draft, createIdentity().exportPem(), { mode: 0o600, flag: 'wx' });
    try {
      linkSync(draft, path);
    } finally {
      rmSync(draft, { force: true });
    }
  } catch (cause) {
    if (existsSync(path)) return;
    throw new ExposeError('tunnel_unavailable', `cannot make the relay key ${path}: ${messageOf(cause)}`, {
      hints: ['name a file in a folder that exists and that you can write to'],
      cause,
    });
  }
}

/** Written to a draft and renamed, so that a crash never leaves half a key. */
function writeKey(path: string): Identity {
  const identity = createIdentity();
  const draft = `${path}.new`;
  writeFileSync(draft, identity.exportPem(), { mode: 0o600 });
  renameSync(draft, path);
  return identity;
}
