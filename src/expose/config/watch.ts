import { type FSWatcher, lstatSync, realpathSync, statSync, unwatchFile, watch, watchFile } from 'node:fs';
import path from 'node:path';

import { messageOf } from '../../errors.ts';
import { digestOf, isMissing, readTextFile } from './read-file.ts';

/** After the last sign of a change we wait this long: an editor writes in several steps, which are one change. */
const defaultSettleMs = 100;

/** Where the system cannot tell of changes we look this often. */
const defaultPollMs = 1000;

export interface WatchConfigOptions {
  /** Of the content that is in use, from `readConfig`. So that also a change before the watch began is told. */
  readonly digest: string;
  /** The file holds something else now, maybe nothing that can be used: it is to be read again. */
  readonly onChange: () => void;
  /** How long the file must be left alone before it is looked at, in milliseconds. Default 100. */
  readonly settleMs?: number;
  /** Milliseconds between two looks where the system cannot tell of changes. Default 1000. */
  readonly pollMs?: number;
  /** Stands in for `fs.watch` in tests. */
  readonly watchFolder?: typeof watch;
}

export interface ConfigWatch {
  /** Nothing is called back any more. Safe to call twice. */
  close(): void;
}

/**
 * Tells when a file's content has become another one, whether it was written in place, replaced by a rename, or removed
 * and made again. While it is gone nothing is told. Does not keep the process alive. Never throws.
 */
export function watchConfig(file: string, options: WatchConfigOptions): ConfigWatch {
  const { onChange, settleMs = defaultSettleMs, pollMs = defaultPollMs, watchFolder = watch } = options;
  const target = path.resolve(file);
  const watchedFolder = watchableFolderOf(target);
  let { digest } = options;
  let watcher: FSWatcher | undefined;
  let polling = false;
  let closed = false;
  let settling: NodeJS.Timeout | undefined;
  let checking = false;
  let checkAgain = false;

  /** Other files of the folder do not put off a look that is due: they may change without end. */
  function schedule(ofTarget: boolean): void {
    if (closed || (settling !== undefined && !ofTarget)) return;
    clearTimeout(settling);
    settling = setTimeout(() => {
      settling = undefined;
      void check();
    }, settleMs).unref();
  }

  async function check(): Promise<void> {
    checkAgain = checking;
    if (checking) return;
    checking = true;
    const found = await readTextFile(target, 'the file').then(digestOf, (error: unknown) =>
      // What cannot be used is a change, too, of which people should hear. What is gone will come back.
      isMissing(error) ? undefined : digestOf(messageOf(error)),
    );
    checking = false;
    if (closed) return;
    if (checkAgain) schedule(false);
    if (!polling && watchableFolderOf(target) !== watchedFolder) poll();
    if (found === undefined || found === digest) return;
    digest = found;
    onChange();
  }

  const onStat = (): void => schedule(true);

  function poll(): void {
    watcher?.close();
    if (closed || polling) return;
    polling = true;
    watchFile(target, { interval: pollMs, persistent: false }, onStat);
    // Between the last look and the first one of the system there may have been a change.
    schedule(false);
  }

  // The folder, not the file: a rename puts another file in its place, which a watch of the file would not see.
  try {
    if (watchedFolder === undefined) poll();
    else {
      watcher = watchFolder(path.dirname(target), { persistent: false }, (_event, name) =>
        schedule(name === null || name === path.basename(target)),
      );
      watcher.on('error', poll);
    }
  } catch {
    // No such call on this file system, or no watch left (inotify's limit).
    poll();
  }
  schedule(true);

  return {
    close() {
      closed = true;
      clearTimeout(settling);
      watcher?.close();
      if (polling) unwatchFile(target, onStat);
    },
  };
}

/**
 * What tells the folder of a file from another one in its place, whose changes an old watch would not see. Undefined
 * when there is none, or when a link leads to the file: then it can change without anything changing in the folder.
 */
function watchableFolderOf(target: string): string | undefined {
  const folder = path.dirname(target);
  try {
    if (realpathSync(folder) !== folder) return undefined;
    if (lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink() === true) return undefined;
    const { dev, ino } = statSync(folder, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
