// Servers that can run only once at a time, with the defaults: no second process before there is a second client.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { startBehindRelay, startExpose, startRelay, type Exposed } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { freePort } from '../harness/loopback-server.ts';
import { modernClient } from '../harness/modern-client.ts';
import { childrenWithMark, killIfAlive } from '../harness/processes.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
import { clientHeaders, exchange, initializeRequest, openSession, type RawSession } from '../harness/raw-mcp.ts';
import { connectWith } from '../harness/sdk-clients.ts';

const hint = 'this server seems to run only once: --isolation shared serves many clients with one process';

const newFile = (): string => path.join(temporaryDirectory(), 'file');
const pidOf = async (session: RawSession, id: number): Promise<number> =>
  Number(textOf(await session.call(id, 'tools/call', { name: 'pid', arguments: {} })));
const warnings = (exposed: Exposed): unknown[] =>
  exposed.events().flatMap(({ event, message }) => (event === 'warning' ? [message] : []));

/** What an `initialize` is answered with that comes to nothing. */
async function refusedInitialize({ url, token }: Exposed) {
  const reply = await exchange(url, { method: 'POST', headers: clientHeaders(token), body: initializeRequest() });
  return reply.next(({ id }) => id === 1);
}

const servers: [string, () => Promise<string[]>][] = [
  ['a fixed port', async () => fixture('fixed-port', String(await freePort()))],
  ['a lock file', async () => fixture('lock-file', newFile())],
  ['a habit of ending its predecessor', async () => fixture('kills-older', newFile())],
];

describe.each(servers)('a server with %s', (_what, command) => {
  test('serves one client after the other, and a client again whose process was killed', async () => {
    const exposed = await startExpose({ server: await command() });
    for (const version of ['v1', 'v2', 'v1 over HTTP+SSE'] as const) {
      // oxlint-disable no-await-in-loop -- one after the other is the point
      const client = await connectWith[version](exposed.url, exposed.token);
      const pid = await client.call('pid');
      expect(await client.call('pid')).toBe(pid);
      await client.terminate();
      await client.close();
      // oxlint-enable no-await-in-loop
    }
    const session = await openSession(exposed.url, exposed.token);
    const pid = await pidOf(session, 2);
    killIfAlive(pid);
    await eventually(async () => expect(await pidOf(session, 3)).not.toBe(pid));
    expect(warnings(exposed).join('\n')).not.toContain('only once');
  });

  test('serves two clients with --isolation shared', async () => {
    const exposed = await startExpose({ server: await command(), args: ['--isolation', 'shared'] });
    const [one, two] = await Promise.all([
      openSession(exposed.url, exposed.token),
      openSession(exposed.url, exposed.token),
    ]);
    const pid = await pidOf(one, 2);
    expect(await pidOf(two, 2)).toBe(pid);
    killIfAlive(pid);
    await eventually(async () => expect(await pidOf(one, 3)).not.toBe(pid));
    expect(await pidOf(two, 3)).toBe(await pidOf(one, 4));
  });
});

test.each(servers.slice(0, 2))('with %s, a second client is told why it is not served', async (_what, command) => {
  const exposed = await startExpose({ server: await command() });
  const first = await openSession(exposed.url, exposed.token);
  const pid = await pidOf(first, 2);
  const { error } = await refusedInitialize(exposed);
  expect(error).toMatchObject({ code: -32603, data: { reason: 'upstream_exited', exitCode: 1 } });
  expect(error?.message).toContain(`the server exited with code 1; ${hint}`);
  await refusedInitialize(exposed);
  expect(warnings(exposed).filter((message) => message === hint)).toHaveLength(1);
  await eventually(() => expect(exposed.stderr()).toContain(`mcp-expose: warning: ${hint}`));
  expect(await pidOf(first, 3)).toBe(pid);
  await first.end();
  const next = await openSession(exposed.url, exposed.token);
  expect(await pidOf(next, 2)).not.toBe(pid);
});

