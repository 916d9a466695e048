// It does not start, and says why, with an exit code that a script can use and nothing left behind.
import { mkdtempSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { type ExposeOptions, launchExpose, startExpose } from '../harness/expose.ts';
import { freePort, listenOnLoopback } from '../harness/loopback-server.ts';
import { processesWithMark } from '../harness/processes.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';

async function failedStart(options: ExposeOptions) {
  const run = launchExpose(options);
  const exitCode = await run.exited;
  return { exitCode, stderr: run.stderr(), stdout: run.stdout(), left: processesWithMark(run.mark) };
}

/** `mcp-expose: error: …` first, then hints; lower case, no full stop. */
function expectVoice(stderr: string): void {
  const own = stderr.split('\n').filter((line) => line.startsWith('mcp-expose: '));
  expect(own.some((line) => line.startsWith('mcp-expose: error: '))).toBe(true);
  for (const line of own) expect(line).not.toMatch(/\.$/);
  expect(stderr).not.toMatch(/\n\s+at .*:\d+:\d+/); // no stack trace
}

const directory = () => mkdtempSync(path.join(temporaryDirectory(), 'tokens-'));
const written = (content: string, mode: number) => {
  const file = path.join(directory(), 'token');
  writeFileSync(file, content, { mode });
  return file;
};

describe('the server does not start: exit code 3', () => {
  test('a command that does not exist is named', async () => {
    const { exitCode, stderr, stdout, left } = await failedStart({ server: ['no-such-command-anywhere', 'arg'] });
    expect(exitCode).toBe(3);
    expect(stderr).toContain('no-such-command-anywhere');
    expect(stderr).toMatch(/not found|does not exist|no command|ENOENT/);
    expectVoice(stderr);
    expect(stdout).not.toContain('"ready"');
    expect(left).toEqual([]);
  });

  test.each(['http', 'sse'] as const)(
    'what --%s leads to redirects: the target is named, its secrets are not',
    async (kind) => {
      const server = http.createServer((_request, response) => {
        response.writeHead(302, { Location: 'https://user:secret@other.example/mcp?key=secret' }).end();
      });
      const port = await listenOnLoopback(server);
      const { exitCode, stderr } = await failedStart({ running: { kind, url: `http://127.0.0.1:${port}/mcp` } });
      expect(exitCode).toBe(3);
      expect(stderr).toContain('mcp-expose: hint: give https://other.example/mcp if that is the right address\n');
      expect(stderr).not.toContain('secret');
      expectVoice(stderr);
    },
  );

  test('a file that is not executable', async () => {
    const file = path.join(temporaryDirectory(), 'not-executable');
    writeFileSync(file, '#!/bin/sh\n', { mode: 0o644 });
    const { exitCode, stderr } = await failedStart({ server: [file] });
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/EACCES|not executable|permission|may not be executed/i);
  });

  test('a directory to start in that does not exist', async () => {
    const { exitCode, stderr } = await failedStart({ server: fixture('echo'), args: ['--cwd', '/no/such/directory'] });
    expect(exitCode).toBe(2);
    expect(stderr).toContain('error: --cwd /no/such/directory is not a folder');
    expectVoice(stderr);
  });

  test('a root that does not exist', async () => {
    const { exitCode, stderr } = await failedStart({ server: fixture('echo'), args: ['--root', '/no/such/directory'] });
    expect(exitCode).toBe(2);
    expect(stderr).toContain('error: --root /no/such/directory is not a folder');
    expectVoice(stderr);
  });

  test('a whole command that was quoted after --', async () => {
    const { exitCode, stderr } = await failedStart({ server: ['no-such-command-anywhere --api-key sesame'] });
    expect(exitCode).toBe(3);
    expect(stderr).toContain(
      "there is no command 'no-such-command-anywhere --api-key …', which is one word with blanks",
    );
    expect(stderr).toMatch(/mcp-expose --json --tunnel none .*-- no-such-command-anywhere --api-key …\n/);
    expect(stderr).not.toContain('sesame');
    expectVoice(stderr);
  });

  test('a script whose interpreter is missing', async () => {
    const file = path.join(temporaryDirectory(), 'script');
    writeFileSync(file, '#!/no/such/interpreter\n', { mode: 0o755 });
    const { stderr } = await failedStart({ server: [file] });
    expect(stderr).toContain(`error: the server did not start: ${file} names an interpreter that does not exist`);
    expectVoice(stderr);
  });

  test('a server that is called: its address is shown, without what may be a secret', async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}/mcp`;
    const { exitCode, stderr } = await failedStart({ running: { kind: 'http', url: `${url}?key=sesame` } });
    expect(exitCode).toBe(3);
    expect(stderr).toContain(`error: the server at ${url}?… cannot be reached: connection refused`);
    expect(stderr).not.toContain('sesame');
  });

  test('a server of a configuration is named once', async () => {
    const config = path.join(temporaryDirectory(), 'mcp.json');
    const servers = { one: { command: 'no-such-command-anywhere' }, two: { url: 'x' }, three: {} };
    writeFileSync(config, JSON.stringify({ mcpServers: servers }));
    const { stderr } = await failedStart({ config });
    expect(stderr).toContain('hint: one: the server did not start: there is no command no-such-command-anywhere');
    expect(stderr).toMatch(/hint: server "two": /);
    expect(stderr).not.toMatch(/two: server "two"/);
  });

  test('a server that exits at once: its exit code and its last words are shown', async () => {
    const { exitCode, stderr, left } = await failedStart({ server: fixture('exit-at-start') });
    expect(exitCode).toBe(3);
    expect(stderr).toContain('cannot open /no/such/database');
    expect(stderr).toMatch(/\b7\b/);
    expectVoice(stderr);
    expect(left).toEqual([]);
  });

  test('half an answer and an exit', async () => {
    const { exitCode, left } = await failedStart({ server: fixture('half-line-then-exit', 'at-start') });
    expect(exitCode).toBe(3);
    expect(left).toEqual([]);
  });

  test('a server that says nothing is given up after --start-timeout', async () => {
    const { exitCode, stderr, left } = await failedStart({
      server: fixture('silent'),
      args: ['--start-timeout', '1s'],
    });
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/1 ?s|1000 ?ms|initialize|answer/);
    expectVoice(stderr);
    expect(left).toEqual([]);
  });

  test('a program that is no MCP server at all', async () => {
    const { exitCode, left } = await failedStart({ server: ['cat'], args: ['--start-timeout', '1s'] });
    expect(exitCode).toBe(3);
    expect(left).toEqual([]);
  });
});

describe('a port in use: exit code 1', () => {
  test('the port is named, and the server is not left running', async () => {
    const port = await listenOnLoopback(net.createServer());
    const { exitCode, stderr, left } = await failedStart({
      server: fixture('ignores-sigterm'),
      args: ['--port', String(port)],
    });
    expect(exitCode).toBe(1);
    expect(stderr).toContain(String(port));
    expect(stderr).toMatch(/in use/);
    expectVoice(stderr);
    expect(left).toEqual([]);
  });
});

describe('the tunnel does not open: exit code 4', () => {
  test('--tunnel relay without a relay is a usage error', async () => {
    const { exitCode, stderr } = await failedStart({ server: fixture('echo'), args: ['--tunnel', 'relay'] });
    expect(exitCode).toBe(2);
    expect(stderr).toContain('--relay');
  });

  test('a web server that is no relay', async () => {
    const port = await listenOnLoopback(http.createServer((_request, response) => void response.end('hello')));
    const { exitCode, stderr, left } = await failedStart({
      server: fixture('echo'),
      args: ['--tunnel', 'relay', '--relay', `http://127.0.0.1:${port}`],
    });
    expect(exitCode).toBe(4);
    expect(stderr).toContain(`127.0.0.1:${port}`);
    expectVoice(stderr);
    expect(left).toEqual([]);
  });
});

