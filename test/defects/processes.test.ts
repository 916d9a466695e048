// Known faults of other bridges that are attacked here:
// - supergateway 4.0.0: a process for each POST (13 for six calls at once); a spawn that fails ends every session (its
//   issue 177); a server that dies while a session opens leaves the request hanging (its issue 139); a port in use leaves
//   the server running
// - mcp-proxy 6.7.19: a port in use leaves the server running
// - bridges whose Python servers hold their output back until a buffer is full
import { chmodSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { launchExpose, startExpose, type Exposed } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { listenOnLoopback } from '../harness/loopback-server.ts';
import { parseJson } from '../harness/parse-json.ts';
import { childrenWithMark } from '../harness/processes.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest, openSession, type RawSession } from '../harness/raw-mcp.ts';
import { openLegacySession } from './legacy-client.ts';

const pidOf = async (session: RawSession, id: number): Promise<string> =>
  textOf(await session.call(id, 'tools/call', { name: 'pid', arguments: {} }));
const readyz = (exposed: Exposed) =>
  send<{ status: string; servers: { status: string }[] }>(new URL('/readyz', exposed.localUrl).href, {
    headers: clientHeaders(exposed.token),
  });

test('six calls at once are one process', async () => {
  const exposed = await startExpose({ server: fixture('echo'), args: ['--tunnel', 'none', '--warm', '0'] });
  // The one that said at the start what it is has to be gone.
  await eventually(() => expect(childrenWithMark(exposed.mark)).toEqual([]));
  const session = await openSession(exposed.url, exposed.token);
  const [own] = childrenWithMark(exposed.mark);
  const pids = await Promise.all([2, 3, 4, 5, 6, 7].map((id) => pidOf(session, id)));
  expect(new Set(pids)).toEqual(new Set([String(own?.pid)]));
  expect(childrenWithMark(exposed.mark).map(({ pid }) => pid)).toEqual([own?.pid]);
});

/** A server that is started by a file of its own, which can be taken away and put back. */
function startable(): { command: string; remove(): void; restore(): void } {
  const directory = temporaryDirectory();
  const command = path.join(directory, 'server');
  const [node = '', script = ''] = fixture('echo');
  writeFileSync(command, `#!/bin/sh\nexec "${node}" "${script}"\n`);
  chmodSync(command, 0o755);
  const aside = `${command}.aside`;
  return { command, remove: () => renameSync(command, aside), restore: () => renameSync(aside, command) };
}

describe('a server that can no longer be started', () => {
  test.each([
    ['session', { id: 1, error: { code: -32603 } }],
    ['shared', { id: 1, result: {} }], // runs already
  ])('fails the sessions that need it and no other, with --isolation %s', async (isolation, answer) => {
    const { command, remove, restore } = startable();
    const exposed = await startExpose({
      server: [command],
      args: ['--tunnel', 'none', '--warm', '0', '--isolation', isolation],
    });
    const lives = await openSession(exposed.url, exposed.token);
    const pid = await pidOf(lives, 2);
    remove();
    const opening = () =>
      send(exposed.url, { method: 'POST', headers: clientHeaders(exposed.token), body: initializeRequest() });
    for (const reply of await Promise.all([opening(), opening(), opening()])) {
      expect(reply.json()).toMatchObject(answer);
      expect('mcp-session-id' in reply.headers).toBe('result' in answer);
    }
    expect(await pidOf(lives, 3)).toBe(pid);
    restore();
    const next = await openSession(exposed.url, exposed.token);
    expect(await pidOf(next, 2)).not.toBe('');
    expect(await pidOf(lives, 4)).toBe(pid);
  });

  test('is told of by /readyz for as long as that lasts, while /healthz speaks of mcp-expose alone', async () => {
    const { command, remove, restore } = startable();
    const exposed = await startExpose({ server: [command], args: ['--tunnel', 'none', '--warm', '0'] });
    expect((await readyz(exposed)).status).toBe(200);
    remove();
    await expect(openSession(exposed.url, exposed.token)).rejects.toThrow('initialize');
    expect(await readyz(exposed).then(({ status, json }) => [status, json().status])).toEqual([503, 'down']);
    expect((await send(new URL('/healthz', exposed.localUrl).href)).status).toBe(200);
    restore();
    await openSession(exposed.url, exposed.token);
    expect((await readyz(exposed)).status).toBe(200);
  });
});

/** Answers until there is a file that makes it die at the start, with its reason. */
const mortal = (file: string): string[] => {
  const [node = '', script = ''] = fixture('echo');
  const line = `if [ -e "${file}" ]; then echo "no database today" >&2; exit 7; fi; exec "${node}" "${script}"`;
  return ['sh', '-c', line];
};

describe('a server that dies while a session opens', () => {
  test('fails that request at once, with how it ended and its last words, on both transports', async () => {
    const file = path.join(temporaryDirectory(), 'die');
    const exposed = await startExpose({ server: mortal(file), args: ['--tunnel', 'none', '--warm', '0'] });
    const lives = await openSession(exposed.url, exposed.token);
    writeFileSync(file, '');
    const startedAt = performance.now();
    const reply = await send(exposed.url, {
      method: 'POST',
      headers: clientHeaders(exposed.token),
      body: initializeRequest(),
    });
    expect(reply.json()).toMatchObject({
      id: 1,
      error: { code: -32603, data: { exitCode: 7, stderr: 'no database today' } },
    });
    await expect(openLegacySession(exposed.url, exposed.token)).resolves.toMatchObject({
      messages: [{ id: 1, error: { code: -32603, data: { exitCode: 7 } } }],
    });
    expect(performance.now() - startedAt).toBeLessThan(5000);
    expect(await lives.call(2, 'tools/list')).toHaveProperty('result');
    rmSync(file);
    expect(await (await openSession(exposed.url, exposed.token)).call(2, 'tools/list')).toHaveProperty('result');
  });
});

describe('what cannot be served', () => {
  test('a port in use is found before the server is started', async () => {
    const port = await listenOnLoopback(net.createServer());
    const started = path.join(temporaryDirectory(), 'started');
    const exposed = launchExpose({
      server: ['sh', '-c', `: > "${started}"; exec sleep 60`],
      args: ['--tunnel', 'none', '--port', String(port)],
    });
    expect(await exposed.exited).toBe(1);
    expect(existsSync(started)).toBe(false);
    expect(childrenWithMark(exposed.mark)).toEqual([]);
  });

  test('a command that does not exist is never reported as healthy', async () => {
    const exposed = launchExpose({ server: ['no-such-command-anywhere'], args: ['--tunnel', 'none'] });
    expect(await exposed.exited).toBe(3);
    expect(exposed.stdout()).not.toContain('ready');
  });
});

/** What a server gets to see. */
const environment = async (args: string[]) => {
  const exposed = await startExpose({ server: fixture('environment'), args: ['--tunnel', 'none', ...args] });
  const session = await openSession(exposed.url, exposed.token);
  const answer = await session.call(2, 'tools/call', { name: 'env', arguments: {} });
  return parseJson<Record<string, string>>(textOf(answer));
};

test('a server written in Python holds no line back, unless it was told to', async () => {
  expect((await environment([]))['PYTHONUNBUFFERED']).toBe('1');
  expect((await environment(['--env', 'PYTHONUNBUFFERED=']))['PYTHONUNBUFFERED']).toBe('');
});
