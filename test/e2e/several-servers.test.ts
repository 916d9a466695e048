// One mcp-expose in front of the servers of a configuration file.
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { launchExpose, startBehindRelay, startExpose, startRelay, type Exposed } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { childrenWithMark } from '../harness/processes.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest, openSession, type RawSession } from '../harness/raw-mcp.ts';

function entry(name: string, ...more: string[]): object {
  const [command, ...args] = fixture(name, ...more);
  return { command, args };
}

const echo = entry('echo');
const counting = entry('progress');
const broken = entry('exit-at-start');

/** A file as people have it: with comments, and a comma too many. */
async function configFile(servers: Record<string, object>, member = 'mcpServers'): Promise<string> {
  const file = path.join(temporaryDirectory(), 'mcp.json');
  await writeFile(file, textOfConfig(servers, member));
  return file;
}

function textOfConfig(servers: Record<string, object>, member = 'mcpServers'): string {
  const entries = Object.entries(servers).map(
    ([name, server]) => `${JSON.stringify(name)}: ${JSON.stringify(server)},`,
  );
  return `{ // what we share\n  "${member}": { ${entries.join('\n')} } }\n`;
}

const openAt = ({ localUrl, token }: Exposed, name: string): Promise<RawSession> =>
  openSession(`${localUrl}/${name}/mcp`, token);

async function serverNameAt(exposed: Exposed, name: string): Promise<unknown> {
  const { initializeResult } = await openAt(exposed, name);
  return initializeResult['serverInfo'];
}

const pidOf = async (session: RawSession): Promise<string> =>
  textOf(await session.call('pid', 'tools/call', { name: 'pid', arguments: {} }));

const initialize = (base: string, at: string, token: string, more: [string, string][] = []) =>
  send(base, { method: 'POST', path: at, headers: clientHeaders(token, more), body: initializeRequest() });

