import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ExposeError, messageOf } from '../../errors.ts';
import { configFolder, fileStem, makeFolder } from '../config-folder.ts';
import type { Identity } from './identity.ts';
import { createIdentity } from './identity.ts';
import type { SlotLock } from './slot-lock.ts';
import { takeLock } from './slot-lock.ts';

/** Processes of one user towards one relay that get a lasting key each; the next ones get one for the run. */
const maxSlots = 100;

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
  /** The name that the relay will be asked for; it has a key of its own, whichever order shares are started in. */
  readonly name?: string;
  /** Told when the key cannot be kept, so that the URL will be another one next time. */
  readonly onWarning: (message: string) => void;
  /** Where XDG_CONFIG_HOME, APPDATA and HOME are read; `process.env` by default. */
  readonly env?: NodeJS.ProcessEnv;
  /** Whether a pid belongs to a living process; for tests. */
  readonly isAlive?: (pid: number) => boolean;
}

/**
 * The agent's key for one relay, from the user's configuration folder. Each process holds one slot (`<relay>.1`,
 * `<relay>.2`, …) under a lock, so two processes never take each other's name over, and the first one always gets the
 * same URL. A wished name has one slot, `<relay>.name-<name>`. Makes the folder (0700) and the key (0600) as needed;
 * falls back to a key in memory with a warning.
 * Throws ExposeError `tunnel_unavailable` for a key file that is damaged or that others can read, or a wished name that
 * another process of this user has.
 */
export function openKeySlot(options: KeyStoreOptions): KeySlot {
  const folder = join(configFolder(options.env ?? process.env), 'keys');
  let reason = `${maxSlots} processes use this relay already`;
  try {
    makeFolder(folder);
    if (options.name !== undefined) return openNamedSlot(folder, options.name, options);
    for (let slot = 1; slot <= maxSlots; slot += 1) {
      const stem = join(folder, `${fileStem(options.relayHost)}.${slot}`);
      const lock = takeLock(`${stem}.lock`, options.isAlive);
      if (lock !== undefined) return openSlot(`${stem}.key`, lock);
    }
  } catch (error) {
    if (error instanceof ExposeError) throw error;
    reason = messageOf(error);
  }
  options.onWarning(`the key of this tunnel cannot be kept, its URL will change with every start (${reason})`);
  return { identity: createIdentity(), isStable: false, close() {} };
}

function openNamedSlot(folder: string, name: string, { relayHost, isAlive }: KeyStoreOptions): KeySlot {
  const stem = join(folder, `${fileStem(relayHost)}.name-${name}`);
  const lock = takeLock(`${stem}.lock`, isAlive);
  if (lock !== undefined) return openSlot(`${stem}.key`, lock);
  throw new ExposeError('tunnel_unavailable', `the name ${name} is in use by another share of yours`, {
    hints: ['end that one first, or choose another --name'],
  });
}

function openSlot(path: string, lock: SlotLock): KeySlot {
  try {
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
