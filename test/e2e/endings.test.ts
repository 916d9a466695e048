// However it ends, nothing of it is left running.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually, within } from '../harness/eventually.ts';
import { type Exposed, launchExpose, startBehindRelay, startExpose, startRelay } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { atEnd, type Lifetime } from '../harness/lifetime.ts';
import { parseJson } from '../harness/parse-json.ts';
import {
  childMark,
  childrenWithMark,
  descendants,
  isAlive,
  killIfAlive,
  type ProcessInfo,
  processInfo,
  processesWithMark,
} from '../harness/processes.ts';
import { bin, fixture } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { openSession, type RawSession } from '../harness/raw-mcp.ts';
import { connectWith } from '../harness/sdk-clients.ts';
import { settledChildren } from '../harness/settled-children.ts';

/** Two sessions, so that there are children that serve somebody; returns all processes that belong to the run. */
async function occupy(exposed: Exposed): Promise<ProcessInfo[]> {
  await Promise.all([openSession(exposed.url, exposed.token), openSession(exposed.url, exposed.token)]);
  expect(childrenWithMark(exposed.mark).length).toBeGreaterThanOrEqual(2);
  return descendants(exposed.pid);
}

/** Nothing with the mark and none of the former descendants, whatever became of their parents. */
function expectNothingLeft(exposed: { mark: string }, before: ProcessInfo[] = []): void {
  expect(processesWithMark(exposed.mark).map(({ command }) => command)).toEqual([]);
  expect(before.filter((info) => isAlive(info)).map(({ command }) => command)).toEqual([]);
}

/** The child of a session and its children. */
async function familyOf(exposed: Exposed, session: RawSession): Promise<ProcessInfo[]> {
  const { result } = await session.call('tools', 'tools/list');
  const name = JSON.stringify(result).includes('"pids"') ? 'pids' : 'pid';
  const answer = await session.call(1, 'tools/call', { name, arguments: {} });
  const pids = [parseJson<number | number[]>(textOf(answer))].flat();
  const family = childrenWithMark(exposed.mark).filter(({ pid }) => pids.includes(pid));
  expect(family).toHaveLength(pids.length);
  return family;
}

/** Said to run side by side, so that no start waits for the end of the process that has told what the server is. */
const exposeServer = (server: string[], lifetime: Lifetime = 'test'): Promise<Exposed> =>
  startExpose({ server, args: ['--warm', '1'], lifetime });

const servers: [string, string[]][] = [
  ['a server that ends with its input', fixture('echo')],
  ['a server that ignores the end of its input', fixture('ignores-end-of-input')],
  ['a server that ignores SIGTERM too', fixture('ignores-sigterm')],
  ['a server with stubborn grandchildren', fixture('spawns-grandchild')],
];

async function endsBy(server: string[], signal: NodeJS.Signals, code: number): Promise<void> {
  const exposed = await exposeServer(server, 'file');
  const before = await occupy(exposed);
  expect(await exposed.stop(signal)).toBe(code);
  expectNothingLeft(exposed, before);
}

async function endsByTwoSignals(server: string[]): Promise<void> {
  const exposed = await exposeServer(server, 'file');
  const before = await occupy(exposed);
  killIfAlive(exposed.pid, 'SIGINT');
  expect(await exposed.stop('SIGINT')).toBe(130);
  await eventually(() => expectNothingLeft(exposed, before), 2000);
}

async function endsByKill(server: string[]): Promise<void> {
  const exposed = await exposeServer(server, 'file');
  // A server that is just being started when SIGKILL comes is not guarded yet: nobody may be on the way, neither in
  // place of the spare that a session takes, nor beside the one that said at the start what it is.
  await settledChildren(exposed);
  await occupy(exposed);
  await settledChildren(exposed);
  const before = descendants(exposed.pid);
  expect(await exposed.stop('SIGKILL')).toBe(137);
  await eventually(() => expectNothingLeft(exposed, before), 8000);
}

async function endsWithSession(server: string[]): Promise<void> {
  const exposed = await exposeServer(server, 'file');
  const session = await openSession(exposed.url, exposed.token);
  const family = await familyOf(exposed, session);
  await session.end();
  await eventually(() => expect(family.filter((info) => isAlive(info))).toEqual([]), 8000);
}

