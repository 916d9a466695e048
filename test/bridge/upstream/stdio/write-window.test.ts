import { expect, test } from 'vitest';
import { WriteWindow } from '../../../../src/bridge/upstream/stdio/write-window.ts';

const mebibyte = 1024 * 1024;

function add(writeWindow: WriteWindow, size: number): () => void {
  const release = writeWindow.add(size);
  if (release === false) throw new Error('it was refused');
  return release;
}

test('a mebibyte may be unread before those who send have to wait', () => {
  const writeWindow = new WriteWindow();
  add(writeWindow, mebibyte - 1);
  expect(writeWindow.isWritable()).toBe(true);
  const release = add(writeWindow, 1);
  expect(writeWindow.isWritable()).toBe(false);
  release();
  expect(writeWindow.isWritable()).toBe(true);
});

test('whoever waits is called once, when enough has been read', () => {
  const writeWindow = new WriteWindow();
  const releases = [add(writeWindow, mebibyte), add(writeWindow, mebibyte)];
  const called: string[] = [];
  writeWindow.whenWritable(() => called.push('first'));
  writeWindow.whenWritable(() => called.push('second'));
  releases[0]?.();
  expect(called).toEqual([]);
  releases[1]?.();
  expect(called).toEqual(['first', 'second']);
  add(writeWindow, mebibyte)();
  expect(called).toHaveLength(2);
});

test('where there is room nobody waits', () => {
  let called = 0;
  new WriteWindow().whenWritable(() => called++);
  expect(called).toBe(1);
});

test('a message is taken off once, however often it is said', () => {
  const writeWindow = new WriteWindow();
  const release = add(writeWindow, mebibyte);
  add(writeWindow, mebibyte);
  for (let time = 0; time < 3; time++) release();
  expect(writeWindow.isWritable()).toBe(false);
});

test('beyond the limit nothing is taken, until something has been read', () => {
  const writeWindow = new WriteWindow(100);
  const release = add(writeWindow, 101);
  expect(writeWindow.add(1)).toBe(false);
  release();
  expect(writeWindow.add(1)).not.toBe(false);
});

test('64 MiB are the limit that nobody named', () => {
  const writeWindow = new WriteWindow();
  add(writeWindow, 64 * mebibyte);
  add(writeWindow, 1);
  expect(writeWindow.add(1)).toBe(false);
});

test('in the end nobody waits any more, and nothing is taken', () => {
  const writeWindow = new WriteWindow();
  add(writeWindow, mebibyte);
  let called = 0;
  writeWindow.whenWritable(() => called++);
  writeWindow.end();
  expect([called, writeWindow.isWritable(), writeWindow.add(1)]).toEqual([1, true, false]);
  writeWindow.whenWritable(() => called++);
  expect(called).toBe(2);
});
