import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { parseCommandLine } from '../../../../src/bridge/upstream/stdio/command-line.ts';
import { ExposeError } from '../../../../src/errors.ts';

const argvCases: [string, string[]][] = [
  ['npx -y server .', ['npx', '-y', 'server', '.']],
  ['  npx \t server  ', ['npx', 'server']],
  ["server 'two words' x", ['server', 'two words', 'x']],
  ['server "two words" x', ['server', 'two words', 'x']],
  ["server ''", ['server', '']],
  ['server "" x', ['server', '', 'x']],
  ["server a'b'c", ['server', 'abc']],
  ['server a"b c"d', ['server', 'ab cd']],
  [`server 'it'"'"'s'`, ['server', "it's"]],
  [String.raw`server it\'s`, ['server', "it's"]],
  [String.raw`server two\ words`, ['server', 'two words']],
  [String.raw`server \$HOME \* \; \|`, ['server', '$HOME', '*', ';', '|']],
  [String.raw`server \\ x`, ['server', '\\', 'x']],
  [String.raw`server '\n \" $x'`, ['server', String.raw`\n \" $x`]],
  [String.raw`server "a\"b" "c\\d" "e\nf"`, ['server', 'a"b', String.raw`c\d`, String.raw`e\nf`]],
  ['server "a;b" "c|d" "(e)" "f*" "~"', ['server', 'a;b', 'c|d', '(e)', 'f*', '~']],
  ["server '$(rm -rf x)' '`x`'", ['server', '$(rm -rf x)', '`x`']],
  ['server --url=https://x.example/?a=b --path a=b', ['server', '--url=https://x.example/?a=b', '--path', 'a=b']],
  ['server {"a":1} x~y --to=~', ['server', '{a:1}', 'x~y', '--to=~']],
  ['"a program" x', ['a program', 'x']],
  ['server "é 😀"', ['server', 'é 😀']],
  ['server "a\nb"', ['server', 'a\nb']],
  ['server "\\$HOME" "\\`x\\`"', ['server', '$HOME', '`x`']],
  ['server  a\tb\n', ['server', 'a', 'b']],
  ['server a # the rest is a comment', ['server', 'a']],
  ['server a#b \\#c "#d"', ['server', 'a#b', '#c', '#d']],
  ...['\u3000', '\u00A0', '\u2028', '\u2029', '\u0085', '\u1680', '\uFEFF', '\v', '\f', '\r'].map(
    (space): [string, string[]] => [`server a${space}b${space} c`, ['server', `a${space}b${space}`, 'c']],
  ),
];

describe('a command line is split as a POSIX shell splits it', () => {
  test.each(argvCases)('%s', (line, [file = '', ...args]) => {
    expect(parseCommandLine(line)).toEqual({ kind: 'argv', file, args });
  });

  test.each(argvCases)('%s (what /bin/sh makes of it)', (line, words) => {
    // Turns each word into a line of its own; a NUL cannot stand in an argument.
    const printed = execFileSync('/bin/sh', ['-c', `set -f; printf '%s\\0' ${line}`], { encoding: 'utf8' });
    expect(printed.split('\0').slice(0, -1)).toEqual(words);
  });

  test.each([
    ['outside quotes', 'npx -y \\\n  server .', ['npx', '-y', 'server', '.']],
    ['inside a word', 'ser\\\nver x', ['server', 'x']],
    ['inside double quotes', 'server "a\\\nb"', ['server', 'ab']],
  ])('an escaped line break %s continues the line (§2.2.1)', (_where, line, [file = '', ...args]) => {
    expect(parseCommandLine(line)).toEqual({ kind: 'argv', file, args });
  });
});

describe("a line with the shell's own syntax is left to the shell", () => {
  test.each([
    'a | b',
    'a && b',
    'a; b',
    'a & ',
    'a > out',
    'a < in',
    '(a)',
    'a $HOME',
    'a "$HOME/x"',
    'a "`date`"',
    'a `date`',
    'a *.txt',
    'a ~/x',
    '~/bin/server',
    'KEY=value server',
    'KEY= server',
    '_x9="a b" server',
  ])('%s', (line) => {
    expect(parseCommandLine(line)).toEqual({ kind: 'shell', line });
  });
});

function failureOf(line: string): ExposeError {
  try {
    parseCommandLine(line);
  } catch (error) {
    if (error instanceof ExposeError) return error;
  }
  throw new Error(`${line} was read`);
}

describe('a line that cannot be read is a usage error', () => {
  test.each(['', '   ', '\t\n', "''", '""', '"" x'])('%j names no command', (line) => {
    expect(() => parseCommandLine(line)).toThrow(ExposeError);
    expect(() => parseCommandLine(line)).toThrow('the command of --stdio is empty');
  });

  test.each([
    [`server 'sesame`, "'", 8],
    ['server "sesame', '"', 8],
    [String.raw`server "sesame\"`, '"', 8],
    [`server 'a' it's sesame`, "'", 14],
  ])('%s has an open quote, which is said without showing the command', (line, quote, at) => {
    const error = failureOf(line);
    expect(error.message).toBe(`the command of --stdio has an opening ${quote} that is never closed`);
    expect(error.hints).toEqual([`it is character ${at} of ${line.length}: close it, or write a backslash before it`]);
    expect(JSON.stringify([error.message, error.hints])).not.toContain('sesame');
  });

  test('its code is usage', () => {
    expect(failureOf('')).toMatchObject({ code: 'usage', exitCode: 2 });
  });
});
