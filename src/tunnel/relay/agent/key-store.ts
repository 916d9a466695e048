import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { ExposeError, messageOf } from '../../../errors.ts';
import { configFolder, fileStem, makeFolder } from '../../config-folder.ts';
import type { Identity } from '../protocol/identity.ts';
import { createIdentity } from '../protocol/identity.ts';
import type { SlotLock } from '../../../platform/lock-file.ts';
import { takeLock } from '../../../platform/lock-file.ts';

/** Processes of one user that share the same at one relay and get a lasting key each; the next ones get one for the run. */
const maxSlots = 100;
const slots: readonly number[] = Array.from({ length: maxSlots }, (_, index) => index + 1);
/** Of the digest of what is shared, in hexadecimal digits: nobody has two shares whose 128 bits are the same. */
const shareDigestLength = 32;

export interface KeySlot {
  readonly identity: Identity;
  /** False when the key, and with it the public URL, ends with this process. */
  readonly isStable: boolean;
  /** Frees the slot for another process. Safe to call twice. */
  close(): void;
}

export interface KeyStoreOptions {
  /** `host[:port]` of the relay, as in `URL.host`. */
  readonly relayHost: string;
  /**
   * What is shared, so that it has the same key whatever else is shared. Only its digest is kept: it may hold secrets. Left
   * out, keys go by the order of starting.
   */
  readonly share?: string | undefined;
  /** The name that the relay will be asked for; it has a key of its own, whatever is shared under it. */
  readonly name?: string;
  /** Told when the key cannot be kept, so that the URL will be another one next time. */
  readonly onWarning: (message: string) => void;
  /** Where XDG_CONFIG_HOME, APPDATA and HOME are read; `process.env` by default. */
  readonly env?: NodeJS.ProcessEnv;
  /** Whether a pid belongs to a living process; for tests. */
  readonly isAlive?: (pid: number) => boolean;
}

/**
 * The agent's key for one relay, from the user's configuration folder. It belongs to what is shared: the file
 * `<relay>.share-<digest>.1`, or `.2` and so on for processes that share the same at the same time, each under a lock, so that
 * none takes the other's name over. A wished name has one of its own, `<relay>.name-<name>`. Makes the folder (0700) and
 * the key (0600) as needed; falls back to a key in memory with a warning.
 * Throws ExposeError `tunnel_unavailable` for a key file that is damaged or that others can read, or a wished name that
 * another process of this user has.
 */
export function openKeySlot(options: KeyStoreOptions): KeySlot {
  const { relayHost, share, name, isAlive, onWarning } = options;
  const folder = join(configFolder(options.env ?? process.env), 'keys');
  let reason = `${maxSlots} processes share the same at this relay already`;
  try {
    makeFolder(folder);
    // Not by `join`, for which a host of dots would be another folder.
    const relay = `${folder}${sep}${fileStem(relayHost)}`;
    if (name !== undefined) return openNamedSlot(`${relay}.name-${name}`, name, isAlive);
    const series = share === undefined ? relay : `${relay}.share-${digestOf(share)}`;
    for (const slot of slots) {
      const path = `${series}.${slot}.key`;
      const lock = takeLock(`${series}.${slot}.lock`, isAlive);
      if (lock === undefined) continue;
      return openSlot(path, lock, () => {
        if (share !== undefined) adoptOldKey(relay, path, isAlive);
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
 * Keys used to be given out in the order of starting, as `<relay>.1`, `<relay>.2` and so on: each goes to the first share
 * that has no key yet, so that URLs of that time live on.
 */
function adoptOldKey(relay: string, path: string, isAlive: KeyStoreOptions['isAlive']): void {
  for (const slot of slots) {
    const old = `${relay}.${slot}`;
    if (!existsSync(`${old}.key`)) continue;
    const lock = takeLock(`${old}.lock`, isAlive);
    // Another share is adopting it, or a version of that time is using it.
    if (lock === undefined) continue;
    try {
      if (readKey(`${old}.key`) === undefined) continue;
      renameSync(`${old}.key`, path);
      return;
    } finally {
      lock.release();
    }
  }
}

function openNamedSlot(stem: string, name: string, isAlive: KeyStoreOptions['isAlive']): KeySlot {
  const lock = takeLock(`${stem}.lock`, isAlive);
  if (lock !== undefined) return openSlot(`${stem}.key`, lock);
  throw new ExposeError('tunnel_unavailable', `the name ${name} is in use by another share of yours`, {
    hints: ['end that one first, or choose another --name'],
  });
}

function openSlot(path: string, lock: SlotLock, beforeMaking: () => void = () => {}): KeySlot {
  try {
    if (!existsSync(path)) beforeMaking();
    const identity = readKey(path) ?? writeKey(path);
    return {
      identity,
      isStable: true,
      close() {
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function readKey(path: string): Identity | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  // Windows has no such bits; there the folder's own access list protects the file.
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

/** Written beside and renamed, so that a crash never leaves half a key. */
function writeKey(path: string): Identity {
  const identity = createIdentity();
  const draft = `${path}.new`;
  writeFileSync(draft, identity.exportPem(), { mode: 0o600 });
  renameSync(draft, path);
  return identity;
}
