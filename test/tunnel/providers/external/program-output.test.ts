import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { createWatchdog } from '../../../../src/platform/process/watchdog.ts';
import { outputOf } from '../../../../src/tunnel/providers/external/program-output.ts';
import { eventually } from '../../../harness/eventually.ts';
import { atEnd } from '../../../harness/lifetime.ts';
import type { ProcessInfo } from '../../../harness/processes.ts';
import { temporaryDirectory } from '../../../harness/program.ts';
import { behaviours, expectGone, infoOf } from '../../../platform/process/node-process.ts';
import { createMachine, node, stays } from './programs.ts';

test('what a program says, and how it ended', async () => {
  const env = { PATH: process.env['PATH'], MCP_EXPOSE_TOKEN: 'ours', SECRET: 'theirs' };
  const environment = createMachine({ env });
  const { file, args } = node(`
    console.log(Object.keys(process.env).sort().join());
    console.error('no');
    process.exitCode = 2;
  `);
  expect(await outputOf(environment, file, args)).toEqual({ code: 2, stdout: 'PATH\n', stderr: 'no\n' });
  expect(environment.guarded.size).toBe(0);
});

test('a long line is read', async () => {
  const { file, args } = node(`console.log('x'.repeat(1_000_000))`);
  expect((await outputOf(createMachine(), file, args))?.stdout).toHaveLength(1_000_001);
});

test('it has no input to wait for', async () => {
  const { file, args } = node(`process.stdin.resume().on('end', () => { console.log('ended'); process.exit(0); })`);
  expect((await outputOf(createMachine(), file, args))?.stdout).toBe('ended\n');
});

test('there is none of one that is not there or is not wanted any more', async () => {
  const environment = createMachine();
  const forever = node(stays);
  expect(await outputOf(environment, 'there-is-no-such-program', [])).toBeUndefined();
  expect(await outputOf(environment, forever.file, forever.args, { signal: AbortSignal.abort() })).toBeUndefined();
  expect(await outputOf(environment, forever.file, ['a\0b'])).toBeUndefined();
});

interface WithChild {
  readonly file: string;
  readonly args: readonly string[];
  /** The other one, once it is there. */
  child(): Promise<ProcessInfo>;
  /** Makes `<child>.seen`. */
  seen(): void;
}

/** A program that starts another one, which holds its outputs and ignores SIGTERM; `child` is the file with its id. */
function withChild(then: (child: string) => string): WithChild {
  const note = path.join(temporaryDirectory(), 'pid');
  const child = `${behaviours.ignoresSigterm} require('fs').writeFileSync(${JSON.stringify(note)}, process.pid + '.')`;
  const script = `
    require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'inherit' });
    ${then(JSON.stringify(note))}
  `;
  return {
    ...node(script),
    child: () => eventually(() => infoOf(Number(/^(\d+)\.$/.exec(readFileSync(note, 'utf8'))?.[1])), 15_000),
    seen: () => writeFileSync(`${note}.seen`, ''),
  };
}

describe('nothing of it is left', () => {
  test('when it takes too long', async () => {
    const environment = createMachine();
    const { file, args, child } = withChild(() => behaviours.ignoresSigterm);
    const output = outputOf(environment, file, args, { timeoutMs: 2000 });
    const info = await child();
    expect(environment.guarded.size).toBe(1);
    expect(await output).toBeUndefined();
    expectGone(info);
    expect(environment.guarded.size).toBe(0);
  });

  test('when it is not wanted any more', async () => {
    const { file, args, child } = withChild(() => stays);
    const abort = new AbortController();
    const output = outputOf(createMachine(), file, args, { timeoutMs: 60_000, signal: abort.signal });
    const info = await child();
    abort.abort();
    expect(await output).toBeUndefined();
    expectGone(info);
  });

  test('when it has ended itself', async () => {
    const { file, args, child, seen } = withChild(
      (note) => `
        setInterval(() => require('fs').existsSync(${note} + '.seen') && process.exit(3), 20);
      `,
    );
    const output = outputOf(createMachine(), file, args, { timeoutMs: 60_000 });
    const info = await child();
    seen();
    expect((await output)?.code).toBe(3);
    expectGone(info);
  });

  test('when we are killed meanwhile', async () => {
    const watchdog = createWatchdog();
    atEnd('test', () => watchdog.killAll());
    const { file, args, child } = withChild(() => stays);
    const output = outputOf({ ...createMachine(), watchdog }, file, args, { timeoutMs: 60_000 });
    const info = await child();
    // It sees its input end, which is all that it would see of our death.
    await watchdog.close();
    await eventually(() => expectGone(info));
    expect((await output)?.code).toBeNull();
  });
});
