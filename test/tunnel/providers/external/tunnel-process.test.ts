import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { startTunnelProcess } from '../../../../src/tunnel/providers/external/tunnel-process.ts';
import type { TunnelProcess, TunnelProcessOptions } from '../../../../src/tunnel/providers/external/tunnel-process.ts';
import { eventually, within } from '../../../harness/eventually.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import { processInfo, type ProcessInfo } from '../../../harness/processes.ts';
import { temporaryDirectory } from '../../../harness/program.ts';
import { parseJson } from '../../../harness/parse-json.ts';
import { behaviours, expectGone, infoOf, withStubbornChild } from '../../../platform/process/node-process.ts';
import { createMachine, node, stays, type TestMachine } from './programs.ts';

interface Started {
  readonly environment: TestMachine;
  readonly program: TunnelProcess;
  readonly lines: string[];
  /** Resolves with the first line that matches. */
  line(pattern: RegExp): Promise<string>;
  /** What its end is, in good time. */
  end(): Promise<object>;
}

function start(script: string, options: Partial<TunnelProcessOptions> & { environment?: TestMachine } = {}): Started {
  const environment = options.environment ?? createMachine();
  const lines: string[] = [];
  const program = startTunnelProcess({ ...node(script), onLine: (line) => lines.push(line), ...options, environment });
  atEnd('test', () => within(15_000, 'a program to end', program.close()));
  return {
    environment,
    program,
    lines,
    line: (pattern) =>
      eventually(() => {
        const found = lines.find((line) => pattern.test(line));
        if (found === undefined) throw new Error(`no ${pattern} in ${JSON.stringify(lines)}`);
        return found;
      }, 15_000),
    end: () => within(15_000, 'a program to end', program.ended),
  };
}

test('both outputs are read line by line, without what only paints', async () => {
  const { lines, end } = start(String.raw`
    process.stdout.write('one\r\n\n  \u001b[1;34mtwo\u001b[0m  \nthr');
    process.stdout.write('ee');
    process.stderr.write('four\n');
  `);
  expect(await end()).toEqual({ how: 'code 0', code: 0 });
  expect(lines.toSorted()).toEqual(['four', 'one', 'three', 'two']);
});

test('what a program says before it ends at once is read, however much it is', async () => {
  const runs = Array.from({ length: 10 }, () =>
    start(`require('fs').writeSync(2, 'x'.repeat(60000) + '\\nno good\\n'); process.exit(3)`),
  );
  expect(await Promise.all(runs.map(({ end }) => end()))).toEqual(runs.map(() => ({ how: 'code 3', code: 3 })));
  expect(runs.map(({ lines }) => lines.at(-1))).toEqual(runs.map(() => 'no good'));
});

test('a line without an end takes no memory', async () => {
  const { lines, end } = start(`process.stdout.write('x'.repeat(1_000_000) + '\\nshort\\n')`);
  await end();
  expect(lines).toEqual(['short']);
});

test('its last words are three lines, short, without the queries of URLs', async () => {
  const { program, end } = start(`
    for (const line of ['a', 'b', 'c https://x.example/y?key=secret z', 'd'.repeat(1000)]) console.log(line);
  `);
  await end();
  expect(program.lastWords()).toEqual(['b', 'c https://x.example/y?… z', 'd'.repeat(200)]);
});

test('its last words do not hold a credential that it was given', async () => {
  const { program, end } = start('console.log("bad: " + process.env.TUNNEL_TOKEN + " token=" + 123)', {
    variables: new Map([['TUNNEL_TOKEN', 'secret-of-the-user']]),
  });
  await end();
  expect(program.lastWords()).toEqual(['bad: … token=…']);
});

test('its input is open and empty', async () => {
  const { line } = start(`
    process.stdin.on('end', () => console.log('ended')).resume();
    setTimeout(() => console.log('open'), 200);
    ${stays}
  `);
  expect(await line(/open|ended/)).toBe('open');
});

