// The command line up to the point where something would be started.
import type { EventEmitter } from 'node:events';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { main } from '../../src/cli/main.ts';
import { parseJson } from '../harness/parse-json.ts';

type Listener = (...args: readonly unknown[]) => void;

const names = ['SIGINT', 'SIGTERM', 'SIGHUP', 'uncaughtException', 'unhandledRejection'] as const;
const emitter: EventEmitter = process;
let stdout = '';
let stderr = '';
let earlier: Map<string, readonly unknown[]>;

/** What `main` listens to, beside what was there before. */
function addedListeners(name: string): Listener[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what Node says is a Function
  const all = emitter.listeners(name) as Listener[];
  return all.filter((listener) => earlier.get(name)?.includes(listener) !== true);
}

beforeEach(() => {
  [stdout, stderr] = ['', ''];
  // `main` ends its process a while after its work is done.
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
  earlier = new Map(names.map((name) => [name, emitter.listeners(name)]));
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  vi.useRealTimers();
  process.exitCode = undefined;
  for (const name of names) {
    for (const listener of addedListeners(name)) emitter.off(name, listener);
  }
});

async function run(...argv: string[]): Promise<{ exitCode: unknown; events: unknown[] }> {
  await main(argv);
  const lines = stdout === '' ? [] : stdout.trimEnd().split('\n');
  return { exitCode: process.exitCode, events: lines.map((line) => parseJson<unknown>(line)) };
}

const usage = { event: 'error', code: 'usage' };
const closed = { event: 'closed', reason: 'error', exitCode: 2 };

test('an error before the options are known is a JSON event where the environment asks for JSON', async () => {
  vi.stubEnv('MCP_EXPOSE_JSON', '1');
  const { exitCode, events } = await run('--bogus');
  expect(exitCode).toBe(2);
  expect(events).toMatchObject([{ ...usage, message: "unknown option '--bogus'" }, closed]);
});

test('and has no colour where the environment asks for none', async () => {
  vi.stubEnv('FORCE_COLOR', '1');
  vi.stubEnv('NO_COLOR', '');
  await run('--bogus');
  expect(stderr).toContain('\u001b[');
  stderr = '';
  vi.stubEnv('MCP_EXPOSE_NO_COLOR', '1');
  await run('--bogus');
  expect(stderr).toMatch(/^mcp-expose: error: unknown option/);
});

test.each([
  [['--json', 'relay'], '--json has no effect before relay'],
  [['--json', '--name', 'files', '--stdio', 'x'], '--name has no effect without a relay'],
])('%j ends with a usage error', async (argv, message) => {
  const { exitCode, events } = await run(...argv);
  expect(exitCode).toBe(2);
  expect(events).toMatchObject([{ ...usage, message }, closed]);
});

test('an empty MCP_EXPOSE_TOKEN lets nobody in, and is named', async () => {
  vi.stubEnv('MCP_EXPOSE_TOKEN', '');
  const { exitCode, events } = await run('--json', '--stdio', 'x');
  expect(exitCode).toBe(2);
  expect(events[0]).toMatchObject({
    code: 'token_unusable',
    message: expect.stringMatching(/^MCP_EXPOSE_TOKEN .*is empty$/),
  });
});

test('a signal ends the wait for a token on standard input', async () => {
  const input = new Readable({ read() {} });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as much of it as is used
  vi.spyOn(process, 'stdin', 'get').mockReturnValue(input as typeof process.stdin);
  const running = run('--json', '--token-file', '-', '--stdio', 'x');
  const reading = await vi.waitFor(() => {
    const [added] = addedListeners('SIGTERM');
    if (added === undefined || input.listenerCount('readable') === 0) throw new Error('not yet');
    return added;
  });
  reading('SIGTERM', 15);
  const { exitCode, events } = await running;
  expect(exitCode).toBe(143);
  expect(events).toEqual([{ event: 'closed', reason: 'SIGTERM', exitCode: 143 }]);
  expect(input.destroyed).toBe(true);
});

test.each([
  [['--upstream-header', 'Authorization:', 'Bearer', 'sesame']],
  [['--stdio', 'node x.js', '--env', 'KEY=', 'sesame']],
  [['--env', '=sesame']],
  [['--http', 'ftp://host/?key=sesame']],
  [['--upstream-header', 'Bearer sesame']],
  [['--upstream-header', 'sesame=: x', '--http', 'http://127.0.0.1:1/', '--tunnel', 'none']],
  [['--http', 'https://me:sesame@host/mcp']],
  [['--http', 'me:sesame@host/mcp']],
  [['--sse', 'https://host:x/mcp?sesame']],
  [['--relay', 'me:sesame@host', '--stdio', 'x']],
  [['--relay', 'https://host/?key=sesame', '--stdio', 'x']],
  [['--public-url', 'https://me:sesame@host', '--stdio', 'x']],
  [['--ssh', 'me:sesame@host:x', '--tunnel', 'ssh', '--stdio', 'x']],
  [['--stdio', "npx server --key sesame 'x"]],
  [['--env', 'KEY=the', 'sesame', 'phrase']],
  [
    [
      '--env',
      'KEY=sesame',
      'npx',
      '-y',
      'server',
      '--api-key',
      'sesame',
      '--dsn=sesame',
      'postgres://me:sesame@host/x',
    ],
  ],
  [['--stdio', 'npx', '-y', 'server', '--token', 'sesame']],
  [['--upstream-header', 'X-Key: sesame', 'npx', 'server']],
  [['--api-key=sesame']],
  [['--port', 'mcpx_sesame']],
  [['--token-file', 'mcpx_sesame', '--stdio', 'x', '--tunnel', 'none']],
])('what may be a secret is not repeated: %j', async (argv) => {
  const { exitCode, events } = await run('--json', ...argv);
  expect(exitCode).toBe(2);
  expect(JSON.stringify(events)).not.toContain('sesame');
});

test.each([
  [['--bogus'], 'mcp-expose --help lists the options'],
  [['token', 'remove'], 'mcp-expose token --help lists the options'],
  [['audit', '--bogus', 'x'], 'mcp-expose audit --help lists the options'],
  [['relay', '--port', 'x'], 'mcp-expose relay --help lists the options'],
])('%j points to the help of its command', async (argv, hint) => {
  vi.stubEnv('MCP_EXPOSE_JSON', '1');
  const { events } = await run(...argv);
  expect(events[0]).toMatchObject({ ...usage, hints: expect.arrayContaining([hint]) });
});