const endings: [string, (server: string[]) => Promise<void>][] = [
  ['SIGINT: exit code 130, and it is all gone when mcp-expose is', (server) => endsBy(server, 'SIGINT', 130)],
  ['SIGTERM: exit code 143, and it is all gone when mcp-expose is', (server) => endsBy(server, 'SIGTERM', 143)],
  ['a second Ctrl+C forces the end, and still nothing is left', endsByTwoSignals],
  ['SIGKILL of mcp-expose: its children and its watchdog are gone soon after', endsByKill],
  ['DELETE ends the whole tree of the session', endsWithSession],
];

describe.each(servers)('%s', (_what, server) => {
  // All at once: each of them waits for grace periods.
  let runs: Map<string, Promise<void>>;
  beforeAll(async () => {
    runs = new Map(endings.map(([what, run]) => [what, run(server)]));
    await Promise.allSettled(runs.values());
  });

  test.each(endings)('%s', async (what) => {
    await expect(runs.get(what)).resolves.toBeUndefined();
  });
});

test('a server that ends with its input is gone within a second after SIGKILL of mcp-expose', async () => {
  const exposed = await startExpose({ server: fixture('echo') });
  await occupy(exposed);
  await exposed.stop('SIGKILL');
  await eventually(() => expect(childrenWithMark(exposed.mark)).toEqual([]), 1000);
});

test('a closed terminal (SIGHUP) ends everything', async () => {
  const exposed = await exposeServer(fixture('ignores-sigterm'));
  const before = await occupy(exposed);
  expect(await exposed.stop('SIGHUP')).toBe(129);
  expectNothingLeft(exposed, before);
});

test('the tree of a server that was started by a shell goes as a whole', async () => {
  const [node = '', script = ''] = fixture('ignores-sigterm');
  const exposed = await exposeServer(['sh', '-c', `"${node}" "${script}"; true`]);
  const before = await occupy(exposed);
  expect(before.length).toBeGreaterThanOrEqual(4);
  await exposed.stop('SIGTERM');
  expectNothingLeft(exposed, before);
});

test('a server that crashes leaves none of its own children behind', async () => {
  const exposed = await exposeServer(fixture('spawns-grandchild'));
  const session = await openSession(exposed.url, exposed.token);
  const family = await familyOf(exposed, session);
  expect(family).toHaveLength(3);
  const child = family.find(({ command }) => command.some((word) => word.endsWith('spawns-grandchild.js')));
  killIfAlive(child?.pid ?? 0);
  await eventually(() => expect(family.filter((info) => isAlive(info))).toEqual([]), 8000);
});

test('the first Ctrl+C lets a call finish that is in progress', async () => {
  const exposed = await startExpose({ server: fixture('slow') });
  const session = await openSession(exposed.url, exposed.token);
  const call = await session.post({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'wait', arguments: { ms: 500 }, _meta: { progressToken: 1 } },
  });
  await call.next(({ method }) => method === 'notifications/progress');
  const ended = exposed.stop('SIGINT');
  expect(textOf(await call.next(({ id }) => id === 1))).toBe('waited 500 ms');
  expect(await ended).toBe(130);
});

/** A call that goes on for longer than anybody waits, and what it is answered with. */
async function endlessCall(session: RawSession, progressToken?: number) {
  const meta = progressToken === undefined ? {} : { _meta: { progressToken } };
  const call = await session.post({
    jsonrpc: '2.0',
    id: 7,
    method: 'tools/call',
    params: { name: 'wait', arguments: { ms: 60_000 }, ...meta },
  });
  return call.next(({ id }) => id === 7);
}

