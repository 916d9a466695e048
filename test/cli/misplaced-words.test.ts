// What people type who forget `--`, or expect a command where there is an option: the hint is what they meant.
import { describe, expect, test } from 'vitest';
import { refuseMisplacedWords, unquotedCommandHints, type CommandLine } from '../../src/cli/misplaced-words.ts';
import { ExposeError } from '../../src/errors.ts';
import { quietProgram } from './command-line.ts';

function commandLine(argv: readonly string[]): CommandLine {
  const at = argv.indexOf('--');
  const program = quietProgram(() => {});
  if (at === -1) return { program, own: argv, serverCommand: [] };
  return { program, own: argv.slice(0, at), serverCommand: argv.slice(at + 1) };
}

function refusalOf(argv: readonly string[]): { message: string; hints: readonly string[] } {
  try {
    refuseMisplacedWords(commandLine(argv));
  } catch (error) {
    if (error instanceof ExposeError && error.code === 'usage') return error;
    throw error;
  }
  throw new Error(`${argv.join(' ')} was let pass`);
}

const masked = '… replaces a possible secret: write your own value';

describe('a forgotten -- is named by the first word behind it', () => {
  test.each<[string[], string, string]>([
    [['npx', '-y', 'server'], 'npx', 'mcp-expose -- npx -y server'],
    [['server.js'], 'server.js', 'mcp-expose -- server.js'],
    [['npx', '-y', 'server', '--help'], 'npx', 'mcp-expose -- npx -y server --help'],
    [['--stdio', 'npx', '-y', 'server'], '-y', 'mcp-expose -- npx -y server'],
    [['--stdio=npx', '-y', 'server'], '-y', 'mcp-expose -- npx -y server'],
    [['--stdio', 'npx', '--yes', 'server'], '--yes', 'mcp-expose -- npx --yes server'],
    [['--stdio', 'npx', 'server', '.'], 'server', 'mcp-expose -- npx server .'],
    [['--stdio', 'npx -y', 'server'], 'server', 'mcp-expose -- npx -y server'],
    [['--stdio', 'npx', '--json', '-y', 'server'], '-y', 'mcp-expose --json -- npx -y server'],
    [['--port', '7800', 'npx', 'x'], 'npx', 'mcp-expose --port 7800 -- npx x'],
    [['--port=7800', '--json', 'npx', 'x'], 'npx', 'mcp-expose --port=7800 --json -- npx x'],
    [['--name', 'relay', 'npx', 'x'], 'npx', 'mcp-expose --name relay -- npx x'],
    [['--cwd', '/my files', 'node', "it's.js"], 'node', String.raw`mcp-expose --cwd '/my files' -- node 'it'\''s.js'`],
    [['node', 'a b', '$HOME', ''], 'node', "mcp-expose -- node 'a b' '$HOME' ''"],
    [['npx -y server'], "'npx -y server'", 'mcp-expose -- npx -y server'],
    [['cd x && node y'], "'cd x && node y'", "mcp-expose --stdio 'cd x && node y'"],
    [['npx', '-y', '--', 'server'], 'npx', 'mcp-expose -- npx -y -- server'],
    [['—', 'npx', 'x'], "'—'", 'mcp-expose -- npx x'],
  ])('%j', (argv, word, corrected) => {
    const { message, hints } = refusalOf(argv);
    expect(message).toBe(`unexpected argument: ${word}`);
    expect(hints).toEqual([`write -- before the command: ${corrected}`]);
  });

  test('options of ours among the words of the command may be meant for either', () => {
    expect(refusalOf(['--json', 'npx', 'x', '--tunnel', 'none', '-y']).hints).toEqual([
      'write -- before the command: mcp-expose --json -- npx x --tunnel none -y',
      'or, to give --tunnel to mcp-expose: mcp-expose --json --tunnel none -- npx x -y',
    ]);
  });

  test('what may be a secret is not repeated, but names are', () => {
    expect(refusalOf(['--env', 'KEY=sesame', '--env', 'OWN', 'npx', 'x', '--api-key', 'sesame']).hints).toEqual([
      'write -- before the command: mcp-expose --env KEY=… --env OWN -- npx x --api-key …',
      masked,
    ]);
  });

  test('a command line that was corrected is let pass', () => {
    for (const argv of [
      ['npx', '-y', 'x'],
      ['--stdio', 'npx', '-y', 'x'],
      ['--port', '1', 'node', 'x'],
    ]) {
      const [, corrected = ''] = /: mcp-expose (.*)$/.exec(refusalOf(argv).hints[0] ?? '') ?? [];
      expect(() => refuseMisplacedWords(commandLine(corrected.split(' ')))).not.toThrow();
    }
  });
});

