import { beforeEach, describe, expect, test, vi } from 'vitest';
import { ExposeError } from '../../src/errors.ts';
import { eventually } from '../harness/eventually.ts';
import { parseJson } from '../harness/parse-json.ts';
import { createTerminal, type Terminal } from './terminal.ts';

const failure = new ExposeError('address_in_use', 'port 80 on 127.0.0.1 is in use', {
  hints: ['choose another one', 'or\nwait'],
});

function sayEverything({ output }: Terminal): void {
  output.result('the result');
  output.event({ event: 'ready', publicUrl: null });
  output.note('a note');
  output.warning('a warning');
  output.serverLine('words of the server');
  output.detail('a detail');
  output.essential('the token');
  output.error(failure);
}

const errorLines =
  'mcp-expose: error: port 80 on 127.0.0.1 is in use\nmcp-expose: hint: choose another one\nmcp-expose: hint: or\n  wait\n';

describe('off a terminal', () => {
  test('standard output has the result only, everything else is on standard error behind our name', () => {
    const terminal = createTerminal();
    sayEverything(terminal);
    expect(terminal.stdout()).toBe('the result\n');
    expect(terminal.stderr()).toBe(
      `mcp-expose: a note\nmcp-expose: warning: a warning\n[server] words of the server\nmcp-expose: the token\n${errorLines}`,
    );
  });

  test('--verbose adds details', () => {
    const terminal = createTerminal({ verbose: true });
    terminal.output.detail('a detail');
    expect(terminal.stderr()).toBe('mcp-expose: a detail\n');
  });

  test('--quiet leaves the result, what cannot be done without, and errors', () => {
    const terminal = createTerminal({ quiet: true, verbose: true });
    sayEverything(terminal);
    expect(terminal.stdout()).toBe('the result\n');
    expect(terminal.stderr()).toMatch(/^mcp-expose: the token\nmcp-expose: error: port 80/);
    expect(terminal.stderr()).not.toMatch(/note|warning|server\]|detail/);
  });
});

describe('--json', () => {
  test('prints events, warnings and errors as one object per line', () => {
    const terminal = createTerminal({ json: true });
    terminal.output.event({ event: 'ready', publicUrl: null, text: 'a\nb' });
    terminal.output.warning('a warning');
    terminal.output.error(failure);
    const lines = terminal.stdout().trimEnd().split('\n');
    expect(lines.map((line) => parseJson<unknown>(line))).toEqual([
      { event: 'ready', publicUrl: null, text: 'a\nb' },
      { event: 'warning', message: 'a warning' },
      {
        event: 'error',
        code: 'address_in_use',
        message: 'port 80 on 127.0.0.1 is in use',
        hints: ['choose another one', 'or\nwait'],
      },
    ]);
    expect(terminal.stderr()).toContain(errorLines);
  });

  test('with --quiet still prints every event', () => {
    const terminal = createTerminal({ json: true, quiet: true });
    terminal.output.event({ event: 'ready' });
    terminal.output.warning('a warning');
    expect(terminal.stdout()).toBe('{"event":"ready"}\n{"event":"warning","message":"a warning"}\n');
    expect(terminal.stderr()).toBe('');
  });

  test.each(['ready', 'error', 'closed'])(
    'what comes before %s waits for it, so that a script reads it first',
    (outcome) => {
      const terminal = createTerminal({ json: true });
      terminal.output.warning('early');
      terminal.output.event({ event: 'tunnel', state: 'up' });
      expect(terminal.stdout()).toBe('');
      terminal.output.event({ event: outcome });
      terminal.output.warning('late');
      const events = terminal
        .stdout()
        .trimEnd()
        .split('\n')
        .map((line) => parseJson<{ event: string }>(line).event);
      expect(events).toEqual([outcome, 'warning', 'tunnel', 'warning']);
    },
  );

  test('without it there are no events', () => {
    const terminal = createTerminal();
    terminal.output.event({ event: 'ready' });
    expect(terminal.stdout()).toBe('');
  });
});

