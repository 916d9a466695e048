// What is sent to a server until it has read it.
import { Socket } from 'node:net';
import { execa } from 'execa';
import { describe, expect, test, vi } from 'vitest';
import { StdioUpstream } from '../../../../src/bridge/upstream/stdio/stdio.ts';
import { createWatchdog } from '../../../../src/platform/process/watchdog.ts';
import { eventually, within } from '../../../harness/eventually.ts';
import { notification } from '../../messages.ts';
import { behaviours } from '../../../platform/process/node-process.ts';
import { fixtureCommand, nodeCommand, startStdio, type StdioServer, type StdioServerOptions } from './stdio-server.ts';

const kibibyte = 1024;
const withFilling = (size: number, id = 1) => ({ id, method: 'm', params: { filling: 'x'.repeat(size) } });
const echoCall = (id: number) => ({ id, method: 'tools/call', params: { name: 'echo', arguments: { text: 'x' } } });
const megabyte = withFilling(1024 * kibibyte);

/** Does what it is told to on SIGUSR2, and reads nothing before. */
async function deaf(onSignal: string, options: StdioServerOptions = {}): Promise<StdioServer> {
  const script = `process.on('SIGUSR2', () => { ${onSignal} }); ${behaviours.ignoresEndOfInput} console.error('up');`;
  const server = startStdio(nodeCommand(script), { graceMs: 60_000, ...options });
  await server.stderrLine(/up/);
  return server;
}

const wake = (server: StdioServer): void => void process.kill(server.pid(), 'SIGUSR2');

function writable({ upstream }: StdioServer): Promise<void> {
  return within(10_000, 'the server to read', new Promise<void>((resolve) => upstream.whenWritable(resolve)));
}

const readLines = `
  let lines = 0;
  process.stdin.on('data', (chunk) => { for (const byte of chunk) lines += byte === 10; });
  process.stdin.on('end', () => { console.error(lines + ' lines'); process.exit(0); });
`;

test('before the start nothing is taken', async () => {
  const upstream = new StdioUpstream({
    command: fixtureCommand('echo'),
    env: {},
    execa,
    watchdog: createWatchdog(),
    onStderr() {},
    onWarning() {},
  });
  expect([upstream.send(notification('m')), upstream.isWritable()]).toEqual([false, true]);
  await upstream.close();
});

test('messages of one turn arrive in order, be they small or more than are joined', async () => {
  const server = startStdio(fixtureCommand('echo'));
  const ids = Array.from({ length: 60 }, (_, id) => id);
  for (const id of ids) {
    const text = 'é'.repeat(id < 30 ? 10 : 5 * kibibyte);
    server.send({ id, method: 'tools/call', params: { name: 'echo', arguments: { text } } });
  }
  await server.answerTo(59);
  expect(server.messages.map((message) => 'id' in message && message.id)).toEqual(ids);
});

test('a message that comes alone goes at once, those of a busy time go together', async () => {
  const server = startStdio(fixtureCommand('echo'));
  const written = vi.spyOn(Socket.prototype, 'write');
  let id = 0;
  /** How many times something was written at once, and at the end of the turn. */
  const turn = async (messages: number): Promise<[number, number]> => {
    written.mockClear();
    for (let sent = 0; sent < messages; sent++) server.send(echoCall(++id));
    const atOnce = written.mock.calls.length;
    await new Promise(setImmediate);
    return [atOnce, written.mock.calls.length - atOnce];
  };
  expect([await turn(1), await turn(1), await turn(5)]).toEqual([
    [1, 0],
    [1, 0],
    [1, 1],
  ]);
  const afterwards = [];
  // oxlint-disable-next-line no-await-in-loop -- one turn after the other
  for (const messages of [1, 5, 1, 1, 1, 1, 1]) afterwards.push(await turn(messages));
  expect(afterwards).toEqual([...Array.from({ length: 6 }, () => [0, 1]), [1, 0]]);
  await server.answerTo(id);
  expect(server.messages.map((message) => 'id' in message && message.id)).toEqual(
    Array.from({ length: id }, (_, at) => at + 1),
  );
});

describe('a server that does not read', () => {
  test('is sent no more than it may leave unread, and can be ended', async () => {
    const server = startStdio(nodeCommand(behaviours.ignoresEndOfInput), {
      writeWindowBytes: 256 * kibibyte,
      graceMs: 100,
    });
    const large = withFilling(64 * kibibyte);
    const taken = Array.from({ length: 100 }, () => server.send(large)).filter(Boolean).length;
    expect(taken).toBeGreaterThan(3);
    expect(taken).toBeLessThan(20);
    await server.upstream.close();
    expect(server.ends).toHaveLength(1);
  });

  test('is sent more as soon as it has read', async () => {
    const server = await deaf(readLines, { writeWindowBytes: 1024 * kibibyte });
    server.send(megabyte);
    expect(server.send({ method: 'refused' })).toBe(false);
    wake(server);
    await writable(server);
    expect(server.send({ method: 'taken' })).toBe(true);
    await server.upstream.close();
    expect(server.stderr).toEqual(['up', '2 lines']);
  });
});

describe('a server that reads slowly', () => {
  test.each([
    ['one large message', 1024 * kibibyte, 1],
    ['many small ones', 40 * kibibyte, 100],
  ])('says so until it has read what it was sent: %s', async (_what, size, most) => {
    const server = await deaf(readLines);
    expect(server.upstream.isWritable()).toBe(true);
    let sent = 0;
    while (sent < most && server.upstream.isWritable()) {
      sent++;
      expect(server.send(withFilling(size, sent))).toBe(true);
      // Each in a turn of its own.
      await new Promise(setImmediate); // oxlint-disable-line no-await-in-loop
    }
    expect(server.upstream.isWritable()).toBe(false);
    wake(server);
    await writable(server);
    expect(server.upstream.isWritable()).toBe(true);
    await server.upstream.close();
    expect(server.stderr).toEqual(['up', `${sent} lines`]);
  });

  test('counts what waits for the end of this turn as well', async () => {
    const server = startStdio(nodeCommand(behaviours.endsWithInput));
    for (let sent = 0; sent < 16; sent++) server.send(withFilling(64 * kibibyte));
    expect(server.upstream.isWritable()).toBe(false);
    await writable(server);
  });

  test('keeps nobody waiting when it ends', async () => {
    const server = startStdio(nodeCommand(behaviours.ignoresEndOfInput), { graceMs: 100 });
    server.send(megabyte);
    const released = new Promise<void>((resolve) => server.upstream.whenWritable(resolve));
    await server.upstream.close();
    expect(await within(10_000, 'the wait to end', released)).toBeUndefined();
  });

  test('keeps nobody waiting when it closes its input and lives on', async () => {
    const server = await deaf(`require('node:fs').closeSync(0);`, { graceMs: 100 });
    server.send(megabyte);
    const released = writable(server);
    wake(server);
    await released;
    await eventually(() => expect(server.send({ method: 'm' })).toBe(false));
    expect([server.upstream.isWritable(), server.ends]).toEqual([true, []]);
  });
});
