import { readFileSync, realpathSync, statSync, type Stats } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

import { ExposeError, messageOf } from '../errors.ts';
import { fieldsOf, type Fields } from './json-fields.ts';
import { readText, takeLock } from './lock-file.ts';
import { errorCode } from './net/network-errors.ts';
import { shellQuote } from './text/redact.ts';

/** Largest file that is read, in bytes: 20,000 names of a relay take a quarter of it. */
const maxFileBytes: number = 16 * 1024 * 1024;

/** Time between two writes, in milliseconds: whoever saves waits for a write, and saving in a loop must not keep the disk busy. */
const writeGapMs = 250;

/** Each is reported once: the file cannot be written, at the start or later; another process writes it. */
type Warning = 'unwritable' | 'shared';

/** A file with a list of entries that survives a restart. */
export interface StateFile<Entry> {
  /** Its contents when it was opened. */
  readonly entries: readonly Entry[];
  /**
   * Writes the result of `snapshot`. Resolves to true when that is on disk, and to false after a failure, which is reported once. Never
   * rejects.
   */
  save(snapshot: () => readonly Entry[]): Promise<boolean>;
  /** Writes what waits, and nothing after that; resolves when that is done, and gives the lock back. */
  close(): Promise<void>;
}

export interface StateFileOptions<Entry> {
  readonly path: string;
  /** Whether the user named the file: then it must be usable. */
  readonly isChosen: boolean;
  /** Makes its folder, if it is not the user's. */
  readonly makeFolder?: () => void;
  /** Whether only one process at a time may use it: then the other is refused. Default: false. */
  readonly isExclusive?: boolean;
  /** What is in the file, for messages, in the singular: `the state of the relay`. */
  readonly what: string;
  /** Format of the entries, from 1. Earlier formats are read; a file of a later one is not touched. */
  readonly version: number;
  /** Name of the list in the file. */
  readonly member: string;
  /** An entry of the list; undefined for a damaged one. */
  readonly readEntry: (fields: Fields) => Entry | undefined;
  /** What happens without the file, for messages. */
  readonly loss: {
    /** Completes "delete it to start without: …". */
    readonly withoutFile: string;
    /** If it could not be written at the start. */
    readonly unwritten: string;
    /** If it could not be written later. */
    readonly notSaved: string;
    /** If another process writes it too. */
    readonly shared: string;
  };
  readonly onWarning: (message: string) => void;
}

/**
 * Opens the file (0600) and writes it once, so that a file that cannot be written is noticed at the start.
 * @throws ExposeError `state_unusable` for a damaged file, one that is in use, or one that the user chose and that cannot be used.
 */
export async function openStateFile<Entry>(options: StateFileOptions<Entry>): Promise<StateFile<Entry>> {
  const path = resolveLink(options.path);
  const unlock = options.isExclusive === true ? lock(path, options) : () => {};
  try {
    const file = await openLocked(path, options);
    return {
      ...file,
      async close() {
        await file.close();
        unlock();
      },
    };
  } catch (error) {
    unlock();
    throw error;
  }
}

/** @throws ExposeError `state_unusable` */
function lock(path: string, options: StateFileOptions<unknown>): () => void {
  const lockFile = `${path}.lock`;
  let unlock: (() => void) | undefined;
  try {
    unlock = takeLock(lockFile);
  } catch (error) {
    throw unwritable(path, options, error);
  }
  if (unlock !== undefined) return unlock;
  const pid = readText(lockFile)?.split('\n')[0];
  throw new ExposeError(
    'state_unusable',
    `another mcp-expose${pid === '' || pid === undefined ? '' : ` (pid ${pid})`} uses ${path}`,
    {
      hints: ['give each run a --state of its own', `if none is running, delete ${lockFile}`],
    },
  );
}

function unwritable(path: string, { what }: StateFileOptions<unknown>, cause: unknown): ExposeError {
  return new ExposeError('state_unusable', `cannot write ${what} to ${path}: ${messageOf(cause)}`, {
    hints: ['choose a file that this user can write, in a folder that exists, with --state'],
    cause,
  });
}