describe('other words where only options can be', () => {
  test.each<[string[], string, string]>([
    [['help'], 'help', 'mcp-expose --help'],
    [['help', 'relay'], 'help', 'mcp-expose relay --help'],
    [['relay', 'help'], 'help', 'mcp-expose relay --help'],
    [['relay', '--port', '1', '8080'], '8080', 'mcp-expose relay --help'],
    [['relay', '-'], '-', 'mcp-expose relay --help'],
    [['token', 'add', '--read-only', 'anna', '--once', 'ben'], 'ben', 'mcp-expose token --help'],
    [['version'], 'version', 'mcp-expose --version'],
    [['http://127.0.0.1:1/mcp'], 'http://127.0.0.1:1/mcp', 'did you mean: mcp-expose --http http://127.0.0.1:1/mcp'],
    [['http://127.0.0.1:1/sse'], 'http://127.0.0.1:1/sse', 'did you mean: mcp-expose --sse http://127.0.0.1:1/sse'],
    [['--json', 'mcp.json'], 'mcp.json', 'did you mean: mcp-expose --json --config mcp.json'],
    [['--http', 'http://a', 'x'], 'x', 'mcp-expose --help lists the options'],
    [['--config', 'a.json', 'files'], 'files', 'mcp-expose --help lists the options'],
  ])('%j', (argv, word, hint) => {
    expect(refusalOf(argv)).toMatchObject({ message: `unexpected argument: ${word}`, hints: [hint] });
  });

  test.each([
    [['--upstream-header', 'Authorization:', 'Bearer', 'sesame'], '--upstream-header'],
    [['--stdio', 'node x', '--env', 'KEY=', 'sesame'], '--env'],
    [['--env', 'KEY=open', 'sesame'], '--env'],
  ])('half of a value that should have been quoted is not shown: %j', (argv, option) => {
    const { message, hints } = refusalOf(argv);
    expect(message).toBe(`unexpected argument after the value of ${option}`);
    expect(hints.join(' ')).not.toContain('sesame');
  });
});

test.each<string[]>([
  [],
  ['--', 'npx', '-y', 'x'],
  ['--stdio', 'npx -y x'],
  ['--port', '1', '--', 'npx'],
  ['relay'],
  ['relay', '--port', '1'],
  ['relay', '--bogus'],
  ['token', 'add', '--allow-tool', 'read_*', 'anna', '--once'],
  ['token', 'list', '--expires', '1h'],
  ['token', '--bogus', 'x', 'y', 'z'],
  ['--help', 'x'],
  ['-h', 'x'],
  ['--bogus', 'npx'],
  ['-y', 'npx'],
  ['--stdio', 'npx -y x', '--tunel', 'none'],
  ['--port'],
])('is let pass, maybe for another error: %j', (...argv) => {
  expect(() => refuseMisplacedWords(commandLine(argv))).not.toThrow();
});

describe('a whole command in one word', () => {
  test.each<[string[], readonly string[]]>([
    [['--json', '--', 'npx -y x'], ['write it without the quotes: mcp-expose --json -- npx -y x']],
    [['--', 'node "a b"'], [`write it without the quotes: mcp-expose --stdio 'node "a b"'`]],
    [
      ['--', 'KEY=sesame npx x'],
      ["write it without the quotes: mcp-expose --stdio 'KEY=… npx x'", masked],
    ],
    [['--', 'npx'], []],
    [['--', 'my program', 'x'], []],
  ])('%j', (argv, hints) => {
    expect(unquotedCommandHints(commandLine(argv))).toEqual(hints);
  });
});
