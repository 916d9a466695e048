// What happens when a server ends by itself: its calls fail with the reason, its session lives on.
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { startExpose, type Exposed } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { childrenWithMark, killIfAlive } from '../harness/processes.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, openSession, type RawSession } from '../harness/raw-mcp.ts';

interface Readiness {
  status: string;
  sessions: number;
  children: number;
  restarts: number;
  servers: { status: string; reason?: string }[];
}

const readiness = async (exposed: Exposed): Promise<[number, Readiness]> => {
  const reply = await send<Readiness>(new URL('/readyz', exposed.localUrl).href, {
    headers: clientHeaders(exposed.token),
  });
  return [reply.status, reply.json()];
};

const callTool = (session: RawSession, id: number | string, name: string, args: object = {}) =>
  session.call(id, 'tools/call', { name, arguments: args });
const pidOf = async (session: RawSession, id: number | string): Promise<number> =>
  Number(textOf(await callTool(session, id, 'pid')));

describe('a server that ends by itself', () => {
  test('fails its calls at once, with how it ended and what it said last, and the session goes on', async () => {
    const exposed = await startExpose({ server: fixture('crash-on-call') });
    const session = await openSession(exposed.url, exposed.token);
    const before = await pidOf(session, 2);
    const failed = await callTool(session, 3, 'crash', { code: 9 });
    expect(failed.error).toMatchObject({
      code: -32603,
      data: { reason: 'upstream_exited', exitCode: 9, stderr: 'about to fall over\nlast words of the server' },
    });
    const after = await pidOf(session, 4);
    expect(after).not.toBe(before);
    expect((await callTool(session, 5, 'echo', { text: 'still here' })).result).toBeDefined();
    expect((await readiness(exposed))[1]).toMatchObject({ sessions: 1, restarts: 1 });
  });

  test('is told what its client had told it, and the client what may have changed', async () => {
    const exposed = await startExpose({ server: fixture('remembers') });
    const session = await openSession(exposed.url, exposed.token, { capabilities: { roots: { listChanged: true } } });
    const general = await session.listen();
    await session.call(2, 'logging/setLevel', { level: 'warning' });
    await session.call(3, 'resources/subscribe', { uri: 'test://a' });
    await session.call(4, 'resources/subscribe', { uri: 'test://b' });
    await session.call(5, 'resources/unsubscribe', { uri: 'test://a' });
    const pid = await pidOf(session, 6);
    killIfAlive(pid);
    await general.next(({ method }) => method === 'notifications/tools/list_changed');
    await general.next(({ method }) => method === 'notifications/resources/list_changed');
    const remembered: unknown = JSON.parse(textOf(await callTool(session, 7, 'remembered')));
    expect(remembered).toMatchObject({
      initialize: { capabilities: { roots: { listChanged: true } }, clientInfo: { name: 'raw-mcp' } },
      initialized: 1,
      level: 'warning',
      subscribed: ['test://b'],
    });
    expect(await pidOf(session, 8)).not.toBe(pid);
  });

  test('and again and again ends the session, with a message that says so', async () => {
    const exposed = await startExpose({ server: fixture('crash-on-call') });
    const session = await openSession(exposed.url, exposed.token);
    const crashes = [];
    for (let id = 1; id <= 5; id++) {
      // oxlint-disable-next-line no-await-in-loop -- each crash needs the server of the time after the last one
      crashes.push(await callTool(session, id, 'crash'));
    }
    expect(crashes.map(({ error }) => error?.code)).toEqual([-32603, -32603, -32603, -32603, -32603]);
    expect(crashes.at(-1)?.error?.message).toContain('5 times within a minute');
    await eventually(async () => {
      const gone = await session.post({ jsonrpc: '2.0', id: 9, method: 'tools/list' });
      expect(gone.status).toBe(404);
    });
    const next = await openSession(exposed.url, exposed.token);
    expect((await callTool(next, 2, 'echo', { text: 'a new session works' })).result).toBeDefined();
  });

  test('ends its session with --restart never', async () => {
    const exposed = await startExpose({ server: fixture('crash-on-call'), args: ['--restart', 'never'] });
    const session = await openSession(exposed.url, exposed.token);
    expect((await callTool(session, 2, 'crash')).error).toMatchObject({ data: { reason: 'upstream_exited' } });
    await eventually(async () => {
      expect((await session.post({ jsonrpc: '2.0', id: 3, method: 'tools/list' })).status).toBe(404);
    });
    expect((await readiness(exposed))[1]).toMatchObject({ sessions: 0, restarts: 0 });
  });

  test('harms no other session', async () => {
    const exposed = await startExpose({ server: fixture('crash-on-call') });
    const [one, two] = await Promise.all([
      openSession(exposed.url, exposed.token),
      openSession(exposed.url, exposed.token),
    ]);
    const pid = await pidOf(two, 2);
    await callTool(one, 2, 'crash');
    expect(await pidOf(two, 3)).toBe(pid);
  });
});

