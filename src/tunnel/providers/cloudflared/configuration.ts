import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { ExposeError, messageOf } from '../../../errors.ts';
import { configFolder, makeFolder } from '../../config-folder.ts';
import { makeTemporaryFolder } from '../external/temporary-folder.ts';

/** A configuration of the user's would take the place of ours; one that is empty is complained of. */
const text = '{}\n';

const fileName = 'cloudflared.yml';

export interface CloudflaredConfiguration {
  readonly file: string;
  /** Removes what is not for the next time. Never throws. */
  close(): void;
}

/**
 * The same file for every run, so that there is nothing to remove; where it cannot be kept, one for this run.
 * @throws ExposeError `tunnel_unavailable` where nothing can be written at all.
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
  if (contentOf(file) === text) return file;
  makeFolder(folder);
  // In one step: another run may be about to read it.
  const draft = `${file}.${process.pid}`;
  try {
    writeFileSync(draft, text);
    renameSync(draft, file);
  } finally {
    rmSync(draft, { force: true });
  }
  return file;
}

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
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