describe('no more files may be opened: exit code 1, or 3 where the server lacks them', () => {
  // After how many files which step fails differs with the version of Node; with fewer than 20, Node itself does not start.
  test.each([20, 24, 28, 32, 36, 40])('%i files', async (maxOpenFiles) => {
    const { stderr, exitCode } = await failedStart({ server: [process.execPath, '-e', ''], maxOpenFiles });
    // It got as far as the server, which ends at once.
    if (maxOpenFiles > 30 && stderr.includes('exited with code 0')) return;
    expect(stderr).toMatch(/^mcp-expose: error: .*too many open files/m);
    expect(stderr).toMatch(/^mcp-expose: hint: .*ulimit -n/m);
    expectVoice(stderr);
    expect([1, 3]).toContain(exitCode);
  });
});

describe('usage errors: exit code 2, before anything is started', () => {
  test.each<[string, ExposeOptions, RegExp]>([
    ['no server at all', { server: [] }, /--stdio|command/],
    ['an unknown option', { server: fixture('echo'), args: ['--no-such-option'] }, /--no-such-option/],
    ['a misspelt option', { args: ['--stdoi', 'node x'] }, /--stdio/],
    ['an unknown tunnel', { server: fixture('echo'), args: ['--tunnel', 'teleport'] }, /teleport/],
    ['a port that is none', { server: fixture('echo'), args: ['--port', '99999'] }, /99999/],
    ['a port that is a word', { server: fixture('echo'), args: ['--port', 'eighty'] }, /eighty/],
    ['a size that is none', { server: fixture('echo'), args: ['--max-body', 'lots'] }, /lots/],
    ['--env without a value', { server: fixture('echo'), args: ['--env', '=x'] }, /--env/],
    ['a relay that is no URL', { server: fixture('echo'), args: ['--relay', 'not a url'] }, /not a url/],
    ['two servers', { server: fixture('echo'), args: ['--stdio', 'node x'] }, /--stdio/],
    ['an upstream URL', { running: { kind: 'http', url: 'ftp://host/mcp' } }, /'ftp:\/\/host\/mcp' is not valid/],
    [
      'a bad environment twin',
      { server: fixture('echo'), env: { MCP_EXPOSE_PORT: 'eighty' } },
      /MCP_EXPOSE_PORT=eighty/,
    ],
    ['a command without --', { args: ['npx', '-y', 'x'] }, /hint: .*mcp-expose --json --tunnel none -- npx -y x --env/],
    [
      'a token with --no-auth',
      { server: fixture('echo'), args: ['--no-auth'], env: { MCP_EXPOSE_TOKEN: 'mcpx_x' } },
      /MCP_EXPOSE_TOKEN .*--no-auth/,
    ],
  ])('%s', async (_what, options, expected) => {
    const { exitCode, stderr, stdout, left } = await failedStart(options);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(expected);
    expect(stderr).toMatch(/error: /);
    expect(stdout).not.toContain('"ready"');
    expect(left).toEqual([]);
  });
});

