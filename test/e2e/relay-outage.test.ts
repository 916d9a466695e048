// The relay goes away and comes back; the URL that I gave to my colleague stays the same and works again.
import { randomUUID } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { eventually } from '../harness/eventually.ts';
import { launchExpose, redialMs, type Relay, startBehindRelay, startExpose, startRelay } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { atEnd } from '../harness/lifetime.ts';
import { listenOnLoopback } from '../harness/loopback-server.ts';
import { fixture, startProgram, temporaryDirectory } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest, openSession } from '../harness/raw-mcp.ts';

const versionReject = JSON.stringify({ type: 'reject', code: 'version', message: 'too old', retryable: false });
const echo = { name: 'echo', arguments: { text: 'hello' } };

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'after %s and a new start of the relay the same public URL works without a restart of mcp-expose',
  { timeout: 2 * redialMs },
  async (signal) => {
    const relay = await startRelay();
    const exposed = await startBehindRelay(relay, { server: fixture('echo') });
    await openSession(exposed.url, exposed.token);
    await relay.stop(signal);
    await startRelay({ port: relay.port, home: relay.home });
    const session = await eventually(() => openSession(exposed.url, exposed.token), redialMs);
    expect(textOf(await session.call(1, 'tools/call', echo))).toBe('hello');
    expect(exposed.process.exitCode).toBeNull();
    const states = exposed.events().flatMap(({ event, state }) => (event === 'tunnel' ? [state] : []));
    expect(states.at(-1)).toBe('up');
    expect(states).toContain('reconnecting');
  },
);

test('the local URL works while the relay is away', async () => {
  const relay = await startRelay();
  const exposed = await startBehindRelay(relay, { server: fixture('echo') });
  await relay.stop();
  const session = await openSession(exposed.localUrl, exposed.token);
  expect(textOf(await session.call(1, 'tools/call', echo))).toBe('hello');
});

test('the public URL is the same after a restart of mcp-expose by the same user, and another for another', async () => {
  const relay = await startRelay();
  const home = temporaryDirectory();
  const first = await startBehindRelay(relay, { server: fixture('echo'), home });
  await first.stop();
  const again = await startBehindRelay(relay, { server: fixture('echo'), home });
  expect(again.publicUrl).toBe(first.publicUrl);
  const other = await startBehindRelay(relay, { server: fixture('echo') });
  expect(other.publicUrl).not.toBe(first.publicUrl);
});

test('what is shared decides the URL, not the order of starting; the same twice at once works under two', async () => {
  const relay = await startRelay();
  const home = temporaryDirectory();
  const start = (name: string) => startBehindRelay(relay, { server: fixture(name), home });
  const [files, docs] = [await start('echo'), await start('slow')];
  await Promise.all([files.stop(), docs.stop()]);
  const again = [await start('slow'), await start('echo'), await start('echo')];
  expect(again.slice(0, 2).map(({ publicUrl }) => publicUrl)).toEqual([docs.publicUrl, files.publicUrl]);
  expect(new Set(again.map(({ publicUrl }) => publicUrl)).size).toBe(3);
  for (const { url, token } of again) {
    // oxlint-disable-next-line no-await-in-loop -- the machine is not alone
    expect(await openSession(url, token)).toHaveProperty('id');
  }
});

test('a wished name is in the URL; a name that is taken by another key is refused with exit code 4', async () => {
  const relay = await startRelay();
  const exposed = await startBehindRelay(relay, { server: fixture('echo'), args: ['--name', 'my-files'] });
  expect(exposed.publicUrl).toBe(`${relay.url}/my-files/mcp`);
  const duplicateKey = launchExpose({
    server: fixture('echo'),
    args: ['--tunnel', 'relay', '--relay', relay.url, '--name', 'my-files'],
  });
  expect(await duplicateKey.exited).toBe(4);
  expect(duplicateKey.stderr()).toMatch(/my-files.*taken|taken.*my-files/);
  expect(await openSession(exposed.url, exposed.token)).toHaveProperty('id');
});

test('the key of the relay name is private to the user', async () => {
  const relay = await startRelay();
  const home = temporaryDirectory();
  await startBehindRelay(relay, { server: fixture('echo'), home });
  const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    expect(statSync(path.join(file.parentPath, file.name)).mode & 0o077).toBe(0);
  }
});

describe('at the relay', () => {
  let relay: Relay;
  beforeAll(async () => {
    relay = await startRelay({ lifetime: 'file' });
  });

  test('an unknown name: 404, shaped as JSON-RPC', async () => {
    const reply = await send(`${relay.url}/nobody-here/mcp`, {
      method: 'POST',
      headers: clientHeaders('x'),
      body: initializeRequest(),
    });
    expect(reply.status).toBe(404);
    expect(reply.json()).toMatchObject({ jsonrpc: '2.0', error: { message: expect.stringContaining('nobody-here') } });
  });

  test.each(['__proto__', 'constructor', '..', '%2e%2e', 'a'.repeat(300), '_mcp-expose'])(
    'the name %.20s is nobody’s',
    async (name) => {
      const reply = await send(relay.url, { path: `/${name}/mcp`, headers: clientHeaders('x') });
      expect([400, 404]).toContain(reply.status);
    },
  );

  test('a known name that is offline: 503 with Retry-After, shaped as JSON-RPC', async () => {
    const exposed = await startBehindRelay(relay, { server: fixture('echo') });
    await exposed.stop('SIGKILL');
    await eventually(async () => {
      const reply = await send(exposed.url, { headers: clientHeaders(exposed.token) });
      expect(reply.status).toBe(503);
      expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
      expect(reply.json()).toMatchObject({ jsonrpc: '2.0', error: { message: expect.any(String) } });
    });
  });

  // The relay waits 30 s for an agent that may only have lost its connection.
  test('a call in progress when the agent dies ends with an error, not in silence', { timeout: 90_000 }, async () => {
    const exposed = await startBehindRelay(relay, { server: fixture('slow') });
    const session = await openSession(exposed.url, exposed.token);
    const call = await session.post({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'wait', arguments: {}, _meta: { progressToken: 1 } },
    });
    await call.next(({ method }) => method === 'notifications/progress');
    await exposed.stop('SIGKILL');
    expect((await call.ended).some(({ result }) => result)).toBe(false);
  });

  test('a client that hangs up is noticed on the other side: its call is cancelled or its stream closed', async () => {
    const exposed = await startBehindRelay(relay, { server: fixture('echo') });
    const session = await openSession(exposed.url, exposed.token);
    // One GET stream per session: a second one can only be opened once the first is known to be gone, or replaces it.
    const first = await session.listen();
    first.abort();
    await eventually(async () => {
      const second = await session.listen();
      expect(second.status).toBe(200);
      second.abort();
    });
  });
});