describe('several servers', () => {
  test('are each at their name, and the ready event lists them', async () => {
    const exposed = await startExpose({ config: await configFile({ files: echo, counting }) });
    expect(exposed.localUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(exposed.ready.servers).toMatchObject([
      { name: 'files', path: '/files/mcp', era: 'legacy' },
      { name: 'counting', path: '/counting/mcp', tools: 1 },
    ]);
    expect(await serverNameAt(exposed, 'files')).toMatchObject({ name: 'fixture-echo' });
    expect(await serverNameAt(exposed, 'counting')).toMatchObject({ name: 'fixture-progress' });
  });

  test('whose names become one are all served, also the one with a whole command in "command"', async () => {
    const whole = { command: fixture('progress').join(' ') };
    const exposed = await startExpose({ config: await configFile({ 'A b': whole, 'a-b': echo, Mcp: echo }) });
    expect(exposed.ready.servers).toMatchObject([{ name: 'a-b-2', tools: 1 }, { name: 'a-b' }, { name: 'Mcp-2' }]);
    await exposed.waitForStderr(/the server "A b" is served as a-b-2/);
    expect(await serverNameAt(exposed, 'a-b-2')).toMatchObject({ name: 'fixture-progress' });
    expect(await serverNameAt(exposed, 'a-b')).toMatchObject({ name: 'fixture-echo' });
  });

  test('know nothing of each other: a session of one is none of the other', async () => {
    const exposed = await startExpose({ config: await configFile({ one: echo, two: echo }) });
    const session = await openAt(exposed, 'one');
    const foreign = await send(`${exposed.localUrl}/two/mcp`, {
      method: 'POST',
      headers: session.headers,
      body: JSON.stringify({ jsonrpc: '2.0', id: 5, method: 'tools/list' }),
    });
    expect(foreign.status).toBe(404);
    expect((await session.call(6, 'tools/list')).result).toBeDefined();
  });

  test('in the shape of VS Code, with variables, and only those that --server names', async () => {
    const file = await configFile(
      { echo: { type: 'stdio', command: '${env:THE_NODE}', args: fixture('echo').slice(1) }, other: broken },
      'servers',
    );
    const exposed = await startExpose({
      config: file,
      args: ['--server', 'echo'],
      env: { THE_NODE: process.execPath },
    });
    expect(exposed.ready.servers.map(({ name }) => name)).toEqual(['echo']);
    expect(new URL(exposed.localUrl).pathname).toBe('/mcp');
    const both = await Promise.all(['/mcp', '/echo/mcp'].map((at) => initialize(exposed.localUrl, at, exposed.token)));
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
  });

  test('a broken one does not stop the others, is told of, and answers with its reason', async () => {
    const exposed = await startExpose({ config: await configFile({ files: echo, broken }) });
    expect(exposed.ready.servers).toMatchObject([
      { name: 'files' },
      { name: 'broken', tools: null, error: 'the server exited with code 7 before it had answered' },
    ]);
    expect(await serverNameAt(exposed, 'files')).toMatchObject({ name: 'fixture-echo' });
    const reply = await initialize(exposed.localUrl, '/broken/mcp', exposed.token);
    expect(reply.json()).toMatchObject({ error: { data: { reason: 'upstream_exited', exitCode: 7 } } });
    const readiness = await send<unknown>(`${exposed.localUrl}/readyz`, { headers: clientHeaders(exposed.token) });
    expect([readiness.status, readiness.json()]).toMatchObject([
      503,
      {
        status: 'down',
        servers: [
          { name: 'files', status: 'ready' },
          { name: 'broken', status: 'down' },
        ],
      },
    ]);
  });

  test('that are all broken end the start with exit code 3', async () => {
    const running = launchExpose({ config: await configFile({ a: broken, b: broken }) });
    expect(await running.exited).toBe(3);
    expect(running.events()[0]).toMatchObject({ event: 'error', code: 'upstream_exited' });
  });

  test('an unknown server and an unknown host are refused by name, and reach nobody', async () => {
    const exposed = await startExpose({ config: await configFile({ files: echo, counting }), args: ['--warm', '0'] });
    await eventually(() => expect(childrenWithMark(exposed.mark)).toEqual([]));
    const unknown = await initialize(exposed.localUrl, '/nope/mcp', exposed.token);
    expect([unknown.status, unknown.json()]).toMatchObject([
      404,
      { error: { data: { reason: 'server_not_found', server: 'nope' } } },
    ]);
    const foreign = await initialize(exposed.localUrl, '/files/mcp', exposed.token, [['Host', 'evil.example']]);
    expect([foreign.status, foreign.json()]).toMatchObject([
      403,
      { error: { data: { reason: 'host_not_allowed', host: 'evil.example' } } },
    ]);
    expect((await initialize(exposed.localUrl, '/mcp', exposed.token)).status).toBe(404);
    expect(childrenWithMark(exposed.mark)).toEqual([]);
  });
});

describe('hosts', () => {
  test('--domain gives each server one of its own, and no other', async () => {
    const exposed = await startExpose({
      config: await configFile({ files: echo, counting }),
      args: ['--domain', 'mcp.test'],
    });
    const at = (host: string, where = '/mcp') => initialize(exposed.localUrl, where, exposed.token, [['Host', host]]);
    const { port } = new URL(exposed.localUrl);
    expect((await at('files.mcp.test')).json()).toMatchObject({ result: { serverInfo: { name: 'fixture-echo' } } });
    expect((await at(`counting.mcp.test:${port}`)).json()).toMatchObject({
      result: { serverInfo: { name: 'fixture-progress' } },
    });
    expect((await at('mcp.test', '/files/mcp')).status).toBe(200);
    expect((await at('files.mcp.test', '/counting/mcp')).status).toBe(404);
    expect((await at('nope.mcp.test')).status).toBe(403);
    expect((await at('files.mcp.test.evil.example')).status).toBe(403);
  });

  test('a relay with a domain leads to each of them', async () => {
    const relay = await startRelay({ args: ['--domain', 'relay.test'] });
    const exposed = await startBehindRelay(relay, {
      config: await configFile({ files: echo, counting }),
      args: ['--name', 'mine', '--resolve', `mine.relay.test:${relay.port}:127.0.0.1`],
    });
    expect(exposed.publicUrl).toBe(`http://mine.relay.test:${relay.port}`);
    const at = (host: string) => initialize(relay.url, '/mcp', exposed.token, [['Host', `${host}:${relay.port}`]]);
    expect((await at('counting.mine.relay.test')).json()).toMatchObject({
      result: { serverInfo: { name: 'fixture-progress' } },
    });
    const unknown = await at('nope.mine.relay.test');
    expect([unknown.status, unknown.json()]).toMatchObject([403, { error: { data: { reason: 'host_not_allowed' } } }]);
  });
});

describe('--watch', () => {
  test('a change touches only what it changes', async () => {
    const file = await configFile({ stays: entry('crash-on-call'), goes: echo, changes: echo });
    const exposed = await startExpose({ config: file, args: ['--watch'] });
    const [stays, goes, changes] = await Promise.all(['stays', 'goes', 'changes'].map((name) => openAt(exposed, name)));
    if (stays === undefined || goes === undefined || changes === undefined) throw new Error('three were opened');
    const pid = await pidOf(stays);

    const next = { stays: entry('crash-on-call'), changes: counting, comes: echo };
    // As editors save: whole, by a rename.
    await writeFile(`${file}.new`, textOfConfig(next));
    await rename(`${file}.new`, file);
    await exposed.waitForStdout(/"event":"servers"/);
    expect(exposed.events().find(({ event }) => event === 'servers')).toMatchObject({
      servers: [{ name: 'stays' }, { name: 'changes', tools: 1 }, { name: 'comes' }],
    });
    expect(await pidOf(stays)).toBe(pid);
    expect(await serverNameAt(exposed, 'changes')).toMatchObject({ name: 'fixture-progress' });
    expect(await serverNameAt(exposed, 'comes')).toMatchObject({ name: 'fixture-echo' });
    const list = { jsonrpc: '2.0', id: 2, method: 'tools/list' };
    expect([(await goes.post(list)).status, (await changes.post(list)).status]).toEqual([404, 404]);
  });

  test('what cannot be read changes nothing, and is told', async () => {
    const file = await configFile({ files: echo, more: echo });
    const exposed = await startExpose({ config: file, args: ['--watch'] });
    const session = await openAt(exposed, 'files');
    await writeFile(file, '{ "mcpServers": ');
    await exposed.waitForStderr(/the change of .*mcp\.json was not applied/);
    expect((await session.call(2, 'tools/list')).result).toBeDefined();
  });
});

test('a file that is no configuration ends the start with exit code 2', async () => {
  const file = path.join(temporaryDirectory(), 'mcp.json');
  await writeFile(file, '{"servers": {}}');
  const running = launchExpose({ config: file });
  expect(await running.exited).toBe(2);
  expect(running.events()[0]).toMatchObject({ event: 'error', code: 'config_unusable' });
});
