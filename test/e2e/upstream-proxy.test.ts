// Servers that are reached through a real forward proxy: tinyproxy. 0.0.0.0 is this machine without being loopback, which
// no proxy is used for.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { createServer } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { selfSigned } from '../harness/certificate.ts';
import { eventually } from '../harness/eventually.ts';
import { startEverything } from '../harness/everything.ts';
import { launchExpose, startExpose } from '../harness/expose.ts';
import { atEnd } from '../harness/lifetime.ts';
import { freePort, listenOnLoopback } from '../harness/loopback-server.ts';
import { killIfAlive } from '../harness/processes.ts';
import { temporaryDirectory } from '../harness/program.ts';
import { connectWith } from '../harness/sdk-clients.ts';

/** Starts tinyproxy; returns its port and what it has logged. */
async function startTinyproxy(): Promise<{ port: number; log: () => string }> {
  const port = await freePort();
  const file = path.join(temporaryDirectory(), 'tinyproxy.conf');
  writeFileSync(file, `Port ${port}\nListen 127.0.0.1\nLogLevel Connect\nBasicAuth colleague pass\n`);
  const child = spawn('tinyproxy', ['-d', '-c', file], { stdio: ['ignore', 'pipe', 'ignore'] });
  const { pid } = child;
  if (pid === undefined) throw new Error('cannot run tinyproxy: install the Debian package of that name');
  atEnd('test', () => killIfAlive(pid));
  let logged = '';
  child.stdout.on('data', (chunk: Buffer) => (logged += chunk.toString()));
  await eventually(async () => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
  });
  return { port, log: () => logged };
}

/** TLS in front of a port of this machine. */
async function withTls(port: number): Promise<{ port: number; ca: string }> {
  const { key, cert, ca } = selfSigned(['IP:0.0.0.0']);
  const server = createServer({ key, cert }, (near) => {
    const far = connect(port, '127.0.0.1');
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
    near.pipe(far).pipe(near);
  });
  return { port: await listenOnLoopback(server), ca };
}

describe.each(['http', 'sse'] as const)('--%s', (kind) => {
  test.each(['http', 'https'] as const)('calls a server behind %s through the proxy', async (scheme) => {
    const [proxy, everything] = await Promise.all([startTinyproxy(), startEverything(kind)]);
    const { port, ca } = scheme === 'https' ? await withTls(everything.port) : { port: everything.port, ca: undefined };
    const url = everything.url
      .replace('http://127.0.0.1', `${scheme}://0.0.0.0`)
      .replace(`:${everything.port}`, `:${port}`);
    const exposed = await startExpose({
      running: { kind, url },
      args: ca === undefined ? ['--allow-plain-http'] : ['--upstream-ca', ca],
      env: { [`${scheme}_proxy`]: `http://colleague:pass@127.0.0.1:${proxy.port}` },
    });
    const client = await connectWith.v1(exposed.localUrl, exposed.token);
    expect(await client.call('echo', { message: 'through the proxy' })).toContain('through the proxy');
    const asked = scheme === 'https' ? `CONNECT 0.0.0.0:${port}` : ` http://0.0.0.0:${port}/`;
    expect(proxy.log()).toContain(asked);
  });
});

test('a proxy that wants credentials is named, with what to do', async () => {
  const proxy = await startTinyproxy();
  const run = launchExpose({
    running: { kind: 'http', url: 'https://0.0.0.0:9/mcp' },
    env: { HTTPS_PROXY: `http://nobody:secret@127.0.0.1:${proxy.port}` },
  });
  expect(await run.exited).toBe(3);
  expect(run.stderr()).toMatch(/error: the server .*cannot be reached: the proxy refused the connection \(40[17]\)/);
  expect(run.stderr()).toContain(`hint: the proxy 127.0.0.1:${proxy.port} answered CONNECT 0.0.0.0:9 with 40`);
  expect(run.stderr()).not.toContain('secret');
});
