import { ExposeError } from '../../../errors.ts';

/** How to start a server: a program and its arguments, or a line for the shell where only a shell can read it. */
export type ServerCommand =
  | { readonly kind: 'argv'; readonly file: string; readonly args: readonly string[] }
  | { readonly kind: 'shell'; readonly line: string };

/**
 * Unquoted, these mean something to a shell: pipes, lists, redirection, grouping, expansion, `*`. A `?` is left alone:
 * it stands in URLs more often than for a file.
 */
const shellSyntax = new Set('|&;<>()$`*');

/** `NAME=value` in front of a command sets a variable, which only a shell does. */
const assignment = /^[A-Za-z_][A-Za-z0-9_]*=/;

/**
 * Reads a command line as a POSIX shell would split it (POSIX.1-2017, Shell §2.2 quoting, §2.3 tokens), without starting
 * one: an argument reaches the server as it was typed. A line that uses the shell's own syntax is left to the shell.
 * @param option of the command line that it is the value of.
 * @throws ExposeError `usage` when it is empty or a quote is not closed. It shows nothing of the line, which may hold
 * secrets.
 */
export function parseCommandLine(line: string, option = '--stdio'): ServerCommand {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  let quotedAt = 0;

  for (let at = 0; at < line.length; at++) {
    const char = line.charAt(at);
    if (quote === "'") {
      if (char === "'") quote = undefined;
      else word += char;
    } else if (quote === '"') {
      if (char === '"') quote = undefined;
      else if (char === '$' || char === '`') return { kind: 'shell', line };
      else if (char === '\\' && line.charAt(at + 1) === '\n') at++;
      else if (char === '\\' && /["\\$`]/.test(line.charAt(at + 1))) word += line.charAt(++at);
      else word += char;
    } else if (char === "'" || char === '"') {
      quote = char;
      quotedAt = at + 1;
      word ??= '';
    } else if (char === '\\' && process.platform !== 'win32' && at + 1 < line.length) {
      // A line break that is escaped goes on with the line (§2.2.1).
      const escaped = line.charAt(++at);
      if (escaped !== '\n') word = (word ?? '') + escaped;
    } else if (char === ' ' || char === '\t' || char === '\n') {
      // No other white space separates words: that of other scripts is as good as a letter.
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === '#' && word === undefined) {
      // A comment, to the end of its line (§2.3).
      while (at + 1 < line.length && line.charAt(at + 1) !== '\n') at++;
    } else if (shellSyntax.has(char) || (char === '~' && word === undefined)) {
      return { kind: 'shell', line };
    } else {
      word = (word ?? '') + char;
      if (words.length === 0 && assignment.test(word)) return { kind: 'shell', line };
    }
  }
  if (quote !== undefined) {
    throw new ExposeError('usage', `the command of ${option} has an opening ${quote} that is never closed`, {
      hints: [`it is character ${quotedAt} of ${line.length}: close it, or write a backslash before it`],
    });
  }
  if (word !== undefined) words.push(word);
  const [file, ...args] = words;
  if (file === undefined || file === '') throw new ExposeError('usage', `the command of ${option} is empty`);
  return { kind: 'argv', file, args };
}
