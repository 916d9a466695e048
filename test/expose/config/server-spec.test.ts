import { homedir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfig, type Config } from '../../../src/expose/config/read-config.ts';
import type { ServerSpec } from '../../../src/expose/config/server-spec.ts';
import { temporaryDirectory } from '../../harness/program.ts';
import { readContent, refusalOf, writeConfig } from './config-file.ts';

const secret = 'sk-very-secret';

async function specOf(entry: unknown, env: Record<string, string> = {}): Promise<ServerSpec | undefined> {
  const { servers, problems, warnings } = await readContent({ mcpServers: { x: entry } }, { env });
  expect([problems, warnings]).toEqual([[], []]);
  return servers.get('x');
}

/** The problem of one entry beside a good one, which is always read. */
async function problemOf(entry: unknown, env: Record<string, string> = {}): Promise<Config['problems'][number]> {
  const { servers, problems } = await readContent({ mcpServers: { x: entry, good: { command: 'good' } } }, { env });
  expect([...servers.keys()]).toEqual(['good']);
  const [problem, ...others] = problems;
  expect(others).toEqual([]);
  if (problem === undefined) throw new Error('there is no problem');
  return problem;
}

describe('a server that is started', () => {
  test('needs a command only', async () => {
    expect(await specOf({ command: 'server' })).toEqual({
      kind: 'stdio',
      command: { file: 'server', args: [] },
      env: new Map(),
    });
  });

  test.each([{ type: 'stdio' }, { type: 'local', tools: ['*'] }, { transport: 'stdio' }, { transportType: 'stdio' }])(
    'may say that it is one: %j',
    async (more) => {
      expect(await specOf({ command: 'server', ...more })).toHaveProperty('kind', 'stdio');
    },
  );

  test('has its arguments as they are: no shell splits them', async () => {
    const args = ['-c', 'echo $HOME | cat', '', '*', 'a "b"', String.raw`C:\x`, '--', '~x'];
    expect(await specOf({ command: 'my server', args })).toMatchObject({ command: { file: 'my server', args } });
  });

  test('has variables and ~ replaced in command, args, env and cwd', async () => {
    const env = { KEY: secret, DIR: 'sub' };
    const entry = {
      command: '~/bin/${DIR}',
      args: ['${env:KEY}', '~/data', '${DIR:-x}'],
      env: { TOKEN: '${KEY}', TILDE: '~/x' },
      cwd: '~/${DIR}',
    };
    expect(await specOf(entry, env)).toEqual({
      kind: 'stdio',
      command: { file: `${homedir()}/bin/sub`, args: [secret, `${homedir()}/data`, 'sub'] },
      cwd: path.join(homedir(), 'sub'),
      // No shell, no client replaces it there.
      env: new Map([
        ['TOKEN', secret],
        ['TILDE', '~/x'],
      ]),
    });
  });

  test('leaves the arguments the variables of its own environment', async () => {
    const entry = { command: 'npx', args: ['--header', 'Authorization:${AUTH}'], env: { AUTH: 'Bearer x' } };
    expect(await specOf(entry)).toMatchObject({ command: { args: ['--header', 'Authorization:${AUTH}'] } });
  });

  test('ignores what only other servers need, and what nobody knows', async () => {
    const entry = { command: 'x', headers: 7, autoApprove: [], timeout: 60, dev: {}, constructor: 1, url: null };
    expect(await specOf(entry)).toEqual({ kind: 'stdio', command: { file: 'x', args: [] }, env: new Map() });
  });

  test('null is nothing, but takes a variable out again; numbers are texts', async () => {
    const folder = temporaryDirectory();
    writeConfig('A=1\nB=2\n', '.env', folder);
    const entry = { command: 'x', args: null, cwd: null, envFile: '.env', env: { A: null, PORT: 8080 } };
    const { servers } = await readConfig(writeConfig({ servers: { x: entry } }, 'mcp.json', folder), { env: {} });
    expect(servers.get('x')).toEqual({
      kind: 'stdio',
      command: { file: 'x', args: [] },
      env: new Map([
        ['B', '2'],
        ['PORT', '8080'],
      ]),
    });
  });

  test('names of variables are only names', async () => {
    const spec = await specOf(
      // Written out: a literal `__proto__` would not be a member.
      JSON.parse('{"command": "x", "env": {"__proto__": "a", "constructor": "b", "ProgramFiles(x86)": "c"}}'),
    );
    expect(spec).toHaveProperty(
      'env',
      new Map([
        ['__proto__', 'a'],
        ['constructor', 'b'],
        ['ProgramFiles(x86)', 'c'],
      ]),
    );
  });
});

