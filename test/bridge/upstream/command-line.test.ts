import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { describeCommand, parseCommandLine } from '../../../src/bridge/upstream/command-line.ts';
import { ExposeError } from '../../../src/errors.ts';

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
    String.raw`a "\$HOME"`,
  ])('%s', (line) => {
    expect(parseCommandLine(line)).toEqual({ kind: 'shell', line });
  });
});

describe('a line that cannot be read is a usage error', () => {
  test.each(['', '   ', '\t\n', "''", '""', '"" x'])('%j names no command', (line) => {
    expect(() => parseCommandLine(line)).toThrow(ExposeError);
    expect(() => parseCommandLine(line)).toThrow('the command to start the server is empty');
  });

  test.each([
    [`server 'a`, "'"],
    ['server "a', '"'],
    [String.raw`server "a\"`, '"'],
    [`server it's`, "'"],
  ])('%s has an open quote', (line, quote) => {
    expect(() => parseCommandLine(line)).toThrow(`the command has an opening ${quote} that is never closed: ${line}`);
  });

  test('its code is usage', () => {
    let thrown: unknown;
    try {
      parseCommandLine('');
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'usage', exitCode: 2 });
  });
});

describe('a command is shown as one would type it', () => {
  test.each<[readonly [string, ...string[]], string]>([
    [['npx', '-y', '@scope/server@1.0', '.'], 'npx -y @scope/server@1.0 .'],
    [['server', 'two words'], "server 'two words'"],
    [['server', "it's"], String.raw`server 'it'\''s'`],
    [['server', ''], "server ''"],
    [['server', '$HOME', 'a;b'], "server '$HOME' 'a;b'"],
  ])('%j', ([file, ...args], shown) => {
    expect(describeCommand({ kind: 'argv', file, args })).toBe(shown);
    expect(parseCommandLine(shown)).toEqual({ kind: 'argv', file, args });
  });

  test('a shell line is shown as it is', () => {
    expect(describeCommand({ kind: 'shell', line: 'a | b' })).toBe('a | b');
  });
});
