import { hash } from 'node:crypto';
import { constants, open, type FileHandle } from 'node:fs/promises';

import { ExposeError, messageOf } from '../../errors.ts';

/** Largest file that is read, in bytes: a thousand servers fit, a log that was named by mistake does not. */
const maxFileBytes = 1024 * 1024;

/**
 * Reads a text file of at most 1 MiB, without a byte order mark.
 * @param what names the file in errors, for example `the config file mcp.json`.
 * @throws ExposeError `config_unusable`: missing, no file, unreadable, too large or not UTF-8. The system's error, if
 * there was one, is its cause. The content never stands in it.
 */
export async function readTextFile(file: string, what: string): Promise<string> {
  let handle: FileHandle;
  try {
    // Without waiting: a pipe that nobody writes to is no file.
    handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    if (isMissing(cause)) throw unusable(`${what} does not exist`, cause);
    throw unusable(`cannot read ${what}: ${messageOf(cause)}`, cause);
  }
  let bytes: Buffer;
  try {
    // Asked of the open file, so that nobody can swap it between the look and the reading.
    const stat = await handle.stat();
    if (stat.isDirectory()) throw unusable(`${what} is a folder`);
    if (!stat.isFile()) throw unusable(`${what} is not a file`);
    if (stat.size > maxFileBytes) throw tooLarge(what);
    bytes = await handle.readFile();
  } catch (cause) {
    throw cause instanceof ExposeError ? cause : unusable(`cannot read ${what}: ${messageOf(cause)}`, cause);
  } finally {
    await handle.close();
  }
  // It may have grown since, or be one that tells no size.
  if (bytes.length > maxFileBytes) throw tooLarge(what);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unusable(`${what} is not UTF-8 text`);
  }
}

/** Whether the error, or its cause, says that there is no such file. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && error.code === 'ENOENT') || isMissing(error.cause);
}

/** What tells one content of a file from another, without holding it. */
export function digestOf(text: string): string {
  return hash('sha256', text);
}

function tooLarge(what: string): ExposeError {
  return unusable(`${what} is larger than ${maxFileBytes / 1024 / 1024} MiB`);
}

function unusable(message: string, cause?: unknown): ExposeError {
  return new ExposeError('config_unusable', message, cause === undefined ? {} : { cause });
}
