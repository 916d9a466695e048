// One name at a relay, served by several machines that have one key.
import { chmodSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { createRelay } from '../../src/tunnel/relay/server/relay.ts';
import { eventually } from '../harness/eventually.ts';
import {
  launchExpose,
  startBehindRelay,
  startRelay,
  type Exposed,
  type ExposeOptions,
  type Relay,
} from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { atEnd, type Lifetime } from '../harness/lifetime.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';
import { connectWith, type SdkClient, type SdkVersion } from '../harness/sdk-clients.ts';

const token = 'a-token-that-all-replicas-have-0123456789abcdef';

/** Each machine has a home of its own; the process of its server tells which machine it is. */
async function startReplicas(relayUrl: string, count: number, lifetime: Lifetime = 'test'): Promise<Exposed[]> {
  const key = path.join(temporaryDirectory(lifetime), 'relay.key');
  const options: ExposeOptions = {
    server: fixture('slow'),
    args: ['--replica', '--relay-key', key, '--name', 'files', '--isolation', 'shared'],
    env: { MCP_EXPOSE_TOKEN: token },
    lifetime,
  };
  const relay = { url: relayUrl };
  return await Promise.all(Array.from({ length: count }, () => startBehindRelay(relay, options)));
}

const machineOf = (client: SdkClient): Promise<string> => client.call('pid');

/** How many of them are at each machine. */
function spread(machines: readonly string[]): number[] {
  const counts = new Map<string, number>();
  for (const machine of machines) counts.set(machine, (counts.get(machine) ?? 0) + 1);
  return [...counts.values()];
}

describe('two replicas', () => {
  let url: string;
  let relay: Relay;
  let replicas: Exposed[];
  beforeAll(async () => {
    relay = await startRelay({ lifetime: 'file' });
    url = `${relay.url}/files/mcp`;
    replicas = await startReplicas(relay.url, 2, 'file');
  });

  test('have one URL, each finds itself there, and the relay says so', () => {
    expect(replicas.map(({ publicUrl }) => publicUrl)).toEqual([url, url]);
    expect(replicas.map((replica) => replica.stderr())).toEqual(['', '']);
    expect(relay.stderr()).toContain('one of 2 replicas');
  });

  test.each<SdkVersion>(['v1', 'v2', 'v1 over HTTP+SSE'])(
    'SDK client %s: new sessions go to both, and each stays where it began',
    async (version) => {
      const clients = await Promise.all(Array.from({ length: 20 }, () => connectWith[version](url, token)));
      const machines = await Promise.all(clients.map(machineOf));
      const counts = spread(machines);
      expect(counts).toHaveLength(2);
      expect(Math.min(...counts)).toBeGreaterThanOrEqual(5);
      const again = await Promise.all(
        clients.map((client) => Promise.all(Array.from({ length: 10 }, () => machineOf(client)))),
      );
      expect(again).toEqual(machines.map((machine) => Array.from({ length: 10 }, () => machine)));
      await Promise.all(clients.map((client) => client.terminate()));
    },
  );
});

const connectMany = async (url: string, count: number): Promise<SdkClient[]> =>
  await Promise.all(Array.from({ length: count }, () => connectWith.v2(url, token)));

/** Calls that wait for their answers at a machine. */
async function waitingAt(localUrl: string): Promise<unknown> {
  const session = await openSession(localUrl, token);
  return JSON.parse(textOf(await session.call(1, 'tools/call', { name: 'waiting' })));
}

test('a replica is killed: its calls fail with 502 and no others, and its clients work again at the other', async () => {
  const relay = await createRelay({ host: '127.0.0.1', port: 0, resumeMs: 2000 });
  atEnd('test', () => relay.close());
  const [one, other] = await startReplicas(relay.url, 2);
  if (one === undefined || other === undefined) throw new Error('there are two');
  const machineOfOne = await machineOf(await connectWith.v2(one.localUrl, token));
  const clients = await connectMany(one.url, 6);
  const machines = await Promise.all(clients.map(machineOf));
  const lost = clients.filter((_client, index) => machines[index] === machineOfOne);
  const kept = clients.filter((client) => !lost.includes(client));
  expect(Math.min(lost.length, kept.length)).toBeGreaterThan(0);

  const failures = lost.map((client) => client.call('wait', { ms: 50_000 }).catch(String));
  const answers = kept.map((client) => client.call('wait', { ms: 8000 }));
  await eventually(async () => expect(await waitingAt(one.localUrl)).toHaveLength(lost.length));
  await one.stop('SIGKILL');
  const [told, answered] = await Promise.all([Promise.all(failures), Promise.all(answers)]);
  // The body of a 502 of the relay.
  for (const failure of told) expect(failure).toMatch(/-32052.*was lost before it answered/);
  expect(new Set(answered)).toEqual(new Set(['waited 8000 ms']));

  // MCP 2025-11-25, session management: 404 tells a client to begin a new session.
  for (const result of await Promise.allSettled(lost.map(machineOf))) {
    expect(result).toMatchObject({ status: 'rejected', reason: { message: expect.stringContaining('session') } });
  }
  const again = await connectMany(one.url, lost.length);
  expect(spread(await Promise.all([...kept, ...again].map(machineOf)))).toEqual([clients.length]);
});

test('the relay starts again: the name is kept, and every session goes on at its machine', async () => {
  const state = path.join(temporaryDirectory(), 'names.json');
  const relay = await startRelay({ args: ['--state', state] });
  const [one] = await startReplicas(relay.url, 2);
  const clients = await connectMany(one?.url ?? '', 6);
  const machines = await Promise.all(clients.map(machineOf));
  expect(spread(machines)).toHaveLength(2);
  await relay.stop('SIGKILL');
  const again = await startRelay({ port: relay.port, args: ['--state', state] });
  const stranger = launchExpose({
    server: fixture('echo'),
    args: ['--tunnel', 'relay', '--relay', relay.url, '--name', 'files'],
  });
  expect(await stranger.exited).toBe(4);
  expect(stranger.stderr()).toContain('the name files belongs to another key');
  await again.waitForStderr(/one of 2 replicas/, 20_000);
  expect(await Promise.all(clients.map(machineOf))).toEqual(machines);
});

const startWithKey = (relay: Relay, key: string): Promise<Exposed> =>
  startBehindRelay(relay, { server: fixture('echo'), args: ['--relay-key', key] });

describe('--relay-key', () => {
  test('gives one URL on two machines; the second takes over, and the first says why', async () => {
    const relay = await startRelay();
    const key = path.join(temporaryDirectory(), 'relay.key');
    const one = await startWithKey(relay, key);
    expect(statSync(key).mode & 0o777).toBe(0o600);
    const other = await startWithKey(relay, key);
    expect(other.publicUrl).toBe(one.publicUrl);
    await one.waitForStderr(
      /another mcp-expose with the same key took this name over; with --replica, both can serve it/,
    );
    const session = await openSession(other.url, other.token);
    expect(textOf(await session.call(1, 'tools/call', { name: 'echo', arguments: { text: 'hi' } }))).toBe('hi');
  });

  test.each([
    ['that others can read', 0o644, /relay key .* can be read by other users/],
    ['without a key', 0o600, /relay key .* is not an Ed25519 private key/],
  ])('a file %s is refused with a sentence', async (_what, mode, sentence) => {
    const key = path.join(temporaryDirectory(), 'relay.key');
    writeFileSync(key, 'no key');
    chmodSync(key, mode);
    const run = launchExpose({
      server: fixture('echo'),
      args: ['--relay', 'http://127.0.0.1:1', '--relay-key', key],
    });
    expect(await run.exited).toBe(4);
    expect(run.stderr()).toMatch(sentence);
  });

  test('--replica without a token that the others know is a usage error', async () => {
    const run = launchExpose({
      server: fixture('echo'),
      args: ['--relay', 'http://127.0.0.1:1', '--relay-key', 'relay.key', '--replica'],
    });
    expect(await run.exited).toBe(2);
    expect(run.stderr()).toMatch(/--replica needs the token[^]*--token-file <file> or MCP_EXPOSE_TOKEN/);
  });
});
