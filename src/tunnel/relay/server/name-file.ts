import { readFileSync, realpathSync, statSync, type Stats } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ExposeError, messageOf } from '../../../errors.ts';
import { configFolder, fileStem, makeFolder } from '../../config-folder.ts';
import { isDerivedForm, isValidName } from '../protocol/identity.ts';
import { errorCode } from '../../../platform/net/network-errors.ts';

/** Format of the file; a relay does not touch a file of a newer format. */
const version = 1;
/** Largest file that is read, in bytes: 20,000 names take a quarter of it. */
const maxFileBytes: number = 16 * 1024 * 1024;
/** Longest origin, in characters: an IPv6 network. */
const maxOriginLength = 64;
/** Time between two writes, in milliseconds: a claim waits for a write, and claims in a loop must not keep the disk busy. */
const writeGapMs = 250;

/** Each is reported once: the file cannot be written, at the start or later; another process writes it. */
type Warning = 'unwritable' | 'shared';

/** A wished name as it is stored. */
export interface KeptName {
  readonly name: string;
  readonly publicKey: string;
  readonly origin: string;
  /** Milliseconds since 1970; omitted for a name that was online. */
  readonly offlineSince?: number;
}

/** The file in which a relay stores which key has which wished name. */
export interface NameFile {
  /** Its contents when it was opened. */
  readonly names: readonly KeptName[];
  /** Writes the result of `snapshot`. Resolves when that is on disk, or after a failure, which is reported once. Never rejects. */
  save(snapshot: () => readonly KeptName[]): Promise<void>;
  /** Resolves when nothing is left to write. */
  close(): Promise<void>;
}

export interface NameFileOptions {
  /** The path chosen by the operator; by default a file in the configuration folder that belongs to `relay`. */
  readonly path?: string | undefined;
  /** Distinguishes this relay from others of the same user: its public URL, or else its addresses. */
  readonly relay: string;
  readonly env: NodeJS.ProcessEnv;
  readonly onWarning: (message: string) => void;
}

/**
 * Opens the file (0600) and writes it once, so that a file that cannot be written is noticed at the start.
 * @throws ExposeError `state_unusable` for a damaged file, or one that the operator chose and that cannot be used.
 */
export async function openNameFile({ path, relay, env, onWarning }: NameFileOptions): Promise<NameFile> {
  const folder = join(configFolder(env), 'relays');
  const chosen = resolveLink(path ?? join(folder, `${fileStem(relay)}.json`));
  const names = readNames(chosen, path !== undefined);
  let written: Stats | undefined;
  const warned = new Set<Warning>();

  const write = async (kept: readonly KeptName[]): Promise<void> => {
    // Written to a draft and renamed, so that a crash never leaves half a file.
    const draft = `${chosen}.new`;
    await rm(draft, { force: true });
    await writeFile(draft, `${JSON.stringify({ version, names: kept })}\n`, { mode: 0o600, flush: true });
    const before = statSync(chosen, { throwIfNoEntry: false });
    await rename(draft, chosen);
    if (written !== undefined && before !== undefined && before.ino !== written.ino) {
      warnOnce(
        'shared',
        `another process writes ${chosen}, too: give each relay a --state of its own, or names will be lost`,
      );
    }
    written = statSync(chosen, { throwIfNoEntry: false });
  };
  const warnOnce = (kind: Warning, message: string): void => {
    if (!warned.has(kind)) onWarning(message);
    warned.add(kind);
  };

  try {
    if (path === undefined) makeFolder(folder);
    await write(names);
  } catch (error) {
    const message = `cannot write the relay's state to ${chosen}: ${messageOf(error)}`;
    if (path !== undefined) {
      throw new ExposeError('state_unusable', message, {
        hints: ['choose a file that this user can write, in a folder that exists, with --state'],
        cause: error,
      });
    }
    warnOnce(
      'unwritable',
      `${message}; after a restart of this relay, requested names go to the first agent that asks (--state names another file)`,
    );
  }

  const closing = new AbortController();
  /** Resolves when the next write may begin. */
  let ready: Promise<void> = Promise.resolve();
  let waiting: Promise<void> | undefined;
  const writeInTurn = async (snapshot: () => readonly KeptName[]): Promise<void> => {
    await ready;
    waiting = undefined;
    const writing = write(snapshot()).catch((error: unknown) => {
      warnOnce(
        'unwritable',
        `cannot write the relay's state to ${chosen}: ${messageOf(error)}; requested names may not survive a restart`,
      );
    });
    ready = writing.then(async () => await pause(writeGapMs, undefined, closing)).catch(() => {});
    await writing;
  };
  return {
    names,
    async save(snapshot) {
      // Calls that come while a write waits share it.
      waiting ??= writeInTurn(snapshot);
      await waiting;
    },
    async close() {
      closing.abort();
      await waiting;
      await ready;
    },
  };
}

/** @throws ExposeError `state_unusable` for a file that is not ours: starting without it would give names to whoever asks first. */
function readNames(path: string, isChosen: boolean): readonly KeptName[] {
  const stats = statFile(path, isChosen);
  if (stats === undefined) return [];
  if (!stats.isFile()) throw unusable(path, 'is not a file');
  // Windows has no such bits; the folder's access list protects the file there.
  if (process.platform !== 'win32' && (stats.mode & 0o022) !== 0) throw unusable(path, 'can be written by other users');
  if (stats.size > maxFileBytes) throw unusable(path, `is larger than ${maxFileBytes / 1024 / 1024} MiB`);
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw unusable(path, 'cannot be read, or is damaged', error);
  }
  const { version: writtenVersion, names } = fieldsOf(content);
  if (typeof writtenVersion === 'number' && writtenVersion > version) {
    throw unusable(path, 'was written by a newer mcp-expose');
  }
  const read = Array.isArray(names) ? names.map((name: unknown) => readName(fieldsOf(name))) : [undefined];
  const kept = read.filter((name) => name !== undefined);
  if (writtenVersion !== version || kept.length < read.length) throw unusable(path, 'is damaged');
  return [...new Map(kept.map((name) => [name.name, name])).values()];
}

function statFile(path: string, isChosen: boolean): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    const code = errorCode(error);
    // Its folder is a file, or the default folder cannot be searched by this user: the write that follows reports that.
    if (code === 'ENOTDIR' || (!isChosen && (code === 'EACCES' || code === 'EPERM'))) return undefined;
    throw unusable(path, `cannot be read: ${messageOf(error)}`, error);
  }
}

function readName({ name, publicKey, origin, offlineSince }: Partial<Record<string, unknown>>): KeptName | undefined {
  const isKept = typeof name === 'string' && isValidName(name) && !isDerivedForm(name);
  const isKey = typeof publicKey === 'string' && /^[\w-]{43}$/.test(publicKey);
  if (!isKept || !isKey || typeof origin !== 'string' || origin.length > maxOriginLength) return undefined;
  if (offlineSince === undefined) return { name, publicKey, origin };
  return typeof offlineSince === 'number' ? { name, publicKey, origin, offlineSince } : undefined;
}

function fieldsOf(value: unknown): Partial<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}

/** The target of a symbolic link: renaming would replace the link. */
function resolveLink(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function unusable(path: string, why: string, cause?: unknown): ExposeError {
  return new ExposeError('state_unusable', `the relay's state ${path} ${why}`, {
    hints: [
      'restore it, or delete it to start without: requested names then go to the first agent that asks',
      '--state names another file',
    ],
    ...(cause === undefined ? {} : { cause }),
  });
}
