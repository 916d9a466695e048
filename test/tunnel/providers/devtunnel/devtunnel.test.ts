import { createServer } from 'node:http';
import { describe, expect, test } from 'vitest';
import { createDevtunnelProvider } from '../../../../src/tunnel/providers/devtunnel/devtunnel.ts';
import type { TunnelProvider } from '../../../../src/tunnel/provider.ts';
import { freePort, listenOnLoopback } from '../../../harness/loopback-server.ts';
import { killIfAlive } from '../../../harness/processes.ts';
import { createBinaryWorld, type BinaryWorld, type Call, type Scenario } from '../binary-world.ts';

async function worldWith(scenario: Scenario = {}): Promise<BinaryWorld> {
  return await createBinaryWorld({ programs: { devtunnel: 'devtunnel' }, scenario });
}

function providerIn({ environment }: BinaryWorld, name?: string): TunnelProvider {
  return createDevtunnelProvider({ environment, name });
}

function hosted(world: BinaryWorld): Call[] {
  return world.calls().filter(({ args }) => args[0] === 'host');
}

const anySignal = new AbortController().signal;

test.each([{}, { oldForm: true }])('up, and a request comes through: %j', async (scenario) => {
  const world = await worldWith(scenario);
  const { tunnel, statuses, warnings } = await world.open(providerIn(world));
  const port = hosted(world)[0]?.args[2];
  expect(hosted(world).map(({ args }) => args)).toEqual([
    ['host', '-p', expect.stringMatching(/^\d+$/), '--allow-anonymous'],
  ]);
  expect(tunnel.publicUrls).toEqual([`https://l3rs99qw-${port}.eun1.devtunnels.ms`]);
  expect((await world.ask(tunnel.publicUrls[0] ?? '')).status).toBe(200);
  expect([statuses, warnings]).toEqual([[], []]);
});

test('killed, it is started again and has another URL', async () => {
  const world = await worldWith({ ids: ['aaaa1111', 'bbbb2222'] });
  const { tunnel, statuses, status } = await world.open(providerIn(world));
  killIfAlive(hosted(world)[0]?.pid ?? 0);
  await status(({ state }) => state === 'up');
  expect(statuses.map(({ state, reason }) => [state, reason])).toEqual([
    ['reconnecting', 'devtunnel ended with SIGKILL'],
    ['up', undefined],
  ]);
  expect(tunnel.publicUrls[0]).toMatch(/^https:\/\/bbbb2222-\d+\.eun1\.devtunnels\.ms$/);
  expect((await world.ask(tunnel.publicUrls[0] ?? '')).status).toBe(200);
});

describe('while it runs', () => {
  test('a URL of another form', async () => {
    const world = await worldWith();
    const { tunnel, status } = await world.open(providerIn(world));
    world.setScenario({ event: { line: 'Connect via browser: https://moved-1.usw2.devtunnels.ms' } });
    await status(({ state }) => state === 'up');
    expect(tunnel.publicUrls).toEqual(['https://moved-1.usw2.devtunnels.ms']);
  });

  test('it is started again when it cannot connect any more', async () => {
    const world = await worldWith();
    const { status } = await world.open(providerIn(world));
    world.setScenario({ event: { line: 'Error connecting host tunnel session: Not authorized.' } });
    await status(({ state }) => state === 'reconnecting');
    await status(({ state }) => state === 'up');
    expect(hosted(world)).toHaveLength(2);
  });

  test('it stays down when somebody else has taken the tunnel', async () => {
    const world = await worldWith();
    const { status, statuses } = await world.open(providerIn(world));
    world.setScenario({
      event: { line: 'Connection to host tunnel relay closed. Another host for the tunnel has connected.' },
    });
    await status(({ state }) => state === 'down');
    expect(statuses).toMatchObject([{ reason: 'another devtunnel host has taken over this tunnel' }]);
    expect(world.alive()).toEqual([]);
  });
});

