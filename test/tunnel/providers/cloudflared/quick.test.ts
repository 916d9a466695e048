import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { createWatchdog } from '../../../../src/platform/process/watchdog.ts';
import { systemClock } from '../../../../src/platform/clock.ts';
import { createCloudflaredProvider } from '../../../../src/tunnel/providers/cloudflared/cloudflared.ts';
import { HostOverrides } from '../../../../src/platform/net/host-overrides.ts';
import { eventually } from '../../../harness/eventually.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import { isAlive, killIfAlive } from '../../../harness/processes.ts';
import { temporaryDirectory } from '../../../harness/program.ts';
import { createCloudflaredWorld, createHeldClock, expectNothingLeft, flag } from './world.ts';

const first = 'https://calm-river-1.trycloudflare.com';
const second = 'https://calm-river-2.trycloudflare.com';

test('up: its URL is the one in the box, and requests come through it at once', async () => {
  const world = await createCloudflaredWorld();
  const { tunnel } = await world.open(world.provider);
  expect(tunnel.publicUrls).toEqual([first]);
  const reply = await world.ask(first, { path: '/mcp?x' });
  expect([reply.status, reply.body]).toEqual([200, '{"url":"/mcp?x","method":"GET"}']);
  expect(world.received[0]).toMatchObject({ host: new URL(first).host, 'cf-connecting-ip': '203.0.113.9' });
});

test('it is called with its own configuration, to 127.0.0.1, with JSON on its log and no checks', async () => {
  const world = await createCloudflaredWorld();
  await world.open(world.provider);
  const [call] = world.calls();
  const { args = [] } = call ?? {};
  const configuration = path.join(world.home, '.config', 'mcp-expose', 'cloudflared.yml');
  expect(readFileSync(configuration, 'utf8')).toBe('{}\n');
  expect(args.map((arg) => arg.replace(configuration, 'CONFIG').replace(/:\d+$/, ':PORT'))).toEqual([
    'tunnel',
    '--no-autoupdate',
    '--metrics',
    '127.0.0.1:PORT',
    '--loglevel',
    'info',
    '--config',
    'CONFIG',
    '--no-prechecks',
    '--output',
    'json',
    '--protocol',
    'auto',
    '--url',
    'http://127.0.0.1:PORT',
  ]);
});

test('closed: the program and the port are gone', async () => {
  const world = await createCloudflaredWorld();
  const { tunnel } = await world.open(world.provider);
  const processes = [world.running()];
  await Promise.all([tunnel.close(), tunnel.close()]);
  expectNothingLeft(world, processes);
  await expect(world.ask(first)).rejects.toThrow('ECONNREFUSED');
});

test('a program that ignores SIGTERM is killed', async () => {
  const world = await createCloudflaredWorld({ scenario: { ignoresSigterm: true } });
  const { tunnel } = await world.open(world.provider);
  const stubborn = world.running();
  await tunnel.close();
  expect(isAlive(stubborn)).toBe(false);
  expectNothingLeft(world);
});

test('it dies: it is started again, and its other URL is announced', async () => {
  const world = await createCloudflaredWorld();
  const { tunnel, statuses, status } = await world.open(world.provider);
  killIfAlive(world.running().pid);
  await status(({ state }) => state === 'up');
  expect(statuses).toEqual([
    { state: 'reconnecting', publicUrls: [first], reason: 'cloudflared ended with SIGKILL' },
    { state: 'up', publicUrls: [second] },
  ]);
  expect(tunnel.publicUrls).toEqual([second]);
  expect((await world.ask(second)).status).toBe(200);
  expect(world.folders()).toEqual([]);
});

test('it ends by itself: its last words are the reason', async () => {
  const world = await createCloudflaredWorld();
  const { statuses, status } = await world.open(world.provider);
  process.kill(world.running().pid, 'SIGTERM');
  await status(({ state }) => state === 'up');
  expect(statuses[0]?.reason).toBe('cloudflared ended with code 0');
});

test('redialled: the same, with the reason for it', async () => {
  const world = await createCloudflaredWorld();
  const { tunnel, statuses, status } = await world.open(world.provider);
  tunnel.redial?.('it is up but dead');
  await status(({ state }) => state === 'up');
  expect(statuses).toEqual([
    { state: 'reconnecting', publicUrls: [first], reason: 'it is up but dead' },
    { state: 'up', publicUrls: [second] },
  ]);
});

