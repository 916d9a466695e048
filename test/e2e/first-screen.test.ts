// The first screen tells me all that I need to invite somebody; off a terminal there is one line and nothing else.
import { describe, expect, test } from 'vitest';
import { randomUUID } from 'node:crypto';
import { startRelay } from '../harness/expose.ts';
import { eventually } from '../harness/eventually.ts';
import { parseJson } from '../harness/parse-json.ts';
import { processesWithMark } from '../harness/processes.ts';
import { fixture, startProgram } from '../harness/program.ts';
import { connectV1 } from '../harness/sdk-clients.ts';
import { startOnTerminal } from '../harness/terminal.ts';

interface ClientConfig {
  mcpServers: Record<string, { url: string; headers: { Authorization: string } }>;
}

/** The first JSON object with mcpServers on the screen, whatever frames it. */
function configOn(screen: string): ClientConfig {
  const text = screen.replaceAll(/[│┃|]/g, ' ');
  const key = text.indexOf('"mcpServers"');
  const start = text.lastIndexOf('{', key);
  let depth = 0;
  for (let end = start; end < text.length; end += 1) {
    if (text[end] === '{') depth += 1;
    if (text[end] === '}') depth -= 1;
    if (depth === 0) return parseJson<ClientConfig>(text.slice(start, end + 1));
  }
  throw new Error(`no config on the screen:\n${screen}`);
}

const count = (text: string, part: string) => text.split(part).length - 1;

const start = (args: string[]) => startProgram(args, { mark: randomUUID() });