async function openLocked<Entry>(path: string, options: StateFileOptions<Entry>): Promise<StateFile<Entry>> {
  const { isChosen, makeFolder, what, version, member, loss, onWarning } = options;
  const entries = readEntries(path, options);
  let written: Stats | undefined;
  const warned = new Set<Warning>();

  const write = async (kept: readonly Entry[]): Promise<void> => {
    // Written to a draft and renamed, so that a crash never leaves half a file.
    // Another process may write the same file, such as a relay that takes over from this one.
    const draft = `${path}.${process.pid}.new`;
    await rm(draft, { force: true });
    await writeFile(draft, `${JSON.stringify({ version, [member]: kept })}\n`, { mode: 0o600, flush: true });
    const before = statSync(path, { throwIfNoEntry: false });
    await rename(draft, path);
    if (written !== undefined && before !== undefined && before.ino !== written.ino) {
      warnOnce('shared', `another process writes ${path}, too: ${loss.shared}`);
    }
    written = statSync(path, { throwIfNoEntry: false });
  };
  const warnOnce = (kind: Warning, message: string): void => {
    if (!warned.has(kind)) onWarning(message);
    warned.add(kind);
  };

  try {
    makeFolder?.();
    await write(entries);
  } catch (error) {
    const unusable = unwritable(path, options, error);
    if (isChosen) throw unusable;
    warnOnce('unwritable', `${unusable.message}; ${loss.unwritten}`);
  }

  const closing = new AbortController();
  /** Resolves when the next write may begin. */
  let ready: Promise<void> = Promise.resolve();
  let waiting: Promise<boolean> | undefined;
  const writeInTurn = async (snapshot: () => readonly Entry[]): Promise<boolean> => {
    await ready;
    waiting = undefined;
    const writing = write(snapshot()).then(
      () => true,
      (error: unknown) => {
        warnOnce('unwritable', `cannot write ${what} to ${path}: ${messageOf(error)}; ${loss.notSaved}`);
        return false;
      },
    );
    ready = writing.then(async () => await pause(writeGapMs, undefined, closing)).catch(() => {});
    return await writing;
  };
  return {
    entries,
    async save(snapshot) {
      if (closing.signal.aborted) return false;
      // Calls that come while a write waits share it.
      waiting ??= writeInTurn(snapshot);
      return await waiting;
    },
    async close() {
      closing.abort();
      await waiting;
      await ready;
    },
  };
}

/** @throws ExposeError `state_unusable` for a file that is not ours. */
function readEntries<Entry>(path: string, options: StateFileOptions<Entry>): readonly Entry[] {
  const unusable = (why: string, cause?: unknown, hint?: string): ExposeError =>
    new ExposeError('state_unusable', `${options.what} ${path} ${why}`, {
      hints: [
        hint ?? `restore it, or delete it to start without: ${options.loss.withoutFile}`,
        '--state names another file',
      ],
      ...(cause === undefined ? {} : { cause }),
    });
  let stats: Stats | undefined;
  try {
    stats = statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    const code = errorCode(error);
    // Its folder is a file, or the default folder cannot be searched by this user: the write that follows reports that.
    if (code !== 'ENOTDIR' && (options.isChosen || (code !== 'EACCES' && code !== 'EPERM'))) {
      throw unusable(`cannot be read: ${messageOf(error)}`, error);
    }
  }
  if (stats === undefined) return [];
  if (!stats.isFile()) throw unusable('is not a file');
  // Windows has no such bits; the folder's access list protects the file there.
  if (process.platform !== 'win32' && (stats.mode & 0o077) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
    throw unusable(
      `can be read or changed by other users (mode ${mode})`,
      undefined,
      `make it private: chmod 600 ${shellQuote(path)}`,
    );
  }
  if (stats.size > maxFileBytes) throw unusable(`is larger than ${maxFileBytes / 1024 / 1024} MiB`);
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw unusable('cannot be read, or is damaged', error);
  }
  const { version: writtenVersion, [options.member]: list } = fieldsOf(content);
  const isVersion = typeof writtenVersion === 'number' && writtenVersion >= 1;
  if (isVersion && writtenVersion > options.version) throw unusable('was written by a newer mcp-expose');
  const read = Array.isArray(list) ? list.map((entry: unknown) => options.readEntry(fieldsOf(entry))) : [undefined];
  const kept = read.filter((entry) => entry !== undefined);
  if (!isVersion || kept.length < read.length) throw unusable('is damaged');
  return kept;
}

/** The target of a symbolic link: renaming would replace the link. */
function resolveLink(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