describe('a relay that cannot be used', () => {
  const talks: [string, (socket: WebSocket) => void, RegExp][] = [
    ['says nothing', () => {}, /./],
    ['speaks something else at once', (socket) => socket.send('hello, this is a chat'), /./],
    ['sends bytes first', (socket) => socket.send(Buffer.alloc(64)), /./],
    ['hangs up at once', (socket) => socket.close(1000), /./],
    ['rejects the version', (socket) => socket.once('message', () => socket.send(versionReject)), /too old/],
    ['rejects it before it has heard anything', (socket) => socket.send(versionReject), /too old/],
    ['answers with a message that is far too long', (socket) => socket.send('x'.repeat(5_000_000)), /./],
  ];
  // All at once, because a relay that says nothing has to be waited for.
  test('WebSocket servers that are no relays: each is named; mcp-expose neither crashes nor serves', async () => {
    const runs = talks.map(async ([what, talk, said]) => {
      const server = http.createServer();
      const sockets = new WebSocketServer({ server, handleProtocols: (wished) => [...wished][0] ?? false });
      sockets.on('connection', talk);
      atEnd('test', () => sockets.clients.forEach((socket) => socket.terminate()));
      const port = await listenOnLoopback(server);
      const run = launchExpose({
        server: fixture('echo'),
        args: ['--tunnel', 'relay', '--relay', `http://127.0.0.1:${port}`],
      });
      await run.waitForStderr(new RegExp(`127\\.0\\.0\\.1:${port}`), 50_000);
      const stderr = run.stderr();
      return {
        what,
        said: said.test(stderr) ? 'the reason' : stderr,
        crashed: /fault of mcp-expose|\n\s+at .*:\d+:\d+/.test(stderr),
        ready: run.stdout().includes('"ready"'),
      };
    });
    expect(await Promise.all(runs)).toEqual(
      talks.map(([what]) => ({ what, said: 'the reason', crashed: false, ready: false })),
    );
  });

  test('one that is down at the start: it waits and says so, or ends with exit code 4, and never hangs in silence', async () => {
    const gone = await startRelay();
    await gone.stop();
    const run = launchExpose({ server: fixture('echo'), args: ['--tunnel', 'relay', '--relay', gone.url] });
    await run.waitForStderr(new RegExp(`127\\.0\\.0\\.1:${gone.port}`), 20_000);
    expect(run.stdout()).not.toContain('"ready"');
  });

  test.each([
    [401, 'Unauthorized'],
    [426, 'Upgrade Required'],
    [500, 'Internal Server Error'],
  ])('one that answers %i says so by name', async (status, text) => {
    const server = http.createServer((_request, response) => void response.writeHead(status).end(text));
    server.on('upgrade', (_request, socket) => socket.end(`HTTP/1.1 ${status} ${text}\r\nContent-Length: 0\r\n\r\n`));
    const port = await listenOnLoopback(server);
    const run = launchExpose({
      server: fixture('echo'),
      args: ['--tunnel', 'relay', '--relay', `http://127.0.0.1:${port}`],
    });
    await expect(run.waitForStderr(new RegExp(`${status}`), 20_000)).resolves.toBeDefined();
  });
});

test('auto with a relay configured uses it; without a tunnel it serves locally and says how to get a public URL', async () => {
  const relay = await startRelay();
  const configured = await startExpose({ server: fixture('echo'), env: { MCP_EXPOSE_RELAY: relay.url } });
  expect(configured.publicUrl).toMatch(new RegExp(`^${relay.url}/[a-z2-7]{10}/mcp$`));
  const local = await startExpose({ server: fixture('echo') });
  expect(local.publicUrl).toBeNull();
  expect(local.ready.tunnel.provider).toBe('none');
  const plain = startProgram(['--tunnel', 'none', '--', ...fixture('echo')], { mark: randomUUID() });
  await expect(plain.waitForStderr(/public url: none; --tunnel auto/)).resolves.toBeDefined();
});

test('a relay that goes while the server is still starting does not end the start', async () => {
  const relay = await startRelay();
  const [node = '', script = ''] = fixture('echo');
  const late = `setTimeout(() => import(${JSON.stringify(script)}), 2000)`;
  const exposed = launchExpose({
    server: [node, '-e', late],
    args: ['--tunnel', 'relay', '--relay', relay.url, '--warm', '0'],
  });
  await relay.waitForStdout(/"state":"connected"|"event":"agent"/);
  await relay.stop('SIGKILL');
  await exposed.waitForStdout(/"event":"ready"/);
  const kinds = exposed.events().map(({ event }) => event);
  expect(kinds).toContain('tunnel');
  expect(kinds).not.toContain('error');
});