describe.each<[string, (args: string[]) => Promise<Exposed>]>([
  ['here', (args) => startExpose({ server: fixture('slow'), args })],
  ['behind a relay', async (args) => startBehindRelay(await startRelay(), { server: fixture('slow'), args })],
])('a second Ctrl+C, %s,', (_where, start) => {
  test.each(['session', 'shared'])(
    'tells clients that wait that it is over, with --isolation %s',
    async (isolation) => {
      const exposed = await start(['--isolation', isolation]);
      const session = await openSession(exposed.url, exposed.token);
      const other = await openSession(exposed.url, exposed.token);
      const old = await connectWith['v1 over HTTP+SSE'](exposed.url, exposed.token);
      const answers = [endlessCall(session), endlessCall(other, 1)];
      const oldAnswer = old.call('wait', { ms: 60_000 }).catch((error: unknown) => String(error));
      // All of them have begun.
      await eventually(async () => {
        const lists = await Promise.all([
          ...[session, other].map(async (each) => textOf(await each.call(8, 'tools/call', { name: 'waiting' }))),
          old.call('waiting'),
        ]);
        const count = isolation === 'shared' ? 3 : 1;
        expect(lists.map((list) => parseJson<unknown[]>(list).length)).toEqual([count, count, count]);
      });
      killIfAlive(exposed.pid, 'SIGINT');
      // Two at once would be one to the system.
      const health = new URL('/healthz', exposed.localUrl).href;
      await eventually(() => expect(send(health)).rejects.toThrow('ECONNREFUSED'));
      const ended = exposed.stop('SIGINT');
      const told = { code: -32603, message: 'the server is shutting down', data: { reason: 'shutting_down' } };
      expect((await Promise.all(answers)).map(({ error }) => error)).toEqual([told, told]);
      expect(await oldAnswer).toContain('the server is shutting down');
      expect(await ended).toBe(130);
      const lastLine = exposed.stderr().trimEnd().split('\n').at(-1);
      expect(lastLine).toBe(
        'mcp-expose: stopping at once: waiting clients get the error that the server is shutting down',
      );
      expectNothingLeft(exposed);
    },
  );
});

test('a relay that is told twice to end tells clients that wait for an answer', async () => {
  const relay = await startRelay();
  const exposed = await startBehindRelay(relay, { server: fixture('slow') });
  const session = await openSession(exposed.url, exposed.token);
  const answer = session.post({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'wait', arguments: {} } });
  await eventually(async () => expect((await session.call(8, 'tools/list')).result).toBeDefined());
  const ended = relay.stop('SIGINT');
  await eventually(() => expect(fetch(`${relay.url}/healthz`)).rejects.toThrow('fetch failed'));
  killIfAlive(relay.pid, 'SIGINT');
  expect(await ended).toBe(130);
  const { status, messages } = await answer;
  expect(status).toBe(502);
  expect(messages).toMatchObject([{ error: { code: -32052 } }]);
});

test('Ctrl+C while the server is still starting ends both', async () => {
  const exposed = launchExpose({ server: fixture('silent') });
  await eventually(() => expect(childrenWithMark(exposed.mark)).not.toEqual([]));
  expect(await exposed.stop('SIGINT')).toBe(130);
  expectNothingLeft(exposed);
});

test('the death of the program that started it and reads what it prints ends it', async () => {
  const mark = randomUUID();
  const args = [bin, '--json', '--tunnel', 'none', '--env', `${childMark}=${mark}`, '--', ...fixture('echo')];
  // Starts mcp-expose with pipes, tells its process id once it is ready, and waits to be killed.
  const script = `
    const child = require('node:child_process').spawn(process.execPath, ${JSON.stringify(args)}, { stdio: 'pipe' });
    child.stdout.once('data', () => console.log(child.pid));
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  atEnd('test', () => killIfAlive(parent.pid ?? process.pid));
  const printed = new Promise<string>((resolve) => {
    parent.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString()));
  });
  const pid = Number(await within(20_000, 'mcp-expose to be ready', printed));
  atEnd('test', () => killIfAlive(pid));
  const started = processInfo(pid);
  if (started === undefined) throw new Error('mcp-expose is not there');
  await eventually(() => expect(childrenWithMark(mark)).not.toEqual([]));
  parent.kill('SIGKILL');
  await eventually(() => expect([isAlive(started), childrenWithMark(mark)]).toEqual([false, []]), 15_000);
});

test('with --json the last line says that it closed', async () => {
  const exposed = await startExpose({ server: fixture('echo') });
  await exposed.stop('SIGTERM');
  await exposed.exited;
  expect(exposed.events().at(-1)).toMatchObject({ event: 'closed' });
});

test('through the relay: both ends stop cleanly', async () => {
  const relay = await startRelay();
  const exposed = await startBehindRelay(relay, { server: fixture('ignores-sigterm'), args: ['--warm', '1'] });
  const before = await occupy(exposed);
  expect(await exposed.stop('SIGTERM')).toBe(143);
  expectNothingLeft(exposed, before);
  expect(await relay.stop('SIGINT')).toBe(130);
  expectNothingLeft(relay);
});