describe('relative paths count from the workspace', () => {
  test.each([
    ['mcp.json', ''],
    ['.mcp.json', ''],
    ['config/mcp.json', 'config'],
    ['.vscode/mcp.json', ''],
    ['.cursor/mcp.json', ''],
  ])('of %s', async (name, workspace) => {
    const folder = temporaryDirectory();
    writeConfig('FROM_FILE=yes\n', path.join(workspace, 'vars.env'), folder);
    const entry = { command: '${workspaceFolder}/run', args: ['./x'], cwd: 'sub/..//here', envFile: 'vars.env' };
    const { servers } = await readConfig(writeConfig({ servers: { x: entry } }, name, folder), { env: {} });
    const base = path.join(folder, workspace);
    expect(servers.get('x')).toEqual({
      kind: 'stdio',
      command: { file: `${base}/run`, args: ['./x'] },
      cwd: path.join(base, 'here'),
      env: new Map([['FROM_FILE', 'yes']]),
    });
  });
});

/** Writes an env file and reads the entry that names it, beside a good one. */
async function readEnvFile(content: string | Buffer): Promise<Config> {
  const folder = temporaryDirectory();
  writeConfig(content, '.env', folder);
  const entry = { command: 'x', envFile: '${workspaceFolder}/.env', env: { OVER: 'env' } };
  const servers = { x: entry, good: { command: 'good' } };
  return readConfig(writeConfig({ servers }, 'mcp.json', folder), { env: { A: 'ours' } });
}

async function variablesOf(content: string | Buffer): Promise<unknown> {
  const spec = (await readEnvFile(content)).servers.get('x');
  return spec?.kind === 'stdio' && [...spec.env];
}

describe('an env file', () => {
  test('is read as dotenv files are, and env goes before it', async () => {
    const content = '# comment\nA=1\nexport B="two words" # why\nC=\'${A}\'\nOVER=file\nEMPTY=\n\nD="l1\nl2"\n';
    expect(await variablesOf(content)).toEqual([
      ['A', '1'],
      ['B', 'two words'],
      ['C', '${A}'],
      ['D', 'l1\nl2'],
      ['EMPTY', ''],
      ['OVER', 'env'],
    ]);
  });

  test('may begin with a byte order mark', async () => {
    expect(await variablesOf('\uFEFFA=1\n')).toContainEqual(['A', '1']);
  });

  test('what is no assignment is left out', async () => {
    expect(await variablesOf('no assignment\nA B=1\n=x\n')).toEqual([['OVER', 'env']]);
  });

  test.each([
    ['with a NUL', 'A=\0', 'has a NUL character'],
    ['that is not UTF-8', Buffer.from([0x41, 0x3d, 0xff]), 'is not UTF-8 text'],
    ['larger than 1 MiB', `A=${secret}`.padEnd(1024 * 1024 + 1), 'is larger than 1 MiB'],
  ])('%s is refused', async (_what, content, problem) => {
    const { servers, problems } = await readEnvFile(content);
    expect([...servers.keys()]).toEqual(['good']);
    expect(problems.map(({ error }) => error.message)).toEqual([
      expect.stringMatching(new RegExp(`^server "x": its env file .*env ${problem}$`)),
    ]);
    expect(String(problems[0]?.error)).not.toContain(secret);
  });

  test('that is missing is a problem of this server', async () => {
    const { server, error } = await problemOf({ command: 'x', envFile: '/nowhere/at all.env' });
    const file = path.resolve('/nowhere/at all.env');
    expect([server, error.code, error.message]).toEqual([
      'x',
      'config_unusable',
      `server "x": its env file ${file} does not exist`,
    ]);
  });
});

