import { type FSWatcher, lstatSync, realpathSync, statSync, unwatchFile, watch, watchFile } from 'node:fs';
import path from 'node:path';

import { messageOf } from '../../errors.ts';
import { digestOf, isMissing, readTextFile } from './read-file.ts';

/** How long to wait after the last sign of a change, in milliseconds: editors write a file in several steps. */
const defaultSettleMs = 100;

/** How often the file is checked if the system cannot report changes, in milliseconds. */
const defaultPollMs = 1000;

export interface WatchConfigOptions {
  /** Of the content in use, from `readConfig`, so that a change before the watch began is reported too. */
  readonly digest: string;
  /** The content of the file has changed, and may be invalid: it has to be read again. */
  readonly onChange: () => void;
  /** How long the file must stay unchanged before it is read, in milliseconds. Default: 100. */
  readonly settleMs?: number;
  /** Interval of the checks if the system cannot report changes, in milliseconds. Default: 1000. */
  readonly pollMs?: number;
  /** Replaces `fs.watch` in tests. */
  readonly watchFolder?: typeof watch;
}

export interface ConfigWatch {
  /** Stops all callbacks. Safe to call twice. */
  close(): void;
}

/**
 * Reports changes of a file's content, whether the file is written in place, replaced by a rename, or removed and created
 * again. While it does not exist, nothing is reported. Does not keep the process alive. Never throws.
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

  /** Changes of other files in the folder do not delay a scheduled check: they may change all the time. */
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
      // A file that cannot be read is a change too, so that it is reported. A missing file is waited for.
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
    // The file may have changed between the last check and the first one of the system.
    schedule(false);
  }

  // The folder is watched, since a watch of the file would not see that a rename replaces it.
  try {
    if (watchedFolder === undefined) poll();
    else {
      watcher = watchFolder(path.dirname(target), { persistent: false }, (_event, name) =>
        schedule(name === null || name === path.basename(target)),
      );
      watcher.on('error', poll);
    }
  } catch {
    // Not supported by this file system, or no watch left (limit of inotify).
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
 * Identifies the folder of a file, since a watch does not see changes in a folder that replaces it. Undefined if it does not
 * exist, or if the file is a link: then the file can change without a change in the folder.
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
