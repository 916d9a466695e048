import { Option } from 'commander';
import { describe, expect, test } from 'vitest';
import { isTwinOn, twinOf } from '../../src/cli/environment-twins.ts';
import { ExposeError } from '../../src/errors.ts';
import { shellQuote } from '../../src/platform/text/redact.ts';
import { read } from './command-line.ts';

test.each([
  ['--max-body <size>', 'MCP_EXPOSE_MAX_BODY'],
  ['--no-auth', 'MCP_EXPOSE_NO_AUTH'],
  ['-p, --port <port>', 'MCP_EXPOSE_PORT'],
  ['--json', 'MCP_EXPOSE_JSON'],
])('the twin of %s is %s', (option, twin) => {
  expect(twinOf(new Option(option))).toBe(twin);
});

describe('an option that takes a value', () => {
  test.each([
    ['STDIO', 'npx server', { stdio: 'npx server' }],
    ['CWD', '/srv', { cwd: '/srv' }],
    ['HOST', '0.0.0.0', { host: '0.0.0.0' }],
    ['PORT', '7801', { port: 7801 }],
    ['MAX_BODY', '1MiB', { maxBody: 1_048_576 }],
    ['MAX_SESSIONS', '3', { maxSessions: 3 }],
    ['START_TIMEOUT', '2m', { startTimeout: 120_000 }],
    ['TUNNEL', 'none', { tunnel: 'none' }],
    ['RELAY', 'https://relay.example/', { relay: 'https://relay.example' }],
    ['NAME', 'mine', { name: 'mine' }],
    ['TOKEN_FILE', '/run/token', { tokenFile: '/run/token' }],
  ])('MCP_EXPOSE_%s=%s', async (name, value, flags) => {
    expect((await read([], { [`MCP_EXPOSE_${name}`]: value })).flags).toMatchObject(flags);
  });

  test('takes what stands on the command line first', async () => {
    const env = { MCP_EXPOSE_PORT: '1', MCP_EXPOSE_TUNNEL: 'lan', MCP_EXPOSE_HOST: '0.0.0.0' };
    const { flags } = await read(['--port', '2', '--tunnel', 'auto'], env);
    expect(flags).toMatchObject({ port: 2, tunnel: 'auto', host: '0.0.0.0' });
  });

  test('keeps its default where the twin is empty', async () => {
    expect((await read([], { MCP_EXPOSE_PORT: '', MCP_EXPOSE_TUNNEL: '' })).flags).toMatchObject({
      port: 0,
      tunnel: 'auto',
    });
  });

  test.each([
    ['PORT', 'http', 'a port is a number from 0 to 65535'],
    ['MAX_BODY', 'big', 'a size is a number with KiB, MiB or GiB, such as 16MiB'],
    [
      'TUNNEL',
      'magic',
      'allowed choices are auto, relay, lan, cloudflared, ngrok, tailscale, tailscale-serve, devtunnel, zrok, ssh, localhost.run, srv.us, pinggy, serveo, sish, localtunnel, none',
    ],
    ['RELAY', 'relay.example', 'it takes a URL such as https://relay.example'],
    ['HTTP', 'ftp://host/mcp', 'it takes a URL such as http://127.0.0.1:3000/mcp'],
  ])('is refused where it would be on the command line: %s=%s', async (name, value, why) => {
    await expect(read([], { [`MCP_EXPOSE_${name}`]: value })).rejects.toMatchObject({
      code: 'usage',
      message: `the environment variable MCP_EXPOSE_${name}=${value} is not valid: ${why}`,
    });
  });
});

test.each([
  ['HTTP', 'ftp://me:sesame@host/?key=sesame'],
  ['SSE', 'me:sesame@host'],
  ['RELAY', 'me:sesame@relay.example?key=sesame'],
  ['ENV', 'A=1\n=sesame'],
  ['ENV', 'sesame'],
  ['UPSTREAM_HEADER', 'Bearer sesame'],
])('%s=%s is refused without showing what may be a secret', async (name, value) => {
  const error: unknown = await read([], { [`MCP_EXPOSE_${name}`]: value }).catch((thrown: unknown) => thrown);
  if (!(error instanceof ExposeError)) throw new Error('it was not refused', { cause: error });
  expect(error.message).toContain(`MCP_EXPOSE_${name}`);
  expect([error.message, ...error.hints].join(' ')).not.toContain('sesame');
});