describe('a server that is called', () => {
  test.each([
    [{ url: 'https://x.example/mcp' }, 'http'],
    [{ serverUrl: 'https://x.example/mcp' }, 'http'],
    [{ url: 'https://x.example/mcp', serverUrl: 'https://x.example/mcp' }, 'http'],
    [{ url: 'https://x.example/sse' }, 'sse'],
    [{ url: 'https://x.example/v1/sse/?key=1' }, 'sse'],
    [{ url: 'https://x.example/mcp?via=/sse' }, 'http'],
    [{ url: 'https://x.example/asse' }, 'http'],
    [{ url: 'https://x.example/sse', type: 'http' }, 'http'],
    [{ url: 'https://x.example/sse', type: 'streamable-http' }, 'http'],
    [{ url: 'https://x.example/sse', type: 'streamableHttp' }, 'http'],
    [{ url: 'https://x.example/sse', type: 'streamable_http' }, 'http'],
    [{ url: 'https://x.example/mcp', type: 'sse' }, 'sse'],
    [{ url: 'https://x.example/mcp', type: 'SSE' }, 'sse'],
    [{ url: 'https://x.example/mcp', transport: 'sse' }, 'sse'],
    [{ url: 'https://x.example/mcp', transportType: 'sse' }, 'sse'],
    [{ url: 'http://127.0.0.1:3000' }, 'http'],
  ])('%j is %s', async (entry, kind) => {
    const [url] = Object.values(entry);
    expect(await specOf(entry)).toEqual({ kind, url, headers: new Map() });
  });

  test('has variables replaced in its URL and headers', async () => {
    const entry = {
      url: '${BASE:-https://x.example}/mcp',
      headers: { Authorization: 'Bearer ${env:KEY}', 'X-Number': 7, 'X-Line': '${LINE}' },
    };
    expect(await specOf(entry, { KEY: secret, LINE: 'read from a file\n' })).toEqual({
      kind: 'http',
      url: 'https://x.example/mcp',
      headers: new Map([
        ['Authorization', `Bearer ${secret}`],
        ['X-Number', '7'],
        ['X-Line', 'read from a file'],
      ]),
    });
  });

  test('has no use for what a program would need', async () => {
    const entry = { url: 'https://x.example/mcp', args: 7, env: { A: '${input:x}' }, envFile: '/nowhere', cwd: 1 };
    expect(await specOf(entry)).toEqual({ kind: 'http', url: 'https://x.example/mcp', headers: new Map() });
  });
});

