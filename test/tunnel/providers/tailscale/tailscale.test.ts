import { describe, expect, test } from 'vitest';
import {
  createTailscaleProvider,
  type TailscaleOptions,
} from '../../../../src/tunnel/providers/tailscale/tailscale.ts';
import type { TunnelProvider } from '../../../../src/tunnel/provider.ts';
import { killIfAlive } from '../../../harness/processes.ts';
import { createBinaryWorld, type BinaryWorld, type Call, type Scenario } from '../binary-world.ts';

async function worldWith(scenario: Scenario = {}): Promise<BinaryWorld> {
  return await createBinaryWorld({ programs: { tailscale: 'tailscale' }, scenario });
}

function providerIn({ environment }: BinaryWorld, options: Partial<TailscaleOptions> = {}): TunnelProvider {
  return createTailscaleProvider({ environment, reach: 'internet', ...options });
}

/** The starts that serve, without those that look something up. */
function served(world: BinaryWorld): Call[] {
  return world.calls().filter(({ args }) => args[1] === '--yes');
}

const anySignal = new AbortController().signal;

test('up on the internet, and a request comes through', async () => {
  const world = await worldWith();
  const { tunnel, statuses } = await world.open(providerIn(world));
  expect(tunnel.publicUrls).toEqual(['https://box.tail1234.ts.net']);
  expect(served(world).map(({ args }) => args)).toEqual([
    ['funnel', '--yes', '--https=443', expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/)],
  ]);
  expect((await world.ask(tunnel.publicUrls[0] ?? '')).status).toBe(200);
  expect(statuses).toEqual([]);
});

test('up in the tailnet', async () => {
  const world = await worldWith();
  const provider = providerIn(world, { reach: 'tailnet' });
  expect(provider.name).toBe('tailscale-serve');
  const { tunnel } = await world.open(provider);
  expect(served(world)[0]?.args.slice(0, 3)).toEqual(['serve', '--yes', '--https=443']);
  expect((await world.ask(tunnel.publicUrls[0] ?? '')).status).toBe(200);
});

describe('the port', () => {
  test.each([
    [[443], 'https://box.tail1234.ts.net:8443'],
    [[443, 8443], 'https://box.tail1234.ts.net:10000'],
  ])('is the first that nothing else has: not %j', async (background, url) => {
    const world = await worldWith({ background });
    const { tunnel, warnings } = await world.open(providerIn(world));
    expect(tunnel.publicUrls).toEqual([url]);
    expect((await world.ask(url)).status).toBe(200);
    expect(warnings).toEqual([
      expect.stringContaining(`the URL has port ${new URL(url).port}: hosted clients connect to port 443 only`),
    ]);
  });

  test('none is left', async () => {
    const world = await worldWith({ background: [443, 8443, 10_000] });
    expect(await world.refusal(providerIn(world))).toMatchObject({
      code: 'tunnel_unavailable',
      message: 'tailscale serves something else on each of the ports 443, 8443, 10000',
    });
  });

  test('of another tunnel of ours', async () => {
    const world = await worldWith();
    const [one, two] = [await world.open(providerIn(world)), await world.open(providerIn(world))];
    expect([one, two].map(({ tunnel }) => tunnel.publicUrls[0])).toEqual([
      'https://box.tail1234.ts.net',
      'https://box.tail1234.ts.net:8443',
    ]);
  });

  test('that was asked for, or none', async () => {
    const publicUrl = 'https://box.tail1234.ts.net:8443';
    const world = await worldWith();
    const { tunnel, warnings } = await world.open(providerIn(world, { publicUrl }));
    expect([tunnel.publicUrls, warnings]).toEqual([[publicUrl], []]);
    expect(await world.refusal(providerIn(world, { publicUrl }))).toMatchObject({
      code: 'tunnel_unavailable',
      message: 'tailscale serves something else on port 8443',
    });
  });

  test.each(['https://box.tail1234.ts.net:9000', 'http://box.tail1234.ts.net'])(
    'not %s on the internet',
    async (publicUrl) => {
      const world = await worldWith();
      expect(() => providerIn(world, { publicUrl })).toThrow(expect.objectContaining({ code: 'usage' }));
    },
  );

  test('any in the tailnet', async () => {
    const world = await worldWith();
    const publicUrl = 'https://box.tail1234.ts.net:9000';
    const { tunnel } = await world.open(providerIn(world, { reach: 'tailnet', publicUrl }));
    expect(tunnel.publicUrls).toEqual([publicUrl]);
  });

  test('a URL of another machine', async () => {
    const world = await worldWith();
    expect(await world.refusal(providerIn(world, { publicUrl: 'https://other.tail1234.ts.net' }))).toMatchObject({
      code: 'usage',
      message: 'https://other.tail1234.ts.net is not at this machine, which tailscale calls box.tail1234.ts.net',
    });
  });
});

