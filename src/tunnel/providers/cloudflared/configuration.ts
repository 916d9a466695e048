import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { ExposeError, messageOf } from '../../../errors.ts';
import { readText } from '../../../platform/lock-file.ts';
import { configFolder, makeFolder } from '../../config-folder.ts';
import { makeTemporaryFolder } from '../external/temporary-folder.ts';

/** Content of our own configuration, without which cloudflared reads the user's; an empty file causes a warning. */
const text = '{}\n';

const fileName = 'cloudflared.yml';

export interface CloudflaredConfiguration {
  readonly file: string;
  /** Removes what is not kept for the next run. Never throws. */
  close(): void;
}

/**
 * One file for all runs, so that nothing has to be removed; where it cannot be kept, a temporary one.
 * @throws ExposeError `tunnel_unavailable` when nothing can be written at all.
 */
export function openConfiguration(env: NodeJS.ProcessEnv): CloudflaredConfiguration {
  try {
    return { file: keptIn(configFolder(env)), close() {} };
  } catch {
    return openForThisRun();
  }
}

function keptIn(folder: string): string {
  const file = path.join(folder, fileName);
  if (readText(file) === text) return file;
  makeFolder(folder);
  // Atomically: another run may be reading it.
  const draft = `${file}.${process.pid}`;
  try {
    writeFileSync(draft, text);
    renameSync(draft, file);
  } finally {
    rmSync(draft, { force: true });
  }
  return file;
}

function openForThisRun(): CloudflaredConfiguration {
  try {
    const folder = makeTemporaryFolder('cloudflared');
    const file = path.join(folder.path, fileName);
    writeFileSync(file, text);
    return { file, close: folder.remove };
  } catch (cause) {
    throw new ExposeError(
      'tunnel_unavailable',
      `no configuration for cloudflared can be written: ${messageOf(cause)}`,
      {
        hints: [`make room in ${tmpdir()}, or let TMPDIR name another folder`],
        cause,
      },
    );
  }
}