describe('words of others', () => {
  const forged = 'x\u001b[2J\u001b]0;title\u0007\u009b31m\u202e\r\nmcp-expose: ready at https://evil.example\u2028y';
  const clean = 'x mcp-expose: ready at https://evil.example y';

  test('stay on one line and move nothing, whatever they are printed as', () => {
    const terminal = createTerminal({ verbose: true });
    const { output } = terminal;
    output.result(forged);
    output.result('a: ', ['green', forged], ' ', forged);
    for (const print of [output.note, output.detail, output.essential, output.warning]) print(forged);
    output.serverLine(forged);
    output.error(new ExposeError('upstream_refused', forged));
    expect(terminal.stdout()).toBe(`${clean}\na: ${clean} ${clean}\n`);
    const [note, detail, essential, warning, serverLine, error] = terminal.stderr().split('\n');
    expect([note, detail, essential]).toEqual(Array.from({ length: 3 }, () => `mcp-expose: ${clean}`));
    expect([warning, serverLine, error]).toEqual([
      `mcp-expose: warning: ${clean}`,
      `[server] ${clean}`,
      `mcp-expose: error: ${clean}`,
    ]);
    // Also the stack that follows.
    expect(terminal.stderr()).not.toMatch(/[^\P{Cc}\n]|\p{Bidi_Control}/u);
    expect(terminal.stderr()).not.toMatch(/^mcp-expose: ready/m);
  });

  test('of several lines in a hint stay readable and are set off', () => {
    const terminal = createTerminal();
    const hints = ['it printed: one\r\n\u001b[31mtwo\u001b[0m\nmcp-expose: hint: run this'];
    terminal.output.error(new ExposeError('upstream_exited', 'it ended', { hints }));
    expect(terminal.stderr()).toBe(
      'mcp-expose: error: it ended\nmcp-expose: hint: it printed: one\n  two\n  mcp-expose: hint: run this\n',
    );
  });

  test('are in JSON as they came', () => {
    const terminal = createTerminal({ json: true });
    terminal.output.event({ event: 'ready', name: forged });
    expect(parseJson<unknown>(terminal.stdout())).toEqual({ event: 'ready', name: forged });
    expect(terminal.stdout().split('\n')).toHaveLength(2);
  });

  test('lose their colours and leave ours', () => {
    vi.stubEnv('FORCE_COLOR', '1');
    const terminal = createTerminal({ tty: 'both' });
    terminal.output.result(['green', 'a\u001b[31mb']);
    terminal.output.warning('c\u001b[31md');
    expect(terminal.stdout()).toBe('\u001b[32mab\u001b[39m\n');
    expect(terminal.stderr()).toBe('mcp-expose: \u001b[33mwarning:\u001b[39m cd\n');
  });
});

test('the last line of a question is shown again below what is printed meanwhile', () => {
  const { output, stderr } = createTerminal({ tty: 'both' });
  const end = output.question(['ben wants to call rm\u001B[2K:', '  {}', 'Allow it? [y/N] ']);
  output.serverLine('busy');
  output.essential('the token');
  expect(stderr()).toBe(
    'ben wants to call rm:\n  {}\nAllow it? [y/N] ' +
      '\n[server] busy\nAllow it? [y/N] ' +
      '\nmcp-expose: the token\nAllow it? [y/N] ',
  );
  end();
  output.note('approved');
  expect(stderr()).toMatch(/Allow it\? \[y\/N\] mcp-expose: approved\n$/);
});

describe('a stream that nobody reads', () => {
  const line = 'x'.repeat(1000);

  test('costs lines of the server and notes, not memory, and what was dropped is told once', async () => {
    const terminal = createTerminal();
    const { stderr } = terminal.streams;
    stderr.isRead = false;
    for (let count = 0; count < 5000; count++) {
      terminal.output.serverLine(line);
      terminal.output.note(line);
      terminal.output.warning(line);
    }
    expect(stderr.writableLength).toBeLessThan(2 * 1024 * 1024);
    // Never dropped.
    terminal.output.essential('token: abc');
    stderr.read();
    await eventually(() => expect(stderr.writableLength).toBe(0));
    terminal.output.note('again');
    const lines = terminal.stderr().trimEnd().split('\n');
    const printed = lines.filter((each) => each.endsWith(line)).length;
    expect(lines.slice(printed)).toEqual([
      'mcp-expose: token: abc',
      `mcp-expose: ${15_000 - printed} lines were dropped here, since standard error was not read`,
      'mcp-expose: again',
    ]);
  });

  test('costs events with --json, but never those that tell what has become of the start', async () => {
    const terminal = createTerminal({ json: true });
    const { stdout } = terminal.streams;
    stdout.isRead = false;
    for (let count = 0; count < 3000; count++) terminal.output.warning(line);
    terminal.output.event({ event: 'ready' });
    for (let count = 0; count < 3000; count++) terminal.output.event({ event: 'session', line });
    expect(stdout.writableLength).toBeLessThan(3 * 1024 * 1024);
    terminal.output.event({ event: 'closed' });
    stdout.read();
    await eventually(() => expect(stdout.writableLength).toBe(0));
    const events = terminal
      .stdout()
      .trimEnd()
      .split('\n')
      .map((each) => parseJson<{ event: string; message?: string }>(each));
    expect(events[0]).toEqual({ event: 'ready' });
    expect(events.find(({ message }) => message === '2000 more events were dropped')).toBeDefined();
    expect(events.slice(-2)).toMatchObject([
      { event: 'closed' },
      {
        event: 'warning',
        message: expect.stringMatching(/^\d+ events were dropped here, since standard output was not read$/),
      },
    ]);
  });
});