describe('the environment of the user', () => {
  const secrets = {
    MCP_EXPOSE_TOKEN: 'ours',
    AWS_SECRET_ACCESS_KEY: 'theirs',
    TUNNEL_NAME: 'adhoc',
    TUNNEL_URL: 'http://127.0.0.1:9',
    TUNNEL_TRANSPORT_PROTOCOL: 'http2',
    TUNNEL_METRICS: '127.0.0.1:1',
    TUNNEL_LOG_OUTPUT: 'default',
  };

  test('neither changes what tunnel it is, nor is it shown to the program', async () => {
    const world = await createCloudflaredWorld({ env: secrets });
    const { tunnel } = await world.open(world.provider);
    expect(tunnel.publicUrls).toEqual([first]);
    const names = Object.keys(world.calls()[0]?.env ?? {});
    expect(names.filter((name) => name in secrets)).toEqual([]);
    expect(names).toEqual(expect.arrayContaining(['HOME', 'PATH']));
  });

  test('a configuration file in its home is not used', async () => {
    const world = await createCloudflaredWorld();
    mkdirSync(path.join(world.home, '.cloudflared'));
    const rules = 'ingress:\n  - hostname: x.example.com\n    service: http://127.0.0.1:9\n';
    writeFileSync(path.join(world.home, '.cloudflared', 'config.yml'), rules);
    await world.open(world.provider);
    expect((await world.ask(first)).status).toBe(200);
  });
});

describe('where UDP does not get through', () => {
  test('it is started anew over HTTP/2 after two failures, and from then on', async () => {
    const world = await createCloudflaredWorld({ scenario: { quicFailures: 1000 } });
    const { tunnel, status } = await world.open(world.provider);
    expect(tunnel.publicUrls).toEqual([second]);
    killIfAlive(world.running().pid);
    await status(({ state }) => state === 'up');
    expect(world.calls().map((call) => flag(call, '--protocol'))).toEqual(['auto', 'http2', 'http2']);
    expect(world.folders()).toEqual([]);
  });

  test('one failure may be chance', async () => {
    const world = await createCloudflaredWorld({ scenario: { quicFailures: 1 } });
    const { tunnel } = await world.open(world.provider);
    expect(tunnel.publicUrls).toEqual([first]);
  });

  test('it is started anew when nothing has come of it for 12 s, whatever it says', async () => {
    const held = createHeldClock([12_000, 30_000]);
    const world = await createCloudflaredWorld({ scenario: { neverConnects: true }, clock: held.clock });
    const refused = world.refusal(world.provider);
    /** Its metrics are asked every 250 ms, of which it tells after its URL. */
    const looked = async (seen: number): Promise<void> =>
      await eventually(() => expect(held.count(250)).toBeGreaterThan(seen), 15_000);
    await looked(0);
    held.fire(12_000);
    await eventually(() => expect(world.calls()).toHaveLength(2), 15_000);
    await looked(held.count(250));
    held.fire(30_000);
    expect(await refused).toMatchObject({
      code: 'tunnel_unreachable',
      message: 'cloudflared was not connected after 30 s',
    });
    expect(world.calls().map((call) => flag(call, '--protocol'))).toEqual(['auto', 'http2']);
    expectNothingLeft(world);
  });
});

describe('versions', () => {
  test('an old one that does not know the newer flags is called without them, and read all the same', async () => {
    const world = await createCloudflaredWorld({ scenario: { isOld: true } });
    const { tunnel, status } = await world.open(world.provider);
    expect(tunnel.publicUrls).toEqual([second]);
    expect((await world.ask(second)).status).toBe(200);
    killIfAlive(world.running().pid);
    await status(({ state }) => state === 'up');
    expect(world.calls().map((call) => call.args.includes('--output'))).toEqual([true, false, false]);
  });

  test('one that says in other words that it is connected is asked', async () => {
    const world = await createCloudflaredWorld({ scenario: { registeredWord: 'old' } });
    const { tunnel } = await world.open(world.provider);
    expect(tunnel.publicUrls).toEqual([first]);
  });

  test('one that knows too little is refused', async () => {
    const world = await createCloudflaredWorld({ scenario: { knowsNothing: true } });
    expect(await world.refusal(world.provider)).toMatchObject({
      code: 'tunnel_unavailable',
      message: 'this cloudflared does not know the flags that it is called with',
    });
    expectNothingLeft(world);
  });
});