describe('a problem is of one server and says what is wrong', () => {
  const url = `https://user:${secret}@x.example/mcp?key=${secret}`;

  test.each<[unknown, string, string[]?]>([
    [null, 'it must be an object, not null'],
    ['npx', 'it must be an object, not a string'],
    [[secret], 'it must be an object, not a list'],
    [{}, 'it has neither a command nor a URL'],
    [{ command: null, url: null }, 'it has neither a command nor a URL'],
    [{ type: 'stdio' }, 'it has neither a command nor a URL'],
    [
      { command: secret, url },
      'it has a command and a URL',
      ['a server is either started or called: remove one of the two'],
    ],
    [{ url, serverUrl: `${url}2` }, 'it has a "url" and another "serverUrl"'],
    [{ command: secret, type: 'http' }, 'its type is http, but it has a command'],
    [{ command: secret, type: 'sse' }, 'its type is sse, but it has a command'],
    [{ url, type: 'stdio' }, 'its type is stdio, but it has a URL'],
    [{ url, type: 'websocket' }, 'its type "websocket" is unknown', ['known are stdio, http, streamable-http and sse']],
    [{ url, type: 'constructor' }, 'its type "constructor" is unknown', [expect.any(String)]],
    [{ url, type: '' }, 'its type "" is unknown', [expect.any(String)]],
    [{ url, type: 7 }, '"type" must be a string, not a number'],
    [{ command: [secret, 7] }, '"command[1]" must be a string, not a number'],
    [{ command: [] }, '"command" is empty'],
    [{ command: 7 }, '"command" must be a string, not a number'],
    [{ command: { args: [secret] } }, '"path" is empty'],
    [{ command: { path: { secret } } }, '"path" must be a string, not an object'],
    [{ command: secret, type: 'remote' }, 'its type is remote, but it has a command'],
    [{ httpUrl: 'x' }, 'its URL is not an http or https URL'],
    [{ command: 'x', environment: { KEY: true } }, '"environment.KEY" must be a string, not true or false'],
    [{ command: 'x', enabled: 'yes' }, '"enabled" must be true or false, not a string'],
    [{ command: '' }, '"command" is empty'],
    [{ command: '${EMPTY}' }, '"command" is empty'],
    [{ command: `${secret}\0` }, '"command" has a NUL character'],
    [{ command: 'x', args: secret }, '"args" must be a list of strings, not a string'],
    [{ command: 'x', args: { 0: secret } }, '"args" must be a list of strings, not an object'],
    [{ command: 'x', args: ['a', 7] }, '"args[1]" must be a string, not a number'],
    [{ command: 'x', args: [[secret]] }, '"args[0]" must be a string, not a list'],
    [{ command: 'x', args: [`${secret}\0`] }, '"args[0]" has a NUL character'],
    [{ command: 'x', env: [secret] }, '"env" must be an object, not a list'],
    [{ command: 'x', env: { KEY: true } }, '"env.KEY" must be a string, not true or false'],
    [{ command: 'x', env: { KEY: { [secret]: 1 } } }, '"env.KEY" must be a string, not an object'],
    [{ command: 'x', env: { KEY: `${secret}\0` } }, '"env.KEY" has a NUL character'],
    [{ command: 'x', env: { '': secret } }, '"env." is not a valid variable name'],
    [{ command: 'x', env: { 'A=B': secret } }, '"env.A=B" is not a valid variable name'],
    [{ command: 'x', cwd: 7 }, '"cwd" must be a string, not a number'],
    [{ command: 'x', envFile: ['.env'] }, '"envFile" must be a string, not a list'],
    [{ command: 'x', disabled: 'yes' }, '"disabled" must be true or false, not a string'],
    [{ url: 7 }, '"url" must be a string, not a number'],
    [{ url: '' }, 'its URL is not an http or https URL'],
    [{ url: `x.example/${secret}` }, 'its URL is not an http or https URL'],
    [{ url: `ws://x.example/${secret}` }, 'its URL is not an http or https URL'],
    [{ url: `file:///${secret}` }, 'its URL is not an http or https URL'],
    [{ url, headers: [`Authorization: ${secret}`] }, '"headers" must be an object, not a list'],
    [{ url, headers: { A: null } }, '"headers.A" must be a string, not null'],
    [{ url, headers: { 'not a name': secret } }, '"headers.not a name" cannot be sent as an HTTP header'],
    [{ url, headers: { '': secret } }, '"headers." cannot be sent as an HTTP header'],
    [{ url, headers: { A: `${secret}\r\nB: c` } }, '"headers.A" cannot be sent as an HTTP header'],
    [{ url, headers: { A: `${secret}…` } }, '"headers.A" cannot be sent as an HTTP header'],
    [
      { url, headers: { A: 'Bearer ${env:NONE}' } },
      '"headers.A" uses ${env:NONE}, but NONE is not set',
      ['set NONE in the environment'],
    ],
    [
      { command: 'x', env: { A: `${secret}\${NONE}` } },
      '"env.A" uses ${NONE}, but NONE is not set',
      ['set NONE in the environment'],
    ],
    [
      { command: 'x', args: ['${input:key}', secret] },
      '"args[0]" uses ${input:key}, which only an editor can ask for',
      ['use an environment variable instead: ${env:NAME}'],
    ],
    [
      { command: 'x', cwd: '${fileDirname}' },
      '"cwd" uses ${fileDirname}, but fileDirname is not set',
      ['set fileDirname in the environment'],
    ],
  ])('%j: %s', async (entry, what, hints = []) => {
    const { server, error } = await problemOf(entry, { EMPTY: '', SECRET: secret });
    expect([server, error.code, error.message]).toEqual(['x', 'config_unusable', `server "x": ${what}`]);
    expect(error.hints).toEqual(hints);
    expect([error.message, ...error.hints, String(error.cause)].join('\n')).not.toContain(secret);
  });

  test('the name of the server cannot break the line', async () => {
    const { hints } = await refusalOf(readContent({ servers: { 'a\n\u001B[31m"': {} } }));
    expect(hints).toEqual([String.raw`server "a\n\u001b[31m\"": it has neither a command nor a URL`]);
  });
});
