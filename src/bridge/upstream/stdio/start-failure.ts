import { existsSync, statSync } from 'node:fs';

import { openFilesHint } from '../../../errors.ts';
import { redactCommand, shellQuote } from '../../../platform/text/redact.ts';
import type { ServerCommand } from './command-line.ts';
import type { UpstreamEnd } from '../upstream.ts';

/** Why a process did not start, and what to do about it. */
type StartFailure = Pick<UpstreamEnd, 'reason' | 'advice'>;

/** What the system has no more of, and what else it says of no single program. */
const systemErrors: ReadonlyMap<unknown, readonly [why: string, advice: string]> = new Map([
  ['EMFILE', ['too many open files: raise the limit, which ulimit -n shows', openFilesHint]],
  ['ENFILE', ['too many open files on the whole machine: end other programs, or raise its limit', openFilesHint]],
  ['EAGAIN', ['too many processes', 'end some of them, or raise the limit, which ulimit -u shows']],
  ['ENOMEM', ['too little memory', 'end other programs']],
  ['E2BIG', ['its arguments and its environment are too long', 'pass on less with --env and --inherit-env']],
]);

/**
 * Reads the error with which a process did not start. Shows the program without its arguments: some are secrets, and
 * clients are told the reason too.
 */
export function startFailure(command: ServerCommand, cwd: string | undefined, cause: unknown): StartFailure {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  // The system says the same of a missing folder as of a missing program.
  if (cwd !== undefined && !isFolder(cwd)) {
    return failure(`the folder ${cwd} does not exist`, 'correct --cwd, or "cwd" in the configuration');
  }
  const known = systemErrors.get(code);
  if (known !== undefined) return failure(...known);
  const words = command.kind === 'shell' ? [command.line] : [command.file, ...command.args];
  if (words.some((word) => word.includes('\0'))) return failure('a word of its command has a NUL character');
  if (command.kind === 'shell') return failure(`the shell cannot be started (${codeWords(code)})`);
  const { file } = command;
  const shown = shellQuote(redactCommand(file));
  if (code === 'ENOENT') {
    if (file.includes('/') && existsSync(file)) {
      return failure(
        `${shown} names an interpreter that does not exist`,
        'correct its first line, which begins with #!',
      );
    }
    if (/\s/.test(file)) {
      return failure(`there is no command ${shown}, which is one word with blanks in it`, separateWords);
    }
    const isAssignment = /^\w+=/.test(file);
    return failure(
      `there is no command ${shown}`,
      isAssignment ? assignments : 'check that it is installed and in the PATH',
    );
  }
  if (code === 'EACCES') {
    if (isFolder(file)) return failure(`${shown} is a folder`, 'name the program in it');
    return failure(`${shown} may not be executed`, `make it executable: chmod +x ${shown}`);
  }
  return failure(`${shown} cannot be started (${codeWords(code)})`);
}

const separateWords = 'write the program and each of its arguments as words of their own';
const assignments = 'only a shell sets variables like this: use --env NAME=value';

function failure(why: string, advice?: string): StartFailure {
  return { reason: `the server did not start: ${why}`, ...(advice === undefined ? {} : { advice }) };
}

function codeWords(code: unknown): string {
  return typeof code === 'string' ? code : 'no reason is known';
}

/** Never throws: a path that cannot be looked at is no folder to us. */
function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
