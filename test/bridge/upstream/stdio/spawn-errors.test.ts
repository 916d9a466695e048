import { spawn } from 'node:child_process';
import { hasSubscribers } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { hearingSpawnErrors } from '../../../../src/bridge/upstream/stdio/spawn-errors.ts';
import { within } from '../../../harness/eventually.ts';

const startMissing = () => spawn('/no/such/program', { stdio: 'ignore' });

test('the error of a process that is started is heard, though nobody else listens', async () => {
  const heard = new Promise((resolve) => {
    const child = hearingSpawnErrors(startMissing, resolve);
    expect(child.pid).toBeUndefined();
  });
  expect(await within(5000, 'the error', heard)).toMatchObject({ code: 'ENOENT' });
});

test('also where the start fails in the middle, which is thrown on', async () => {
  const wrong = new Error('no pipes');
  const heard = new Promise((resolve) => {
    const start = (): never => {
      startMissing();
      throw wrong;
    };
    expect(() => hearingSpawnErrors(start, resolve)).toThrow(wrong);
  });
  expect(await within(5000, 'the error', heard)).toMatchObject({ code: 'ENOENT' });
});

test('nothing is heard of processes that others start later', async () => {
  const heard: unknown[] = [];
  const child = hearingSpawnErrors(
    () => spawn(process.execPath, ['-e', ''], { stdio: 'ignore' }),
    (cause) => heard.push(cause),
  );
  const exited = once(child, 'exit');
  expect(hasSubscribers('child_process')).toBe(false);
  await within(5000, 'the error', once(startMissing(), 'error'));
  await within(15_000, 'the process to end', exited);
  expect(heard).toEqual([]);
});
