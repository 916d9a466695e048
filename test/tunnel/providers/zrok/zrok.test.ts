import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { createZrokProvider } from '../../../../src/tunnel/providers/zrok/zrok.ts';
import { killIfAlive } from '../../../harness/processes.ts';
import { createBinaryWorld, type BinaryWorld, type Scenario } from '../binary-world.ts';

interface ZrokWorldOptions {
  readonly programs?: readonly string[];
  /** Those of the programs that are enabled. */
  readonly enabled?: readonly string[];
  readonly scenario?: Scenario;
  readonly env?: Readonly<Record<string, string>>;
}

async function worldWith({
  programs = ['zrok2'],
  enabled = programs,
  ...rest
}: ZrokWorldOptions = {}): Promise<BinaryWorld> {
  const world = await createBinaryWorld({
    programs: Object.fromEntries(programs.map((program) => [program, 'zrok2'])),
    ...rest,
  });
  for (const program of enabled) {
    mkdirSync(path.join(world.home, `.${program}`));
    writeFileSync(path.join(world.home, `.${program}`, 'environment.json'), '{}');
  }
  return world;
}

const anySignal = new AbortController().signal;

test.each([
  ['zrok2', {}, 'https://3s9fddkilbi6.shares.zrok.io'],
  ['zrok2', { text: true }, 'https://3s9fddkilbi6.shares.zrok.io'],
  ['zrok2', { agent: true }, 'https://3s9fddkilbi6.shares.zrok.io'],
  ['zrok2', { domain: 'zrok.example:8443' }, 'https://3s9fddkilbi6.zrok.example:8443'],
  ['zrok', {}, 'https://3s9fddkilbi6.share.zrok.io'],
  ['zrok', { text: true }, 'https://3s9fddkilbi6.share.zrok.io'],
])('%s is up, and a request comes through: %j', async (program, scenario, url) => {
  const world = await worldWith({ programs: [program], scenario });
  const { tunnel, statuses } = await world.open(createZrokProvider({ environment: world.environment }));
  expect(tunnel.publicUrls).toEqual([url]);
  expect(world.calls().map(({ args }) => args)).toEqual([
    ['share', 'public', expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/), '--headless', '--force-local'],
  ]);
  expect((await world.ask(url)).status).toBe(200);
  expect(statuses).toEqual([]);
});