describe('on a terminal', () => {
  test('the summary shows URLs, token, server, tools, how to stop, and a config that works', async () => {
    const relay = await startRelay();
    const terminal = startOnTerminal(['--tunnel', 'relay', '--relay', relay.url, '--', ...fixture('echo')]);
    await terminal.waitFor(/Ctrl\+C/);
    const config = await eventually(() => configOn(terminal.screen()));
    const screen = terminal.screen();
    const [server] = Object.values(config.mcpServers);
    if (!server) throw new Error('the config names no server');
    const token = server.headers.Authorization.replace(/^Bearer /, '');
    expect(server.url).toMatch(new RegExp(`^${relay.url}/[a-z2-7]{10}/mcp$`));
    expect(token).toMatch(/^mcpx_/);
    expect(screen).toMatch(/http:\/\/127\.0\.0\.1:\d+\/mcp/);
    expect(count(screen, server.url)).toBeGreaterThanOrEqual(2);
    expect(screen).toContain('fixture-echo');
    expect(screen).toMatch(/1\.0\.0/);
    expect(screen).toMatch(/2 tools/);
    const client = await connectV1(server.url, token);
    expect(await client.call('echo', { text: 'as pasted' })).toBe('as pasted');
  });

  test('the token is shown once, apart from the config block', async () => {
    const terminal = startOnTerminal(['--tunnel', 'none', '--', ...fixture('echo')]);
    await terminal.waitFor(/Ctrl\+C/);
    const [token = ''] = await terminal.waitFor(/mcpx_[\w-]{40,}/);
    expect(count(terminal.screen(), token)).toBeLessThanOrEqual(2);
  });

  test('without a relay one line says what to do for a public URL', async () => {
    const terminal = startOnTerminal(['--', ...fixture('echo')]);
    await terminal.waitFor(/Ctrl\+C/);
    expect(terminal.screen()).toMatch(/--relay|--tunnel/);
  });

  test('Ctrl+C on the keyboard ends it with 130 and gives the cursor back', async () => {
    const terminal = startOnTerminal(['--tunnel', 'none', '--', ...fixture('ignores-sigterm')]);
    await terminal.waitFor(/Ctrl\+C/);
    terminal.type('\u0003');
    expect(await terminal.exited).toBe(130);
    await eventually(() => expect(processesWithMark(terminal.mark)).toEqual([]));
    const hidden = terminal.raw().lastIndexOf('\u001b[?25l');
    expect(terminal.raw().lastIndexOf('\u001b[?25h')).toBeGreaterThanOrEqual(hidden);
  });

  test('a failed start leaves the reason on the screen, and no spinner', async () => {
    const terminal = startOnTerminal(['--', ...fixture('exit-at-start')]);
    expect(await terminal.exited).toBe(3);
    expect(terminal.screen()).toContain('cannot open /no/such/database');
    expect(terminal.screen()).toContain('mcp-expose: error: ');
    const hidden = terminal.raw().lastIndexOf('\u001b[?25l');
    expect(terminal.raw().lastIndexOf('\u001b[?25h')).toBeGreaterThanOrEqual(hidden);
  });

  test.each([
    ['NO_COLOR', { NO_COLOR: '1' }, []],
    ['--no-color', {}, ['--no-color']],
  ])('%s: no colour', async (_what, env, args) => {
    const terminal = startOnTerminal([...args, '--tunnel', 'none', '--', ...fixture('echo')], env);
    await terminal.waitFor(/Ctrl\+C/);
    // oxlint-disable-next-line no-control-regex
    expect(terminal.raw()).not.toMatch(/\u001b\[[\d;]*[1-9][\d;]*m/);
  });
});

describe('off a terminal', () => {
  test('exactly one line on stdout, with the URL; no escape sequence anywhere', async () => {
    const program = start(['--tunnel', 'none', '--', ...fixture('echo')]);
    await program.waitForStdout(/\n/);
    await program.stop();
    await program.exited;
    expect(program.stdout()).toMatch(/^[^\n]*http:\/\/127\.0\.0\.1:\d+\/mcp[^\n]*\n$/);
    // oxlint-disable-next-line no-control-regex
    expect(program.stdout() + program.stderr()).not.toMatch(/\u001b/);
  });

  test('a generated token is on stderr once, so that a log reader can find it', async () => {
    const program = start(['--tunnel', 'none', '--', ...fixture('echo')]);
    const [token] = await program.waitForStderr(/mcpx_[\w-]{40,}/);
    await program.waitForStdout(/\n/);
    expect(program.stdout()).not.toContain(token);
    expect(count(program.stderr(), token)).toBe(1);
  });

  test('--json: every line on stdout is a JSON object with an event', async () => {
    const program = start(['--json', '--tunnel', 'none', '--', ...fixture('echo')]);
    await program.waitForStdout(/\n/);
    await program.stop();
    await program.exited;
    const events = program
      .stdout()
      .trimEnd()
      .split('\n')
      .map((line) => parseJson<{ event: string }>(line).event);
    expect(events[0]).toBe('ready');
    expect(events.every((event) => /^[a-z]+$/.test(event))).toBe(true);
  });

  test('--quiet says nothing on stderr but warnings and errors', async () => {
    const program = start(['--quiet', '--json', '--tunnel', 'none', '--', ...fixture('echo')]);
    await program.waitForStdout(/\n/);
    await program.stop();
    await program.exited;
    expect(program.stderr()).toBe('');
  });

  test('--version is one line with the version of the package', async () => {
    const program = start(['--version']);
    expect(await program.exited).toBe(0);
    expect(program.stdout()).toMatch(/^\d+\.\d+\.\d+\S*\n$/);
  });

  test('--help shows examples first, then options', async () => {
    const program = start(['--help']);
    expect(await program.exited).toBe(0);
    const help = program.stdout();
    expect(help.search(/examples?/i)).toBeGreaterThanOrEqual(0);
    expect(help.search(/examples?/i)).toBeLessThan(help.indexOf('--tunnel <'));
    for (const option of ['--stdio', '--token-file', '--no-auth', '--relay', '--name', '--json', '--inherit-env']) {
      expect(help).toContain(option);
    }
  });

  test('stdout that nobody reads does not keep it from working or from ending', async () => {
    const program = start(['--json', '--tunnel', 'none', '--', ...fixture('echo')]);
    await program.waitForStdout(/\n/);
    program.process.stdout?.destroy();
    expect(await program.stop()).toBe(143);
    await eventually(() => expect(processesWithMark(program.mark)).toEqual([]));
  });
});