test.each(servers)('with %s, a modern client learns beside a session what the server is', async (_what, command) => {
  const exposed = await startExpose({ server: await command() });
  const first = await openSession(exposed.url, exposed.token);
  const pid = await pidOf(first, 2);
  const { result } = await modernClient(exposed.url, exposed.token).request(1, 'server/discover');
  expect(result).toMatchObject({ supportedVersions: ['2026-07-28'], capabilities: { tools: {} } });
  expect(await pidOf(first, 3)).toBe(pid);
  expect([childrenWithMark(exposed.mark).length, warnings(exposed)]).toEqual([1, []]);
});

test('where the second process ends the first one, the first client keeps being served', async () => {
  const exposed = await startExpose({ server: fixture('kills-older', newFile()) });
  const first = await openSession(exposed.url, exposed.token);
  const second = await openSession(exposed.url, exposed.token);
  await eventually(() => expect(warnings(exposed)).toContain(hint), 10_000);
  const pid = await eventually(() => pidOf(first, 3), 10_000);
  expect((await refusedInitialize(exposed)).error?.message).toContain(hint);
  const { error } = await second.call(4, 'tools/call', { name: 'pid', arguments: {} });
  expect(error?.message ?? '').toContain('only once');
  expect(await pidOf(first, 5)).toBe(pid);
});

/** How many run at once, at most, and whether each had ended before the next one began. */
function lifesIn(log: string): string[] {
  return readFileSync(log, 'utf8').trim().split('\n');
}

test('a server that ends slowly has always ended before the next one begins', async () => {
  const log = newFile();
  const relay = await startRelay();
  const exposed = await startBehindRelay(relay, { server: fixture('ends-slowly', log) });
  const first = await openSession(exposed.url, exposed.token);
  await pidOf(first, 2);
  await first.end();
  const second = await openSession(exposed.url, exposed.token);
  await pidOf(second, 2);
  await exposed.stop();
  const lives = lifesIn(log);
  expect(lives).toEqual(lives.map((_life, place) => (place % 2 === 0 ? 'start' : 'end')));
  // The one that says what it is, ours that looks through the relay, and one for each client.
  expect(lives).toHaveLength(8);
});

test('another process is kept ready once two have run side by side', async () => {
  const exposed = await startExpose({ server: fixture('echo') });
  const running = (): number => childrenWithMark(exposed.mark).length;
  await eventually(() => expect(running()).toBe(1));
  await openSession(exposed.url, exposed.token);
  expect(running()).toBe(1);
  await openSession(exposed.url, exposed.token);
  expect(running()).toBe(2);
  await eventually(() => expect(running()).toBe(3));
});

test('/readyz starts no second process beside one that may be alone', async () => {
  const log = newFile();
  const exposed = await startExpose({ server: fixture('ends-slowly', log), args: ['--restart', 'never'] });
  const first = await openSession(exposed.url, exposed.token);
  killIfAlive(await pidOf(first, 2));
  const readiness = new URL('/readyz', exposed.localUrl).href;
  await eventually(async () => expect((await exchange(readiness, {})).status).toBe(503));
  await eventually(async () => expect((await exchange(readiness, {})).status).toBe(200), 10_000);
  // What was killed could not say that it ended.
  const [, , , ...rest] = lifesIn(log);
  expect(rest.slice(0, 3)).toEqual(['start', 'end', 'start']);
});

test('a process that has died while it waited is never handed to a client', async () => {
  const exposed = await startExpose({ server: fixture('echo') });
  for (let round = 0; round < 5; round++) {
    // oxlint-disable no-await-in-loop -- one after the other is the point
    const [waiting] = await eventually(() => {
      const children = childrenWithMark(exposed.mark);
      expect(children).toHaveLength(1);
      return children;
    });
    // A client that comes at the same moment, before anybody can have noticed.
    killIfAlive(waiting?.pid ?? 0);
    const session = await openSession(exposed.url, exposed.token);
    expect(await pidOf(session, 2)).not.toBe(waiting?.pid);
    await session.end();
    // oxlint-enable no-await-in-loop
  }
});
