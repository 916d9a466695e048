import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { createNgrokProvider } from '../../../../src/tunnel/providers/ngrok/ngrok.ts';
import type { TunnelProvider } from '../../../../src/tunnel/provider.ts';
import { eventually } from '../../../harness/eventually.ts';
import { killIfAlive } from '../../../harness/processes.ts';
import { createBinaryWorld, type BinaryWorld, type BinaryWorldOptions } from '../binary-world.ts';

const token = '2abcSECRETtoken_5xyz';

async function worldWith(options: Partial<BinaryWorldOptions> = {}): Promise<BinaryWorld> {
  return await createBinaryWorld({ programs: { ngrok: 'ngrok' }, env: { NGROK_AUTHTOKEN: token }, ...options });
}

function providerIn({ environment }: BinaryWorld, publicUrl?: string): TunnelProvider {
  return createNgrokProvider({ environment, publicUrl, loadSdk: async () => undefined });
}

function writeConfiguration(world: BinaryWorld, folder: string, text: string): void {
  mkdirSync(path.join(world.home, folder), { recursive: true });
  writeFileSync(path.join(world.home, folder, 'ngrok.yml'), text);
}

const anySignal = new AbortController().signal;

test('up, and a request comes through', async () => {
  const world = await worldWith();
  const { tunnel, statuses } = await world.open(providerIn(world));
  expect(tunnel.publicUrls).toEqual(['https://calm-fox.ngrok-free.app']);
  expect(await world.ask(tunnel.publicUrls[0] ?? '', { path: '/mcp?x=1' })).toMatchObject({
    status: 200,
    body: '{"url":"/mcp?x=1","method":"GET"}',
  });
  expect(statuses).toEqual([]);
});

test('it is called as its documentation has it, with its token in the environment and nothing of ours', async () => {
  const world = await worldWith({
    env: {
      NGROK_AUTHTOKEN: token,
      HTTPS_PROXY: 'http://proxy.example:3128',
      MCP_EXPOSE_TOKEN: 'ours',
      AWS_SECRET: 'x',
    },
  });
  await world.open(providerIn(world, 'https://mine.ngrok.app'));
  const [call] = world.calls();
  expect(call?.args).toEqual([
    'http',
    expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    '--url',
    'https://mine.ngrok.app',
    '--log',
    'stdout',
    '--log-format',
    'json',
    '--log-level',
    'info',
  ]);
  expect(call?.env).toMatchObject({
    NGROK_AUTHTOKEN: token,
    HTTPS_PROXY: 'http://proxy.example:3128',
    HOME: world.home,
  });
  expect(Object.keys(call?.env ?? {})).not.toEqual(expect.arrayContaining(['MCP_EXPOSE_TOKEN']));
  expect(Object.keys(call?.env ?? {})).not.toEqual(expect.arrayContaining(['AWS_SECRET']));
});

test.each([
  ['the API alone', { logsUrl: false }],
  ['the log alone', { webService: false }],
])('the URL is learnt from %s', async (_from, scenario) => {
  const world = await worldWith({ scenario });
  const { tunnel } = await world.open(providerIn(world));
  expect(tunnel.publicUrls).toEqual(['https://calm-fox.ngrok-free.app']);
});

test('another URL after the connection was lost', async () => {
  const world = await worldWith();
  const { tunnel, status, warnings } = await world.open(providerIn(world));
  world.setScenario({ event: { session: 'read EOF from remote peer', host: 'new-owl.ngrok-free.app' } });
  await status(({ state, publicUrls }) => state === 'up' && publicUrls[0] === 'https://new-owl.ngrok-free.app');
  expect(tunnel.publicUrls).toEqual(['https://new-owl.ngrok-free.app']);
  expect(warnings).toEqual(['ngrok has lost its connection and makes another one: read EOF from remote peer']);
  expect((await world.ask('https://new-owl.ngrok-free.app')).status).toBe(200);
});

test('it keeps trying when its service cannot be reached, and says so once', async () => {
  const world = await worldWith({ scenario: { failedDials: 3 } });
  const { warnings } = await world.open(providerIn(world));
  expect(warnings).toEqual([
    'ngrok does not reach its service and keeps trying: failed to dial ngrok server with address "connect.ngrok-agent.com:443": dial tcp: lookup failed',
  ]);
});

test('an error of single requests is said once and changes nothing', async () => {
  const world = await worldWith();
  const { statuses, warnings } = await world.open(providerIn(world));
  const line = { lvl: 'warn', msg: 'too many requests', err: 'You have exceeded your limit. ERR_NGROK_734' };
  await eventually(() => {
    world.setScenario({ event: { line: { ...line, at: String(performance.now()) } } });
    expect(warnings).toEqual(['ngrok says: there were too many requests in a minute (ERR_NGROK_734)']);
  });
  expect(statuses).toEqual([]);
});

test('killed, it is started again', async () => {
  const world = await worldWith({ scenario: { hosts: ['one.ngrok-free.app', 'two.ngrok-free.app'] } });
  const { tunnel, statuses, status } = await world.open(providerIn(world));
  killIfAlive(world.calls()[0]?.pid ?? 0);
  await status(({ state }) => state === 'up');
  expect(statuses).toEqual([
    { state: 'reconnecting', publicUrls: ['https://one.ngrok-free.app'], reason: 'ngrok ended with SIGKILL' },
    { state: 'up', publicUrls: ['https://two.ngrok-free.app'] },
  ]);
  expect((await world.ask(tunnel.publicUrls[0] ?? '')).status).toBe(200);
  expect(world.alive()).toHaveLength(1);
});