describe('a name', () => {
  test.each([
    ['my-app', {}, 'public:my-app'],
    ['my-app', { ZROK2_DEFAULT_NAMESPACE: 'team' }, 'team:my-app'],
    ['own.example:api', {}, 'own.example:api'],
  ])('%s in zrok 2 with %j', async (name, env, selection) => {
    const world = await worldWith({ env });
    const { tunnel } = await world.open(createZrokProvider({ environment: world.environment, name }));
    expect(world.calls()[0]?.args.slice(-2)).toEqual(['-n', selection]);
    expect(tunnel.publicUrls).toEqual([`https://${selection.split(':')[1]}.shares.zrok.io`]);
    expect((await world.ask(tunnel.publicUrls[0] ?? '')).status).toBe(200);
  });

  test('of a reserved share in zrok 1', async () => {
    const world = await worldWith({ programs: ['zrok'] });
    const { tunnel } = await world.open(createZrokProvider({ environment: world.environment, name: 'toaster' }));
    expect(world.calls()[0]?.args).toEqual([
      'share',
      'reserved',
      'toaster',
      '--override-endpoint',
      expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      '--headless',
      '--force-local',
    ]);
    expect(tunnel.publicUrls).toEqual(['https://toaster.share.zrok.io']);
    expect((await world.ask('https://toaster.share.zrok.io')).status).toBe(200);
  });

  test.each(['--verbose', '', 'a b', 'a:', ':a', '-n'])('%j is none', async (name) => {
    const { environment } = await worldWith();
    expect(() => createZrokProvider({ environment, name })).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});

test('killed, it is started again and has another URL', async () => {
  const world = await worldWith({ scenario: { shares: ['aaaa', 'bbbb'] } });
  const { tunnel, statuses, status } = await world.open(createZrokProvider({ environment: world.environment }));
  killIfAlive(world.calls()[0]?.pid ?? 0);
  await status(({ state }) => state === 'up');
  expect(statuses).toEqual([
    { state: 'reconnecting', publicUrls: ['https://aaaa.shares.zrok.io'], reason: 'zrok2 ended with SIGKILL' },
    { state: 'up', publicUrls: ['https://bbbb.shares.zrok.io'] },
  ]);
  expect((await world.ask(tunnel.publicUrls[0] ?? '')).status).toBe(200);
});

test('disabled meanwhile, it stays down', async () => {
  const world = await worldWith();
  const { status } = await world.open(createZrokProvider({ environment: world.environment }));
  world.setScenario({ refusal: { what: 'unable to create share', why: '[POST /share][401] shareUnauthorized' } });
  killIfAlive(world.calls()[0]?.pid ?? 0);
  expect((await status(({ state }) => state === 'down')).reason).toContain('zrok2 is not let in by its service');
});

test.each([false, true])('closed, nothing of it is left (ignores SIGTERM: %j)', async (stubborn) => {
  const world = await worldWith({ scenario: { stubborn } });
  const { tunnel, statuses } = await world.open(createZrokProvider({ environment: world.environment }));
  expect(world.alive()).toHaveLength(1);
  await tunnel.close();
  await tunnel.close();
  expect(world.alive()).toEqual([]);
  expect(statuses).toEqual([]);
});

describe('refusals', () => {
  test.each(['zrok2', 'zrok'])('%s is not enabled', async (program) => {
    const world = await worldWith({ programs: [program], enabled: [] });
    expect(await world.refusal(createZrokProvider({ environment: world.environment }))).toMatchObject({
      code: 'tunnel_rejected',
      message: `${program} is not enabled on this machine`,
      hints: [`run ${program} enable with the token of your account`],
    });
  });

  test.each([
    [
      "[POST /share][409] shareConflict name 'my-app' in namespace 'public' is already in use by another share",
      'tunnel_rejected',
      'zrok2 cannot have this share: unable to create share',
    ],
    ['[POST /share][500] shareInternalServerError', 'tunnel_unavailable', 'zrok2 says: unable to create share'],
  ])('%s', async (why, code, words) => {
    const world = await worldWith({ scenario: { refusal: { what: 'unable to create share', why } } });
    const error = await world.refusal(createZrokProvider({ environment: world.environment, name: 'my-app' }));
    expect(error.code).toBe(code);
    expect(error.message).toContain(words);
    expect(world.alive()).toEqual([]);
  });

  test('not installed', async () => {
    const world = await worldWith({ programs: [] });
    expect(await world.refusal(createZrokProvider({ environment: world.environment }))).toMatchObject({
      code: 'tunnel_not_installed',
      message: 'zrok is not installed',
    });
  });
});

describe('unusable', () => {
  test.each([
    [[], [], 'zrok is not installed'],
    [['zrok2'], ['zrok'], 'zrok2 is not enabled: run zrok2 enable'],
    [['zrok'], [], 'zrok is not enabled: run zrok enable'],
    [['zrok2', 'zrok'], [], 'zrok2 is not enabled: run zrok2 enable'],
    [['zrok2', 'zrok'], ['zrok'], undefined],
    [['zrok2'], ['zrok2'], undefined],
  ])('with %j, of which %j are enabled', async (programs, enabled, why) => {
    const { environment } = await worldWith({ programs, enabled });
    expect(await createZrokProvider({ environment }).unusable?.(anySignal)).toBe(why);
  });

  test('of two, the one that is enabled is used', async () => {
    const world = await worldWith({ programs: ['zrok2', 'zrok'], enabled: ['zrok'] });
    const { tunnel } = await world.open(createZrokProvider({ environment: world.environment }));
    expect(tunnel.publicUrls).toEqual(['https://3s9fddkilbi6.share.zrok.io']);
  });
});
