import { expect, test } from 'vitest';
import { createUnreadBytes, type UnreadBytes } from '../../../src/bridge/upstream/unread-bytes.ts';

const mebibyte = 1024 * 1024;

function add(unread: UnreadBytes, size: number): () => void {
  const release = unread.add(size);
  if (release === false) throw new Error('it was refused');
  return release;
}

test('a mebibyte may be unread before those who send have to wait', () => {
  const unread = createUnreadBytes();
  add(unread, mebibyte - 1);
  expect(unread.isWritable()).toBe(true);
  const release = add(unread, 1);
  expect(unread.isWritable()).toBe(false);
  release();
  expect(unread.isWritable()).toBe(true);
});

test('whoever waits is called once, when enough has been read', () => {
  const unread = createUnreadBytes();
  const releases = [add(unread, mebibyte), add(unread, mebibyte)];
  const called: string[] = [];
  unread.whenWritable(() => called.push('first'));
  unread.whenWritable(() => called.push('second'));
  releases[0]?.();
  expect(called).toEqual([]);
  releases[1]?.();
  expect(called).toEqual(['first', 'second']);
  add(unread, mebibyte)();
  expect(called).toHaveLength(2);
});

test('where there is room nobody waits', () => {
  let called = 0;
  createUnreadBytes().whenWritable(() => called++);
  expect(called).toBe(1);
});

test('a message is taken off once, however often it is said', () => {
  const unread = createUnreadBytes();
  const release = add(unread, mebibyte);
  add(unread, mebibyte);
  for (let time = 0; time < 3; time++) release();
  expect(unread.isWritable()).toBe(false);
});

test('beyond the limit nothing is taken, until something has been read', () => {
  const unread = createUnreadBytes(100);
  const release = add(unread, 101);
  expect(unread.add(1)).toBe(false);
  release();
  expect(unread.add(1)).not.toBe(false);
});

test('64 MiB are the limit that nobody named', () => {
  const unread = createUnreadBytes();
  add(unread, 64 * mebibyte);
  add(unread, 1);
  expect(unread.add(1)).toBe(false);
});

test('in the end nobody waits any more, and nothing is taken', () => {
  const unread = createUnreadBytes();
  add(unread, mebibyte);
  let called = 0;
  unread.whenWritable(() => called++);
  unread.end();
  expect([called, unread.isWritable(), unread.add(1)]).toEqual([1, true, false]);
  unread.whenWritable(() => called++);
  expect(called).toBe(2);
});
