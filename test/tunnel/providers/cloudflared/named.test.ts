import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../../../harness/eventually.ts';
import { killIfAlive } from '../../../harness/processes.ts';
import { createCloudflaredWorld, createHeldClock, expectNothingLeft, flag } from './world.ts';

/** Account, tunnel and secret, as the dashboard writes them. */
const token = Buffer.from(JSON.stringify({ a: 'account', t: 'dd3d43a3', s: 'c2VjcmV0' })).toString('base64');
const env = { TUNNEL_TOKEN: token };
const rules = [
  { hostname: 'other.example.com', service: 'http://localhost:9' },
  { hostname: 'mcp.example.com', service: 'http://localhost:PORT' },
];

test('up: its URL is that of the rule that leads here, and requests come through it', async () => {
  const world = await createCloudflaredWorld({ env, scenario: { ingress: rules } });
  const { tunnel } = await world.open(world.provider);
  expect(tunnel.publicUrls).toEqual(['https://mcp.example.com']);
  expect((await world.ask('https://mcp.example.com')).status).toBe(200);
  expect(world.provider.capabilities).toMatchObject({ variant: 'named, with TUNNEL_TOKEN', getStreams: true });
});

test('an old version tells its rules as text', async () => {
  const world = await createCloudflaredWorld({ env, scenario: { ingress: rules, isOld: true } });
  const { tunnel } = await world.open(world.provider);
  expect(tunnel.publicUrls).toEqual(['https://mcp.example.com']);
});

test('the token is in its environment alone, not in its arguments, and no other variable of its flags is', async () => {
  const others = { TUNNEL_TRANSPORT_PROTOCOL: 'http2', TUNNEL_URL: 'http://127.0.0.1:9', MCP_EXPOSE_TOKEN: 'ours' };
  const world = await createCloudflaredWorld({ env: { ...env, ...others }, scenario: { ingress: rules } });
  await world.open(world.provider);
  const [call] = world.calls();
  expect(call?.env['TUNNEL_TOKEN']).toBe(token);
  expect(Object.keys(call?.env ?? {}).filter((name) => name in others)).toEqual([]);
  expect(call?.args.join(' ')).not.toContain(token);
});

test('what the user says that the world calls it stands, whatever its rules say', async () => {
  const publicUrl = 'https://said.example.com';
  const world = await createCloudflaredWorld({ env, publicUrl, scenario: { ingress: rules } });
  const { tunnel, statuses, status } = await world.open(world.provider);
  expect(tunnel.publicUrls).toEqual([publicUrl]);
  // When it has ended, all that it has said was read.
  process.kill(world.running().pid, 'SIGTERM');
  await status(({ state }) => state === 'up');
  expect(statuses.map(({ publicUrls }) => publicUrls)).toEqual([[publicUrl], [publicUrl]]);
});

test('where no rules come, what the user says leads here', async () => {
  const publicUrl = 'https://said.example.com';
  const world = await createCloudflaredWorld({ env, publicUrl, scenario: { host: 'said.example.com' } });
  mkdirSync(path.join(world.home, '.cloudflared'));
  const file = 'ingress:\n  - hostname: x.example.com\n    service: http://127.0.0.1:9\n';
  writeFileSync(path.join(world.home, '.cloudflared', 'config.yml'), file);
  const { tunnel } = await world.open(world.provider);
  expect(tunnel.publicUrls).toEqual([publicUrl]);
  expect((await world.ask(publicUrl)).status).toBe(200);
});

test('it dies: it comes back under the same name', async () => {
  const world = await createCloudflaredWorld({ env, scenario: { ingress: rules } });
  const { statuses, status } = await world.open(world.provider);
  killIfAlive(world.running().pid);
  await status(({ state }) => state === 'up');
  expect(statuses.map(({ state, publicUrls }) => [state, publicUrls])).toEqual([
    ['reconnecting', ['https://mcp.example.com']],
    ['up', ['https://mcp.example.com']],
  ]);
  expect((await world.ask('https://mcp.example.com')).status).toBe(200);
});

test('where UDP does not get through, HTTP/2 is asked for where `run` looks for it', async () => {
  const world = await createCloudflaredWorld({ env, scenario: { ingress: rules, quicFailures: 1000 } });
  await world.open(world.provider);
  expect(world.calls().map((call) => flag(call, '--protocol'))).toEqual(['auto', 'http2']);
});

test('a token that is none: refused for good', async () => {
  const world = await createCloudflaredWorld({ env: { TUNNEL_TOKEN: 'rubbish' } });
  expect(await world.refusal(world.provider)).toMatchObject({
    code: 'tunnel_rejected',
    message: "Cloudflare does not accept the tunnel's token: Provided Tunnel token is not valid.",
    hints: [expect.stringContaining('TUNNEL_TOKEN')],
  });
  expectNothingLeft(world);
});

test('a token of a tunnel that is not known, again and again: refused for good', async () => {
  const world = await createCloudflaredWorld({ env, scenario: { ingress: rules, refusals: 1000 } });
  const error = await world.refusal(world.provider);
  expect(error).toMatchObject({ code: 'tunnel_rejected', hints: [expect.stringContaining('TUNNEL_TOKEN')] });
  expect(error.message).toContain('Unauthorized: Invalid tunnel secret');
  expect(JSON.stringify([error.message, error.hints])).not.toContain(token);
  expectNothingLeft(world);
});

test('one that is not known at first comes up', async () => {
  const world = await createCloudflaredWorld({ env, scenario: { ingress: rules, refusals: 2 } });
  const { tunnel } = await world.open(world.provider);
  expect(tunnel.publicUrls).toEqual(['https://mcp.example.com']);
});

test('the tunnel is deleted while it is up: it is given up, and nothing is left', async () => {
  const world = await createCloudflaredWorld({ env, scenario: { ingress: rules } });
  const { tunnel, statuses, status } = await world.open(world.provider);
  world.setScenario({ ingress: rules, refusals: 1000 });
  killIfAlive(world.running().pid);
  await status(({ state }) => state === 'down');
  expect(statuses.map(({ state }) => state)).toEqual(['reconnecting', 'down']);
  expect(world.calls()).toHaveLength(2);
  expectNothingLeft(world);
  await tunnel.close();
});

test('nobody says what the world calls it: the user is asked to', async () => {
  const held = createHeldClock([30_000]);
  const world = await createCloudflaredWorld({ env, scenario: { host: 'x.example.com' }, clock: held.clock });
  const refused = world.refusal(world.provider);
  await eventually(() => expect(held.count(250)).toBeGreaterThan(0), 15_000);
  held.fire(30_000);
  const { message, hints } = await refused;
  expect([message, hints[0]]).toEqual([
    'cloudflared had no URL after 30 s',
    'give the public URL of the tunnel with --public-url',
  ]);
});