describe('/readyz', () => {
  test('is 503 while the server cannot be started, and 200 again when it can', async () => {
    const exposed = await startExpose({
      server: fixture('crash-on-call'),
      args: ['--restart', 'never', '--warm', '0'],
    });
    expect((await readiness(exposed))[0]).toBe(200);
    const session = await openSession(exposed.url, exposed.token);
    expect(await readiness(exposed)).toMatchObject([200, { status: 'ready', sessions: 1, children: 1 }]);
    await callTool(session, 2, 'crash');
    expect(await readiness(exposed)).toMatchObject([
      503,
      { status: 'down', servers: [{ status: 'down', reason: 'the server exited with code 1' }] },
    ]);
    await eventually(async () => expect((await readiness(exposed))[0]).toBe(200), 15_000);
    expect((await send(new URL('/healthz', exposed.localUrl).href)).status).toBe(200);
  });
});

const warm = (exposed: Exposed) => childrenWithMark(exposed.mark).map(({ pid }) => pid);

describe('servers that wait for sessions', () => {
  test.each([0, 1, 3])('--warm %i keeps as many, and the next session gets one', async (count) => {
    const exposed = await startExpose({ server: fixture('echo'), args: ['--warm', String(count)] });
    await eventually(() => expect(warm(exposed)).toHaveLength(count));
    const before = warm(exposed);
    const session = await openSession(exposed.url, exposed.token);
    const pid = await pidOf(session, 2);
    expect(before.includes(pid)).toBe(count > 0);
    await eventually(() => expect(warm(exposed)).toHaveLength(count + 1));
  });

  test('that die are replaced', async () => {
    const exposed = await startExpose({ server: fixture('echo'), args: ['--warm', '1'] });
    const [spare] = await eventually(() => {
      expect(warm(exposed)).toHaveLength(1);
      return warm(exposed);
    });
    killIfAlive(spare ?? 0);
    await eventually(() => {
      expect(warm(exposed)).toHaveLength(1);
      expect(warm(exposed)).not.toContain(spare);
    });
  });
});

test('a session without any message ends after --idle-timeout, though its stream is open', async () => {
  const exposed = await startExpose({ server: fixture('echo'), args: ['--idle-timeout', '400ms', '--warm', '0'] });
  const session = await openSession(exposed.url, exposed.token);
  const general = await session.listen();
  await general.ended;
  expect((await session.post({ jsonrpc: '2.0', id: 3, method: 'tools/list' })).status).toBe(404);
  await eventually(() => expect(childrenWithMark(exposed.mark)).toEqual([]));
});

test('a session that lives does not make /readyz say that others could begin', async () => {
  const command = path.join(temporaryDirectory(), 'server');
  const [node = '', script = ''] = fixture('echo');
  await writeFile(command, `#!/bin/sh\nexec "${node}" "${script}"\n`, { mode: 0o755 });
  const exposed = await startExpose({ server: [command], args: ['--warm', '0'] });
  const lives = await openSession(exposed.url, exposed.token);
  await rename(command, `${command}.aside`);
  await expect(openSession(exposed.url, exposed.token)).rejects.toThrow('initialize');
  expect((await readiness(exposed))[0]).toBe(503);
  expect((await lives.call(2, 'ping')).result).toEqual({});
  expect((await readiness(exposed))[0]).toBe(503);
});

test.each(['session', 'shared'])(
  'a late answer to what a dead server asked answers nothing of the next (%s)',
  async (isolation) => {
    const exposed = await startExpose({ server: fixture('asks'), args: ['--warm', '0', '--isolation', isolation] });
    const session = await openSession(exposed.url, exposed.token, { capabilities: { sampling: {} } });
    const answer = (id: unknown, text: string) =>
      session.post({ jsonrpc: '2.0', id, result: { role: 'assistant', model: 'm', content: { type: 'text', text } } });
    const sample = (id: number) =>
      session.post({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'ask-sampling', arguments: {} } });
    const lost = await sample(2);
    const old = await lost.next(({ method }) => method === 'sampling/createMessage');
    const child = await eventually(() => {
      const [found] = childrenWithMark(exposed.mark);
      if (found === undefined) throw new Error('no server');
      return found;
    });
    killIfAlive(child.pid);
    await lost.next(({ id, method }) => id === 2 && method === undefined);
    const call = await sample(3);
    const ask = await call.next(({ method }) => method === 'sampling/createMessage');
    await answer(old.id, 'yes, the old one');
    await answer(ask.id, 'no, not the new one');
    const result = await call.next(({ id, method }) => id === 3 && method === undefined);
    expect(textOf(result)).toContain('no, not the new one');
  },
);