describe('an option that may be repeated takes one value per line', () => {
  test('variables', async () => {
    const { flags } = await read([], { MCP_EXPOSE_ENV: 'A=1\nB=two words\n\nA=3\n' });
    expect([...(flags.env ?? [])]).toEqual([
      ['A', '3'],
      ['B', 'two words'],
    ]);
  });

  test('addresses', async () => {
    const { flags } = await read([], { MCP_EXPOSE_LAN_ADDRESS: '192.168.1.7\n10.0.0.7' });
    expect(flags['lanAddress']).toEqual(['192.168.1.7', '10.0.0.7']);
  });

  test('and those of the command line replace them all', async () => {
    const { flags } = await read(['--env', 'C=3'], { MCP_EXPOSE_ENV: 'A=1\nB=2' });
    expect([...(flags.env ?? [])]).toEqual([['C', '3']]);
  });
});

describe('a switch', () => {
  test.each(['1', 'true', 'TRUE', 'yes', 'on'])('is on for %s', async (value) => {
    const env = {
      MCP_EXPOSE_JSON: value,
      MCP_EXPOSE_INHERIT_ENV: value,
      MCP_EXPOSE_NO_AUTH: value,
      MCP_EXPOSE_NO_COLOR: value,
    };
    expect((await read([], env)).flags).toMatchObject({ json: true, inheritEnv: true, auth: false, color: false });
  });

  test.each(['0', 'false', 'No', 'off', ''])('is off for %j', async (value) => {
    const env = { MCP_EXPOSE_JSON: value, MCP_EXPOSE_INHERIT_ENV: value, MCP_EXPOSE_NO_AUTH: value };
    const { flags } = await read([], env);
    expect([flags.json, flags['inheritEnv'], flags['auth']]).toEqual([undefined, undefined, true]);
  });

  // Somebody who writes "--no-auth: please not" must not find the server open, nor a typing error unnoticed.
  test.each(['2', 'maybe', 'y', ' 1', 'null'])('is neither for %j', async (value) => {
    await expect(read([], { MCP_EXPOSE_NO_AUTH: value })).rejects.toMatchObject({
      code: 'usage',
      message: `the environment variable MCP_EXPOSE_NO_AUTH=${shellQuote(value)} is not valid: it takes 1 or 0`,
    });
  });

  test('on the command line wins', async () => {
    expect(
      (await read(['--json', '--no-auth'], { MCP_EXPOSE_JSON: '0', MCP_EXPOSE_NO_AUTH: '0' })).flags,
    ).toMatchObject({
      json: true,
      auth: false,
    });
  });
});

describe('what has to be known before the options are read', () => {
  test.each(['1', 'true', 'YES', 'on'])('is on for %s', (value) => {
    expect(isTwinOn('MCP_EXPOSE_JSON', { MCP_EXPOSE_JSON: value })).toBe(true);
  });

  test.each([undefined, '', '0', 'no', 'maybe'])('is off for %j, which is judged later', (value) => {
    expect(isTwinOn('MCP_EXPOSE_JSON', { MCP_EXPOSE_JSON: value })).toBe(false);
  });
});

test('the relay command has its own options and the same variables', async () => {
  const env = { MCP_EXPOSE_PORT: '1', MCP_EXPOSE_PUBLIC_URL: 'https://r.example', MCP_EXPOSE_STDIO: 'server' };
  const { chosen, flags } = await read(['relay', '--port', '2'], env);
  expect([chosen, flags.port, flags.publicUrl, flags['stdio']]).toEqual(['relay', 2, 'https://r.example', undefined]);
});

test('a variable that says which version is installed is nobody’s option', async () => {
  // As a Dockerfile does it: ENV MCP_EXPOSE_VERSION=0.1.0
  expect((await read([], { MCP_EXPOSE_VERSION: '0.1.0', MCP_EXPOSE_HELP: 'x' })).chosen).toBe('expose');
});

test('variables that are no options of ours change nothing', async () => {
  const { flags } = await read([], {
    MCP_EXPOSE_: 'x',
    MCP_EXPOSE_TOKEN: 'x',
    MCP_EXPOSE_UNKNOWN: 'x',
    PORT: '1',
    JSON: '1',
  });
  expect(flags).toEqual((await read([])).flags);
});
