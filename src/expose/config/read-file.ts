import { hash } from 'node:crypto';
import { constants, open, type FileHandle } from 'node:fs/promises';

import { ExposeError, messageOf } from '../../errors.ts';

/** Largest file that is read, in bytes: enough for a thousand servers. */
const maxFileBytes = 1024 * 1024;

/**
 * Reads a text file of at most 1 MiB, without a byte order mark.
 * @param what names the file in errors, for example `the config file mcp.json`.
 * @throws ExposeError `config_unusable`: missing, not a file, unreadable, too large or not UTF-8. Its cause is the error of
 * the system, if any. It contains no content of the file.
 */
export async function readTextFile(file: string, what: string): Promise<string> {
  let handle: FileHandle;
  try {
    // Non-blocking: opening a pipe that nobody writes to would block.
    handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    if (isMissing(cause)) throw unusable(`${what} does not exist`, cause);
    throw unusable(`cannot read ${what}: ${messageOf(cause)}`, cause);
  }
  let bytes: Buffer;
  try {
    // The open file is checked, so that it cannot be replaced between the check and the read.
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
  // The file may have grown, or report no size.
  if (bytes.length > maxFileBytes) throw tooLarge(what);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unusable(`${what} is not UTF-8 text`);
  }
}

/** Whether the error, or its cause, says that the file does not exist. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && error.code === 'ENOENT') || isMissing(error.cause);
}

/** Identifies the content of a file, without keeping it. */
export function digestOf(text: string): string {
  return hash('sha256', text);
}

function tooLarge(what: string): ExposeError {
  return unusable(`${what} is larger than ${maxFileBytes / 1024 / 1024} MiB`);
}

function unusable(message: string, cause?: unknown): ExposeError {
  return new ExposeError('config_unusable', message, cause === undefined ? {} : { cause });
}