test('killed, and refused for good when it is started again', async () => {
  const world = await worldWith();
  const { status } = await world.open(providerIn(world));
  world.setScenario({
    refusal: { code: 107, text: 'The authtoken you specified is properly formed, but it is invalid.' },
  });
  killIfAlive(world.calls()[0]?.pid ?? 0);
  const { reason } = await status(({ state }) => state === 'down');
  expect(reason).toBe('ngrok says: the token is not valid any more (ERR_NGROK_107)');
});

test.each([false, true])('closed, nothing of it is left (ignores SIGTERM: %j)', async (stubborn) => {
  const world = await worldWith({ scenario: { stubborn } });
  const { tunnel, statuses } = await world.open(providerIn(world));
  expect(world.alive()).toHaveLength(1);
  await tunnel.close();
  await tunnel.close();
  expect(world.alive()).toEqual([]);
  expect(statuses).toEqual([]);
});

describe('refusals', () => {
  test.each([
    [
      105,
      'tunnel_rejected',
      'The authtoken you specified does not look like a proper ngrok authtoken.\nYour authtoken: TOKEN',
    ],
    [108, 'tunnel_unavailable', 'Your account is limited to 3 simultaneous ngrok agent sessions.'],
    [334, 'tunnel_unavailable', 'The endpoint is already online. Either\n1. stop your existing endpoint first'],
    [777, 'tunnel_unavailable', 'Your authtoken: TOKEN is not liked'],
  ])('%i', async (code, expected, text) => {
    const world = await worldWith({ scenario: { refusal: { code, text } } });
    const error = await world.refusal(providerIn(world));
    expect(error.code).toBe(expected);
    expect(error.message).toContain(`(ERR_NGROK_${code})`);
    expect(error.hints).not.toEqual([]);
    expect([error.message, ...error.hints].join('\n')).not.toContain('SECRET');
    expect(world.alive()).toEqual([]);
  });

  test('its last words, without the token in them', async () => {
    const dies = 'ERROR:  panic with TOKEN\nERROR:  see https://ngrok.com/debug?key=4711\nERROR:  authtoken: 4nq9771b';
    const world = await worldWith({ scenario: { dies } });
    expect(await world.refusal(providerIn(world))).toMatchObject({
      code: 'tunnel_unavailable',
      message: 'ngrok ended with code 1 before it had a URL',
      hints: [
        'ngrok said: ERROR:  panic with …',
        'ngrok said: ERROR:  see https://ngrok.com/debug?…',
        'ngrok said: ERROR:  authtoken: …',
      ],
    });
  });

  test('no token', async () => {
    const world = await worldWith({ env: {} });
    expect(await world.refusal(providerIn(world))).toMatchObject({
      code: 'tunnel_rejected',
      message: 'ngrok says: it wants an account and its token (ERR_NGROK_4018)',
      hints: [expect.stringContaining('ngrok config add-authtoken')],
    });
  });

  test('not installed', async () => {
    const world = await worldWith({ programs: {} });
    expect(await world.refusal(providerIn(world))).toMatchObject({
      code: 'tunnel_not_installed',
      message: 'ngrok is not installed',
      hints: [expect.stringContaining('https://ngrok.com/download')],
    });
  });
});

describe('unusable', () => {
  test('not installed', async () => {
    const world = await worldWith({ programs: {} });
    expect(await providerIn(world).unusable?.(anySignal)).toBe('ngrok is not installed');
  });

  test('no token anywhere', async () => {
    const world = await worldWith({ env: {} });
    writeConfiguration(world, '.config/ngrok', 'version: "3"\nagent:\n  #authtoken: 4nq9771b\n');
    expect(await providerIn(world).unusable?.(anySignal)).toBe(
      'ngrok has no token: run ngrok config add-authtoken, or set NGROK_AUTHTOKEN',
    );
  });

  test.each([
    ['.config/ngrok', 'version: "3"\nagent:\n  authtoken: 4nq9771b\n'],
    ['.ngrok2', 'authtoken: 4nq9771b\n'],
  ])('a token in %s', async (folder, text) => {
    const world = await worldWith({ env: {} });
    writeConfiguration(world, folder, text);
    expect(await providerIn(world).unusable?.(anySignal)).toBeUndefined();
  });

  test('a token below XDG_CONFIG_HOME, which the program gets as well', async () => {
    const world = await worldWith({ env: {} });
    const folder = path.join(world.home, 'elsewhere');
    writeConfiguration(world, 'elsewhere/ngrok', 'version: 2\nauthtoken: "4nq9771b"\n');
    const environment = { ...world.environment, env: { ...world.environment.env, XDG_CONFIG_HOME: folder } };
    const provider = createNgrokProvider({ environment, loadSdk: async () => undefined });
    expect(await provider.unusable?.(anySignal)).toBeUndefined();
    await world.open(provider);
    expect(world.calls()[0]?.env).toMatchObject({ XDG_CONFIG_HOME: folder });
  });

  test('a token in the environment', async () => {
    const world = await worldWith();
    expect(await providerIn(world).unusable?.(anySignal)).toBeUndefined();
  });
});
