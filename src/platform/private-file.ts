import { constants, open, type FileHandle } from 'node:fs/promises';

import { ExposeError, messageOf, type ErrorCode } from '../errors.ts';
import { shellQuote } from './text/redact.ts';

export interface PrivateFileOptions {
  /** What it is, for messages: `token file`. */
  readonly what: string;
  /** Of the errors. */
  readonly code: ErrorCode;
  readonly maxBytes: number;
  /** What to do if there is no such file. */
  readonly missingHint: string;
}

/**
 * Reads a file with a secret, which only its owner may read.
 * @throws ExposeError with the given code: missing, not a file, readable by others, or too large.
 */
export async function readPrivateFile(path: string, options: PrivateFileOptions): Promise<string> {
  const { what, code, maxBytes, missingHint } = options;
  const unusable = (message: string, hints: readonly string[] = [], cause?: unknown): ExposeError =>
    new ExposeError(code, message, { hints, cause });
  let file: FileHandle;
  try {
    // Non-blocking: opening a pipe that nobody writes to would block.
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
      throw unusable(`there is no ${what} ${path}`, [missingHint]);
    }
    throw unusable(`cannot read the ${what} ${path}: ${messageOf(cause)}`, [], cause);
  }
  try {
    // The open file is checked, so that it cannot be replaced between the check and the read.
    const { mode, size } = await file
      .stat()
      .then((stat) => ({ mode: stat.isFile() ? stat.mode : undefined, size: stat.size }));
    if (mode === undefined) throw unusable(`the ${what} ${path} is not a file`);
    // Windows has no mode bits; its files inherit the access list of their folder.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw unusable(
        `the ${what} ${path} can be read by other users (mode ${(mode & 0o777).toString(8).padStart(4, '0')})`,
        [`make it private: chmod 600 ${shellQuote(path)}`],
      );
    }
    if (size > maxBytes) throw unusable(`the ${what} ${path} is larger than ${maxBytes} bytes`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