test('killed, it is started again; the machine has got another name meanwhile', async () => {
  const world = await worldWith();
  const { tunnel, statuses, status } = await world.open(providerIn(world));
  world.setScenario({ dnsName: 'box-1.tail1234.ts.net.' });
  killIfAlive(served(world)[0]?.pid ?? 0);
  await status(({ state }) => state === 'up');
  expect(statuses).toEqual([
    { state: 'reconnecting', publicUrls: ['https://box.tail1234.ts.net'], reason: 'tailscale ended with SIGKILL' },
    { state: 'up', publicUrls: ['https://box-1.tail1234.ts.net'] },
  ]);
  expect((await world.ask(tunnel.publicUrls[0] ?? '')).status).toBe(200);
});

test('killed, and its port is taken: it waits for it, then goes to another', async () => {
  const world = await worldWith();
  const { statuses, status } = await world.open(providerIn(world));
  world.setScenario({ background: [443] });
  killIfAlive(served(world)[0]?.pid ?? 0);
  await status(({ state }) => state === 'up');
  expect(statuses.map(({ state, reason }) => [state, reason])).toEqual([
    ['reconnecting', 'tailscale ended with SIGKILL'],
    ['reconnecting', 'tailscale serves something else on port 443'],
    ['up', undefined],
  ]);
  expect(statuses.at(-1)?.publicUrls).toEqual(['https://box.tail1234.ts.net:8443']);
});

test('stopped by its user, it comes back when tailscale does', async () => {
  const world = await worldWith();
  const { status } = await world.open(providerIn(world));
  world.setScenario({ state: 'Stopped' });
  killIfAlive(served(world)[0]?.pid ?? 0);
  await status(({ reason }) => reason === 'tailscale is not running (Stopped)');
  world.setScenario({});
  expect((await status(({ state }) => state === 'up')).publicUrls).toEqual(['https://box.tail1234.ts.net']);
});

test('logged out meanwhile, it stays down', async () => {
  const world = await worldWith();
  const { status } = await world.open(providerIn(world));
  world.setScenario({ state: 'NeedsLogin' });
  killIfAlive(served(world)[0]?.pid ?? 0);
  expect(await status(({ state }) => state === 'down')).toMatchObject({ reason: 'tailscale is logged out' });
});

test.each([false, true])('closed, nothing of it is left (ignores SIGTERM: %j)', async (stubborn) => {
  const world = await worldWith({ stubborn });
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
      { enable: 'https://login.tailscale.com/f/funnel?node=n123' },
      'tunnel_rejected',
      'Funnel is not enabled in this tailnet',
      'enable it at https://login.tailscale.com/f/funnel?node=n123',
    ],
    [
      { refusal: 'Funnel not available; "funnel" node attribute not set. See https://tailscale.com/s/no-funnel.' },
      'tunnel_rejected',
      'Funnel is not allowed on this machine: "funnel" node attribute not set',
      'https://tailscale.com/s/no-funnel explains how to allow it',
    ],
    [
      { refusal: 'foreground listener already exists for port 443' },
      'tunnel_unavailable',
      'tailscale serves something else there already: foreground listener already exists for port 443',
      'tailscale serve status shows what',
    ],
    [
      { state: 'NeedsLogin' },
      'tunnel_rejected',
      'tailscale is logged out',
      'run tailscale up, and see tailscale status',
    ],
    [
      { daemon: false },
      'tunnel_unavailable',
      'the tailscale daemon is not running',
      'run tailscale up, and see tailscale status',
    ],
    [
      { refusal: 'something new' },
      'tunnel_unavailable',
      'tailscale ended with code 1 before it had a URL',
      'tailscale said: something new',
    ],
  ])('%j', async (scenario, code, message, hint) => {
    const world = await worldWith(scenario);
    const error = await world.refusal(providerIn(world));
    expect(error).toMatchObject({ code, message });
    expect(error.hints).toEqual([hint]);
    expect(world.alive()).toEqual([]);
  });

  test('open to the tailnet only', async () => {
    const world = await worldWith({ privately: true });
    expect(await world.refusal(providerIn(world))).toMatchObject({ message: 'tailscale serves the tailnet only' });
  });

  test('not installed', async () => {
    const world = await createBinaryWorld({ programs: {} });
    expect(await world.refusal(providerIn(world))).toMatchObject({
      code: 'tunnel_not_installed',
      message: 'tailscale is not installed',
    });
  });
});

describe('unusable', () => {
  test.each([
    [{}, undefined],
    [{ state: 'NeedsLogin' }, 'tailscale is logged out'],
    [{ state: 'Stopped' }, 'tailscale is not running (Stopped)'],
    [{ daemon: false }, 'the tailscale daemon is not running'],
    [{ capMap: { https: null } }, 'the tailnet does not allow Funnel on this machine'],
  ])('%j', async (scenario, why) => {
    const world = await worldWith(scenario);
    expect(await providerIn(world).unusable?.(anySignal)).toBe(why);
  });

  test('the tailnet needs no Funnel', async () => {
    const world = await worldWith({ capMap: { https: null } });
    expect(await providerIn(world, { reach: 'tailnet' }).unusable?.(anySignal)).toBeUndefined();
  });

  test('not installed', async () => {
    const world = await createBinaryWorld({ programs: {} });
    expect(await providerIn(world).unusable?.(anySignal)).toBe('tailscale is not installed');
  });
});
