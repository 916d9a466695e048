import { describe, expect, test } from 'vitest';
import { endProcessTree } from '../../../src/platform/process/process-tree.ts';
import { eventually, within } from '../../harness/eventually.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { isAlive } from '../../harness/processes.ts';
import {
  behaviours,
  expectGone,
  infoOf,
  killGroup,
  startNode,
  withStubbornChild,
  type NodeProcess,
} from './node-process.ts';

function end({ pid, child, exited }: NodeProcess, graceMs: number): Promise<void> {
  return endProcessTree({ pid, exited, ask: () => child.stdin.end(), graceMs });
}

/** So long that nothing but the process itself can have ended it. */
const longGraceMs = 60_000;
const shortGraceMs = 100;

describe('a process', () => {
  test('that honours the end of its input is left to end by itself', async () => {
    const started = await startNode(behaviours.endsWithInput);
    await end(started, longGraceMs);
    expect(await started.exited).toEqual({ code: 0, signal: null });
  });

  test('that does not gets SIGTERM', async () => {
    const started = await startNode(behaviours.ignoresEndOfInput);
    await end(started, shortGraceMs);
    expect(await started.exited).toEqual({ code: null, signal: 'SIGTERM' });
  });

  test('that ignores SIGTERM as well gets SIGKILL', async () => {
    const started = await startNode(behaviours.ignoresSigterm);
    await end(started, shortGraceMs);
    expect(await started.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('that may take its time after SIGTERM is not killed', async () => {
    const started = await startNode(
      `process.on('SIGTERM', () => setTimeout(() => process.exit(5), 200)); ${behaviours.ignoresEndOfInput} console.log('ready')`,
    );
    const { pid, exited } = started;
    // Its input is not the way to end it here; the first grace period is over at once.
    await endProcessTree({ pid, exited: Promise.resolve(), ask() {}, graceMs: longGraceMs });
    expect(await exited).toEqual({ code: 5, signal: null });
  });

  test('that has ended before is no trouble', async () => {
    const started = await startNode(behaviours.endsWithInput);
    started.child.stdin.end();
    await started.exited;
    await end(started, longGraceMs);
    expect(isAlive(started.info)).toBe(false);
  });
});

describe('what a process has started in its group', () => {
  test('is ended with it, stubborn or not', async () => {
    const started = await startNode(withStubbornChild(behaviours.ignoresSigterm));
    const grandchild = infoOf(Number(started.greeting));
    await end(started, shortGraceMs);
    await eventually(() => expectGone(grandchild));
    expect(isAlive(started.info)).toBe(false);
  });

  test('is ended also when the process itself went politely and left it behind', async () => {
    const started = await startNode(withStubbornChild(behaviours.endsWithInput));
    const grandchild = infoOf(Number(started.greeting));
    await end(started, 500);
    await eventually(() => expectGone(grandchild));
    expect(await started.exited).toEqual({ code: 0, signal: null });
  });

  test('is ended also when the process had died before', async () => {
    const started = await startNode(withStubbornChild(behaviours.ignoresEndOfInput));
    const grandchild = infoOf(Number(started.greeting));
    process.kill(started.pid, 'SIGKILL');
    await started.exited;
    expect(isAlive(grandchild)).toBe(true);
    await end(started, shortGraceMs);
    await eventually(() => expectGone(grandchild));
  });

  test('is ended at once when it is known that the process had died before', async () => {
    const member = `${behaviours.ignoresEndOfInput} console.log('ready')`;
    const started = await startNode(`
      const child = require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(member)}], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      child.stdout.once('data', () => console.log(child.pid));
      ${behaviours.ignoresEndOfInput}
    `);
    const left = infoOf(Number(started.greeting));
    process.kill(started.pid, 'SIGKILL');
    await started.exited;
    expect(isAlive(left)).toBe(true);
    let inputs = 0;
    const ended = endProcessTree({
      pid: started.pid,
      exited: undefined,
      ask: () => inputs++,
      graceMs: longGraceMs,
    });
    await within(15_000, 'the end', ended);
    await eventually(() => expectGone(left));
    expect(inputs).toBe(1);
  });

  test('outside of its group is not looked for when it had died before: its number may be another’s', async () => {
    const started = await startNode(withStubbornChild(behaviours.ignoresEndOfInput, true));
    const descendant = infoOf(Number(started.greeting));
    atEnd('test', () => killGroup(descendant.pid));
    await endProcessTree({ pid: started.pid, exited: undefined, ask() {}, graceMs: longGraceMs });
    expect(await started.exited).toEqual({ code: null, signal: 'SIGTERM' });
    expect(isAlive(descendant)).toBe(true);
  });

  test.each([
    ['a stubborn process', behaviours.ignoresSigterm],
    ['one that goes politely', behaviours.endsWithInput],
  ])('and put into a group of its own is ended with %s, too', async (_what, behaviour) => {
    const started = await startNode(withStubbornChild(behaviour, true));
    const descendant = infoOf(Number(started.greeting));
    await end(started, shortGraceMs);
    await eventually(() => expectGone(descendant));
    expect(isAlive(started.info)).toBe(false);
  });

  test('in other groups is nobody that we end', async () => {
    const bystander = await startNode(behaviours.ignoresEndOfInput);
    const started = await startNode(behaviours.ignoresSigterm);
    await end(started, shortGraceMs);
    expect(isAlive(bystander.info)).toBe(true);
  });
});