describe('a tunnel that the user has made', () => {
  test('leads to the port that it has, whatever ours is', async () => {
    const port = await freePort();
    const world = await worldWith({ tunnels: { 'my-tunnel': { ports: [port], isOpen: true } } });
    const { tunnel, warnings } = await world.open(providerIn(world, 'my-tunnel'));
    expect(hosted(world).map(({ args }) => args)).toEqual([['host', 'my-tunnel']]);
    expect(tunnel.publicUrls).toEqual([`https://l3rs99qw-${port}.eun1.devtunnels.ms`]);
    expect((await world.ask(tunnel.publicUrls[0] ?? '', { path: '/mcp?y' })).body).toContain('/mcp?y');
    expect(warnings).toEqual([]);
    await tunnel.close();
    // The port is free again.
    await listenOnLoopback(createServer(), port);
  });

  test('gets a port when it has none, and keeps it when it is opened again', async () => {
    const world = await worldWith({ tunnels: { 'my-tunnel': { ports: [], isOpen: true } } });
    const first = await world.open(providerIn(world, 'my-tunnel'));
    const [url = ''] = first.tunnel.publicUrls;
    expect((await world.ask(url)).status).toBe(200);
    await first.tunnel.close();
    const second = await world.open(providerIn(world, 'my-tunnel'));
    expect(second.tunnel.publicUrls).toEqual([url]);
    expect((await world.ask(url)).status).toBe(200);
  });

  test('has the same URL after it was killed', async () => {
    const world = await worldWith({ tunnels: { 'my-tunnel': { ports: [await freePort()], isOpen: true } } });
    const { tunnel, status } = await world.open(providerIn(world, 'my-tunnel'));
    const before = tunnel.publicUrls;
    killIfAlive(hosted(world)[0]?.pid ?? 0);
    await status(({ state }) => state === 'up');
    expect(tunnel.publicUrls).toEqual(before);
    expect((await world.ask(before[0] ?? '')).status).toBe(200);
  });

  test('that asks visitors to log in: a warning, once, and nothing is changed', async () => {
    const world = await worldWith({ tunnels: { 'my-tunnel': { ports: [await freePort()], isOpen: false } } });
    const { warnings, status } = await world.open(providerIn(world, 'my-tunnel'));
    killIfAlive(hosted(world)[0]?.pid ?? 0);
    await status(({ state }) => state === 'up');
    expect(warnings).toEqual([expect.stringContaining('devtunnel access create my-tunnel --anonymous')]);
    expect(world.calls().filter(({ args }) => args.includes('create'))).toEqual([]);
  });

  test('whose port is taken', async () => {
    const port = await listenOnLoopback(createServer());
    const world = await worldWith({ tunnels: { 'my-tunnel': { ports: [port], isOpen: true } } });
    expect(await world.refusal(providerIn(world, 'my-tunnel'))).toMatchObject({
      code: 'address_in_use',
      message: `the dev tunnel leads to port ${port} of this machine, where something else listens`,
    });
  });

  test('that is not there', async () => {
    const world = await worldWith();
    expect(await world.refusal(providerIn(world, 'my-tunnel'))).toMatchObject({
      code: 'tunnel_rejected',
      message: 'devtunnel knows no tunnel my-tunnel',
      hints: ['make it with devtunnel create my-tunnel --allow-anonymous', expect.any(String)],
    });
  });

  test.each([
    ['Tunnel service error: No such host is known.', 'tunnel_unavailable', 'devtunnel says: Tunnel service error:'],
    [
      'Host not found.',
      'tunnel_unreachable',
      'devtunnel could not look up the tunnel my-tunnel: it said Host not found.',
    ],
    ['Not logged in.', 'tunnel_rejected', 'devtunnel is not logged in'],
  ])('of which nothing can be learnt: %s', async (offline, code, message) => {
    const world = await worldWith({ offline });
    const error = await world.refusal(providerIn(world, 'my-tunnel'));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(message)]);
  });

  test('comes back after the network was away', async () => {
    const tunnels = { 'my-tunnel': { ports: [await freePort()], isOpen: true } };
    const world = await worldWith({ tunnels });
    const { status, statuses, warnings } = await world.open(providerIn(world, 'my-tunnel'));
    world.setScenario({ tunnels, offline: 'Tunnel service error: No such host is known.' });
    killIfAlive(hosted(world)[0]?.pid ?? 0);
    await status(({ state, reason }) => state === 'reconnecting' && reason?.includes('No such host') === true);
    world.setScenario({ tunnels });
    await status(({ state }) => state === 'up');
    expect(statuses.filter(({ state }) => state === 'down')).toEqual([]);
    expect(warnings).toEqual([]);
  });

  test.each(['-p', 'UPPER', 'a b', '', '--version'])('%j is no ID', async (name) => {
    const { environment } = await worldWith();
    expect(() => createDevtunnelProvider({ environment, name })).toThrow(expect.objectContaining({ code: 'usage' }));
  });
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
    [{ loggedIn: false }, 'tunnel_rejected', 'devtunnel is not logged in'],
    [{ refusal: 'Not logged in.' }, 'tunnel_rejected', 'devtunnel is not logged in'],
    [
      { refusal: 'Tunnel service error: Resource limit exceeded: TunnelsPerUserPerLocation' },
      'tunnel_unavailable',
      'the account has no room for more: Tunnel service error: Resource limit exceeded: TunnelsPerUserPerLocation',
    ],
    [{ refusal: 'something new' }, 'tunnel_unavailable', 'devtunnel ended with code 1 before it had a URL'],
  ])('%j', async (scenario, code, message) => {
    const world = await worldWith(scenario);
    const error = await world.refusal(providerIn(world));
    expect(error).toMatchObject({ code, message });
    expect(error.hints).not.toEqual([]);
    expect(world.alive()).toEqual([]);
  });

  test('not installed', async () => {
    const world = await createBinaryWorld({ programs: {} });
    expect(await world.refusal(providerIn(world))).toMatchObject({
      code: 'tunnel_not_installed',
      message: 'devtunnel is not installed',
    });
  });
});

describe('unusable', () => {
  test.each([
    [{}, undefined],
    [{ loggedIn: false }, 'devtunnel is not logged in'],
  ])('%j', async (scenario, why) => {
    const world = await worldWith(scenario);
    expect(await providerIn(world).unusable?.(anySignal)).toBe(why);
  });

  test('not installed', async () => {
    const world = await createBinaryWorld({ programs: {} });
    expect(await providerIn(world).unusable?.(anySignal)).toBe('devtunnel is not installed');
  });
});