describe('an error that is not ours', () => {
  test.each([
    [new TypeError('x is not a function'), 'x is not a function'],
    ['thrown text', 'thrown text'],
    [undefined, 'undefined'],
  ])('%s is reported as a bug in mcp-expose', (error, message) => {
    const terminal = createTerminal({ json: true });
    terminal.output.error(error);
    expect(parseJson<unknown>(terminal.stdout())).toMatchObject({ event: 'error', code: 'internal', message });
    expect(terminal.stderr()).toContain(`mcp-expose: error: ${message}\nmcp-expose: hint: this is a bug in mcp-expose`);
  });

  test('shows where it came from with --verbose only', () => {
    const error = new Error('broken');
    const [plain, verbose] = [createTerminal(), createTerminal({ verbose: true })];
    plain.output.error(error);
    verbose.output.error(error);
    expect(plain.stderr()).not.toContain('output.test.ts');
    expect(verbose.stderr()).toContain('output.test.ts');
  });
});

describe('colours', () => {
  // Node's styleText asks the process itself as well, which has no terminal here.
  beforeEach(() => void vi.stubEnv('FORCE_COLOR', '1'));

  const escape = '\u001b[';
  const coloured = (options: Parameters<typeof createTerminal>[0]): boolean => {
    const terminal = createTerminal(options);
    terminal.output.result(['green', 'text']);
    terminal.output.warning('x');
    return `${terminal.stdout()}${terminal.stderr()}`.includes(escape);
  };

  test.each<[string, Parameters<typeof createTerminal>[0], boolean]>([
    ['on a terminal', { tty: 'both' }, true],
    ['off a terminal', {}, false],
    ['with NO_COLOR', { tty: 'both', env: { NO_COLOR: '1' } }, false],
    ['with an empty NO_COLOR', { tty: 'both', env: { NO_COLOR: '' } }, true],
    ['with FORCE_COLOR off a terminal', { env: { FORCE_COLOR: '1' } }, true],
    ['with FORCE_COLOR=0 on a terminal', { tty: 'both', env: { FORCE_COLOR: '0' } }, false],
    ['with NO_COLOR and FORCE_COLOR', { tty: 'both', env: { NO_COLOR: '1', FORCE_COLOR: '1' } }, false],
    ['with --no-color', { tty: 'both', color: false, env: { FORCE_COLOR: '1' } }, false],
    ['with --json', { tty: 'both', json: true, env: { FORCE_COLOR: '1' } }, false],
  ])('%s: %j', (_when, options, expected) => {
    expect(coloured(options)).toBe(expected);
  });

  test('do not end up in a file to which only standard error is redirected', () => {
    const terminal = createTerminal({ tty: 'stdout' });
    sayEverything(terminal);
    expect(terminal.stderr()).not.toContain(escape);
  });

  test('do not end up in a file to which only standard output is redirected', () => {
    const terminal = createTerminal({ tty: 'stderr' });
    terminal.output.result(['green', 'text']);
    expect(terminal.stdout()).toBe('text\n');
  });
});

describe('interactive', () => {
  test.each<[string, Parameters<typeof createTerminal>[0], boolean]>([
    ['with a terminal on both streams', { tty: 'both' }, true],
    ['with standard output redirected', { tty: 'stderr' }, false],
    ['with standard error redirected', { tty: 'stdout' }, false],
    ['without a terminal', {}, false],
    ['with --json', { tty: 'both', json: true }, false],
    ['with --quiet', { tty: 'both', quiet: true }, false],
    ['in continuous integration', { tty: 'both', env: { CI: 'true' } }, false],
    ['with FORCE_COLOR alone', { env: { FORCE_COLOR: '1' } }, false],
  ])('%s', (_when, options, expected) => {
    expect(createTerminal(options).output.interactive).toBe(expected);
  });

  test('off a terminal there is no spinner', async () => {
    const terminal = createTerminal();
    await terminal.output.progress('starting');
    terminal.output.endProgress();
    expect([terminal.stdout(), terminal.stderr()]).toEqual(['', '']);
  });
});

describe('a long result', () => {
  test('waits for its reader', async () => {
    const { output, streams } = createTerminal();
    streams.stdout.isRead = false;
    output.result('first');
    let isWritten = false;
    const written = output.written().then((value) => (isWritten = value));
    await new Promise((resolve) => setImmediate(resolve));
    expect(isWritten).toBe(false);
    streams.stdout.read();
    await written;
    expect(isWritten).toBe(true);
  });

  test('ends with its reader', async () => {
    const { output, streams } = createTerminal();
    streams.stdout.destroy();
    expect(await output.written()).toBe(false);
  });
});