describe('refusals', () => {
  test.each([
    ['limited', 'Cloudflare gives out no more quick tunnels at the moment: ', 'try again in some minutes'],
    ['broken', 'Cloudflare gave no quick tunnel: ', 'check that this machine reaches api.trycloudflare.com'],
    ['unreachable', 'Cloudflare gave no quick tunnel: ', 'check that this machine reaches api.trycloudflare.com'],
  ])('its service is %s', async (api, message, hint) => {
    const world = await createCloudflaredWorld({ scenario: { api } });
    const error = await world.refusal(world.provider);
    expect(error).toMatchObject({ code: 'tunnel_unavailable', exitCode: 4 });
    expect(error.message).toContain(message);
    expect(error.hints).toEqual([expect.stringContaining(hint)]);
    expectNothingLeft(world);
  });

  test('the same of an old version', async () => {
    const world = await createCloudflaredWorld({ scenario: { api: 'limited', isOld: true } });
    expect((await world.refusal(world.provider)).message).toContain('no more quick tunnels at the moment');
  });

  test('a tunnel that Cloudflare does not know everywhere yet comes up all the same', async () => {
    const world = await createCloudflaredWorld({ scenario: { refusals: 5 } });
    const { tunnel } = await world.open(world.provider);
    expect(tunnel.publicUrls).toEqual([first]);
  });

  test('it is not installed', async () => {
    const watchdog = createWatchdog();
    atEnd('test', () => watchdog.close());
    const env = { PATH: temporaryDirectory() };
    const environment = { env, watchdog, clock: systemClock, overrides: new HostOverrides() };
    const provider = createCloudflaredProvider({ environment });
    expect(await provider.unusable?.(new AbortController().signal)).toBe('cloudflared is not installed');
    const world = await createCloudflaredWorld();
    expect(await world.provider.unusable?.(new AbortController().signal)).toBeUndefined();
    expect(await world.refusal(provider)).toMatchObject({
      code: 'tunnel_not_installed',
      message: 'cloudflared is not installed',
      hints: [expect.stringContaining('https://developers.cloudflare.com/')],
    });
    expectNothingLeft(world);
  });

  test('where its configuration cannot be kept, it has one for the run', async () => {
    const world = await createCloudflaredWorld();
    writeFileSync(path.join(world.home, '.config'), 'in the way');
    const { tunnel } = await world.open(world.provider);
    expect(tunnel.publicUrls).toEqual([first]);
    const [folder = ''] = world.folders();
    const call = world.calls()[0];
    expect(call === undefined ? '' : flag(call, '--config')).toContain(path.join(folder, 'cloudflared.yml'));
    await tunnel.close();
    expectNothingLeft(world);
  });

  test('no folder for its configuration can be made', async () => {
    const world = await createCloudflaredWorld();
    writeFileSync(path.join(world.home, '.config'), 'in the way');
    process.env['TMPDIR'] = path.join(world.home, 'nothing');
    expect(await world.refusal(world.provider)).toMatchObject({
      code: 'tunnel_unavailable',
      message: expect.stringContaining('no configuration for cloudflared can be written: ENOENT'),
    });
    expect(world.calls()).toEqual([]);
  });
});

test('a start that is not wanted any more ends, and nothing of it is left', async () => {
  const world = await createCloudflaredWorld({ scenario: { neverConnects: true } });
  const abort = new AbortController();
  const target = {
    handler: () => {},
    localPort: 1,
    listen: async () => ({ port: 1, close: async () => {} }),
  };
  const opened = world.provider.open(target, { signal: abort.signal, onStatus() {}, onWarning() {} });
  opened.catch(() => {});
  await eventually(() => expect(world.calls()).toHaveLength(1), 15_000);
  abort.abort(new Error('too late'));
  await expect(opened).rejects.toThrow('too late');
  expectNothingLeft(world);
});

test('who carries the traffic is told', async () => {
  const { provider } = await createCloudflaredWorld();
  expect([provider.name, provider.notice]).toEqual([
    'cloudflared',
    'Cloudflare can read the traffic, including the token',
  ]);
  expect(provider.capabilities).toMatchObject({ variant: 'quick', getStreams: false, postStreams: true });
});
