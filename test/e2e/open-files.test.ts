// The limit of open files is reached while it runs: whoever started it is told, and it goes on when there is room again.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { startExpose, startRelay } from '../harness/expose.ts';
import { eventually, within } from '../harness/eventually.ts';
import { atEnd } from '../harness/lifetime.ts';
import type { Program } from '../harness/program.ts';
import { fixture } from '../harness/program.ts';

/** Room for the program, whose modules are loaded at once, and some connections. */
const maxOpenFiles = 128;

test.each<[string, () => Promise<Program & { url: string }>]>([
  ['the listener', () => startExpose({ server: fixture('echo'), maxOpenFiles })],
  ['a relay', () => startRelay({ maxOpenFiles })],
])('%s says that it cannot accept more connections', async (_what, start) => {
  const program = await start();
  const { port, hostname } = new URL(program.url);
  const sockets: Socket[] = [];
  atEnd('test', () => {
    for (const socket of sockets) socket.destroy();
  });
  const ended: Promise<unknown>[] = [];
  for (let at = 0; at < 2 * maxOpenFiles; at++) {
    const socket = connect(Number(port), hostname).on('error', () => {});
    sockets.push(socket);
    ended.push(once(socket, 'close'));
  }
  await program.waitForStderr(/warning: too many open files: further connections are refused; raise .*ulimit -n/);
  await within(5000, 'the connections beyond the limit to be closed', Promise.race(ended));
  for (const socket of sockets) socket.destroy();
  await within(5000, 'the others to be closed', Promise.all(ended));
  await eventually(async () => {
    const response = await fetch(new URL('/healthz', program.url));
    expect(response.status).toBe(200);
  });
});

test('a session whose server cannot be started is told why', async () => {
  const exposed = await startExpose({ server: fixture('echo'), args: ['--max-sessions', '60'], maxOpenFiles });
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
  });
  const answers: string[] = [];
  for (let at = 0; at < 50; at++) {
    // oxlint-disable-next-line no-await-in-loop -- each takes files until there are none
    const response = await fetch(exposed.url, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${exposed.token}`,
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
      },
      body,
    });
    answers.push(await response.text()); // oxlint-disable-line no-await-in-loop
  }
  expect(answers[0]).toContain('"result"');
  expect(answers.at(-1)).toMatch(
    /"message":"the server did not start: too many open files: raise the limit, .*ulimit -n/,
  );
  await exposed.waitForStderr(/warning: .*too many open files/);
});
