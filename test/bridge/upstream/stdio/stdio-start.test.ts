import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { parseJson } from '../../../harness/parse-json.ts';
import { projectRoot, temporaryDirectory } from '../../../harness/program.ts';
import { startNode } from '../../../platform/process/node-process.ts';
import { fixtureCommand, startStdio, type StdioServer } from './stdio-server.ts';

const ping = (id: number | string) => ({ id, method: 'ping' });

/** A module as the build has made it, for a process of its own. */
function built(name: string): string {
  return pathToFileURL(path.join(projectRoot, 'dist', `${name}.js`)).href;
}

/** Why it did not start; it must have been told once, and be over. */
async function reasonOf(server: StdioServer): Promise<string> {
  const { code, reason } = await server.ended;
  expect(code).toBe('upstream_not_started');
  await server.upstream.close();
  expect([server.ends.length, server.send(ping(2)), server.guarding]).toEqual([1, false, []]);
  return reason;
}

describe('a server that does not start', () => {
  test('since there is no such command', async () => {
    const server = startStdio({ kind: 'argv', file: 'no-such-command-anywhere', args: ['x'] });
    // Nobody can know yet; the reason comes with the end.
    expect(server.send(ping(1))).toBe(true);
    expect(await reasonOf(server)).toBe('the server did not start: there is no command no-such-command-anywhere');
  });

  test('since there is no such folder', async () => {
    const server = startStdio(fixtureCommand('echo'), { cwd: '/no/such/folder' });
    expect(await reasonOf(server)).toBe('the server did not start: the folder /no/such/folder does not exist');
  });

  test('since the folder is none that could be', async () => {
    const cwd = `/${'x'.repeat(5000)}`;
    expect(await reasonOf(startStdio(fixtureCommand('echo'), { cwd }))).toContain('the folder /xxx');
  });

  test('since the file is a folder', async () => {
    const file = temporaryDirectory();
    const server = startStdio({ kind: 'argv', file, args: [] });
    expect(await reasonOf(server)).toBe(`the server did not start: ${file} is a folder`);
  });

  test('since the file may not be executed', async () => {
    const file = path.join(temporaryDirectory(), 'server');
    await writeFile(file, '#!/bin/sh\n', { mode: 0o644 });
    const server = startStdio({ kind: 'argv', file, args: [] });
    expect(await reasonOf(server)).toBe(`the server did not start: ${file} may not be executed`);
  });

  test('since an argument holds what no argument can hold', async () => {
    const server = startStdio({ kind: 'argv', file: process.execPath, args: ['a\0b'] });
    expect(server.send(ping(1))).toBe(true);
    expect(await reasonOf(server)).toBe('the server did not start: a word of its command has a NUL character');
  });

  test.each([
    ['EMFILE', 'too many open files: raise the limit, which ulimit -n shows'],
    ['ENFILE', 'too many open files on the whole machine: end other programs, or raise its limit'],
    ['EAGAIN', 'too many processes'],
    ['ENOMEM', 'too little memory'],
  ])('since the system has no more to give: %s', async (code, words) => {
    const failing = new Proxy(execa, {
      apply() {
        throw Object.assign(new Error(`spawn ${code}`), { code });
      },
    });
    const server = startStdio(fixtureCommand('echo'), { execa: failing });
    expect(server.send(ping(1))).toBe(true);
    expect(await reasonOf(server)).toBe(`the server did not start: ${words}`);
  });

  test('since there are too many open files: the others go on, and so does the program', async () => {
    const owner = await startNode(
      `
        import { StdioUpstream } from ${JSON.stringify(built('bridge/upstream/stdio/stdio'))};
        import { execa } from ${JSON.stringify(built('platform/process/execa'))};
        import { createWatchdog } from ${JSON.stringify(built('platform/process/watchdog'))};
        const watchdog = createWatchdog();
        const ends = [];
        const start = (onMessage) => {
          const command = { kind: 'argv', file: '/bin/cat', args: [] };
          const upstream = new StdioUpstream({ command, env: {}, execa, watchdog, onStderr() {}, onWarning() {} });
          upstream.start({ onMessage, onClose: ({ code, reason }) => ends.push(code + ': ' + reason) });
          return upstream;
        };
        const all = Array.from({ length: 30 }, () => start(() => {}));
        await Promise.all(all.map((upstream) => upstream.close()));
        const bytes = Buffer.from('{"jsonrpc":"2.0","method":"m"}');
        const echoed = await new Promise((resolve) => {
          all.push(start(resolve));
          all.at(-1).send({ kind: 'notification', method: 'm', json: {}, bytes });
        });
        await all.at(-1).close();
        await watchdog.close();
        console.log(JSON.stringify({ ends, echoed: echoed.bytes.equals(bytes) }));
      `,
      ['--input-type=module'],
      // Enough for Node itself and some servers, each of which takes three.
      { maxOpenFiles: 64 },
    );
    const { ends, echoed } = parseJson<{ ends: string[]; echoed: boolean }>(owner.greeting);
    expect(await owner.exited).toEqual({ code: 0, signal: null });
    const tooMany =
      'upstream_not_started: the server did not start: too many open files: raise the limit, which ulimit -n shows';
    const ended = 'upstream_exited: the server exited with code 0';
    expect(new Set(ends)).toEqual(new Set([tooMany, ended]));
    expect([ends.length, echoed]).toEqual([31, true]);
  });
});
