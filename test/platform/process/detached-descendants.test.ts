import { spawn } from 'node:child_process';
import type * as fileSystem from 'node:fs';
import { readdirSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { detachedDescendantsOf } from '../../../src/platform/process/detached-descendants.ts';
import { eventually } from '../../harness/eventually.ts';
import { atEnd } from '../../harness/lifetime.ts';
import { killIfAlive } from '../../harness/processes.ts';

vi.mock('node:fs', async (original) => {
  const actual = await original<typeof fileSystem>();
  return { ...actual, readdirSync: vi.fn<typeof actual.readdirSync>(actual.readdirSync) };
});

const looks = (): number => vi.mocked(readdirSync).mock.calls.length;

/** A process that starts another one outside of its group. */
function startFamily(): number {
  const script = `require('node:child_process').spawn('sleep', ['60'], { detached: true, stdio: 'ignore' }).unref();
    setInterval(() => {}, 1000);`;
  const { pid = 0 } = spawn(process.execPath, ['-e', script], { detached: true, stdio: 'ignore' });
  atEnd('test', () => {
    for (const descendant of detachedDescendantsOf(pid)) killIfAlive(descendant.pid);
    killIfAlive(pid);
  });
  return pid;
}

test('many that look for theirs at once share one look, and a later one looks again', async () => {
  const families = [startFamily(), startFamily(), startFamily()];
  await eventually(() => expect(families.map((leader) => detachedDescendantsOf(leader).length)).toEqual([1, 1, 1]));
  await new Promise(setImmediate);
  const before = looks();
  const found = families.map((leader) => detachedDescendantsOf(leader));
  // Also after promises that are settled, as between the ends of several servers.
  await Promise.resolve();
  expect(detachedDescendantsOf(families[0] ?? 0)).toEqual(found[0]);
  expect(looks()).toBe(before + 1);
  for (const descendant of found.flat()) killIfAlive(descendant.pid);
  await eventually(() => expect(families.flatMap((leader) => detachedDescendantsOf(leader))).toEqual([]));
});