test('it sees what there is, without what is ours, what is withheld, and secrets that are not its own', async () => {
  const environment = createMachine({
    env: {
      PATH: process.env['PATH'],
      HOME: '/home/user',
      MCP_EXPOSE_TOKEN: 'ours',
      AWS_SECRET_ACCESS_KEY: 'theirs',
      NGROK_AUTHTOKEN: 'passed',
      NGROK_CONFIG: 'passed',
      LD_LIBRARY_PATH: '/lib',
      CLOUD_NAME: 'withheld',
      CLOUDY: 'passed',
    },
  });
  const { lines, end } = start('console.log(JSON.stringify(process.env))', {
    environment,
    passedOn: ['NGROK_*', 'NOT_THERE'],
    withheld: ['CLOUD_*'],
    variables: new Map([['TUNNEL_TOKEN', 'only it']]),
  });
  await end();
  const { PATH, ...env } = parseJson<Record<string, string>>(lines[0] ?? '');
  expect(PATH).toBe(process.env['PATH']);
  expect(env).toEqual({
    HOME: '/home/user',
    NGROK_AUTHTOKEN: 'passed',
    NGROK_CONFIG: 'passed',
    LD_LIBRARY_PATH: '/lib',
    CLOUDY: 'passed',
    TUNNEL_TOKEN: 'only it',
  });
});

test('a program that is not there', async () => {
  const { end, environment, program } = start('', { file: 'there-is-no-such-program' });
  expect(await end()).toMatchObject({ startError: 'ENOENT' });
  await program.close();
  expect(environment.guarded.size).toBe(0);
});

test('a program that cannot be run', async () => {
  const file = path.join(temporaryDirectory(), 'program');
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, 0o644);
  expect(await start('', { file, args: [] }).end()).toMatchObject({ startError: 'EACCES' });
});

test('arguments that no program can be given', async () => {
  const { end, program } = start('', { args: ['a\0b'] });
  expect(await end()).toMatchObject({ how: expect.any(String), startError: 'ERR_INVALID_ARG_VALUE' });
  await program.close();
});

test('closed, it is asked to go, and is guarded until it has gone', async () => {
  const { program, environment, line, end } = start(`
    process.on('SIGTERM', () => { console.log('bye'); process.exit(0); });
    console.log('pid ' + process.pid);
    ${stays}
  `);
  const info = await leader(line(/^pid /));
  expect([...environment.guarded]).toEqual([info.pid]);
  await Promise.all([program.close(), program.close()]);
  expectGone(info);
  expect([await end(), await line(/bye/), environment.guarded.size]).toEqual([{ how: 'code 0', code: 0 }, 'bye', 0]);
});

test('one that ignores SIGTERM is killed', async () => {
  const { program, line, end } = start(`${behaviours.ignoresSigterm} console.log('pid ' + process.pid);`);
  const info = await leader(line(/^pid /));
  await program.close();
  expectGone(info);
  expect(await end()).toEqual({ how: 'SIGKILL', code: null });
});

test('what it has started goes with it, also when it dies', async () => {
  const { line, end, environment } = start(withStubbornChild(`setTimeout(() => process.exit(5), 300);`));
  const child = infoOf(Number(await line(/^\d+$/)));
  expect(await end()).toEqual({ how: 'code 5', code: 5 });
  await eventually(() => {
    expectGone(child);
    expect(environment.guarded.size).toBe(0);
  });
});

test('one whose outputs are held open by somebody else is not waited for', async () => {
  const { line, end } = start(`
    const child = require('child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 30000)'], {
      detached: true,
      stdio: 'inherit',
    });
    console.log(child.pid);
    setTimeout(() => process.exit(6), 300);
  `);
  const child = infoOf(Number(await line(/^\d+$/)));
  atEnd('test', () => void process.kill(child.pid, 'SIGKILL'));
  expect(await end()).toEqual({ how: 'code 6', code: 6 });
});

async function leader(line: Promise<string>): Promise<ProcessInfo> {
  const info = processInfo(Number((await line).slice('pid '.length)));
  if (info === undefined) throw new Error('it has gone already');
  return info;
}