describe('the token file', () => {
  test.each<[string, () => string, RegExp]>([
    ['missing', () => path.join(directory(), 'missing'), /no such file|does not exist|not found|ENOENT|missing/i],
    ['empty', () => written('', 0o600), /empty/i],
    ['blank', () => written('  \n', 0o600), /empty|blank/i],
    ['readable by everybody', () => written('mcpx_0123456789012345678901234567890123456789abc\n', 0o644), /600/],
    ['a directory', directory, /directory|EISDIR|file/i],
    ['binary', () => written('\u0000\u0001\u0002', 0o600), /token/i],
  ])('%s: a clear error, exit code 2', async (_what, file, expected) => {
    const tokenFile = file();
    const run = await failedStart({ server: fixture('echo'), args: ['--token-file', tokenFile] });
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain(tokenFile);
    expect(run.stderr).toMatch(expected);
    expect(run.stderr).not.toContain('0123456789012345678');
    expect(run.left).toEqual([]);
  });

  test('private and filled: its content is the token, white space around it aside', async () => {
    const token = 'mcpx_0123456789012345678901234567890123456789abc';
    const exposed = await startExpose({
      server: fixture('echo'),
      args: ['--token-file', written(`${token}\n`, 0o600)],
    });
    expect(exposed.ready.token).toBeNull();
    expect(await openSession(exposed.url, token)).toHaveProperty('id');
  });
});
