import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readInSlices } from '../../../src/platform/process/read-in-slices.ts';
import { eventually } from '../../harness/eventually.ts';

function source(): Readable {
  return new Readable({ read() {}, highWaterMark: 64 * 1024 * 1024 });
}

const block = (line: string): Buffer => Buffer.from(line.repeat(64 * 1024).slice(0, 64 * 1024));

/** As long as the work on a few hundred lines takes. */
function work(): void {
  const until = performance.now() + 0.2;
  while (performance.now() < until);
}

test('everything comes, in order, and what is one line stays in the piece in which it came', async () => {
  const stream = source();
  const pieces: Buffer[] = [];
  readInSlices(stream, (piece) => pieces.push(piece));
  const sent = [Buffer.from('a\nb'), block('x'), Buffer.from('\n'), block('12345\n'), Buffer.from('c\n')];
  for (const chunk of sent) stream.push(chunk);
  await eventually(() => expect(Buffer.concat(pieces).equals(Buffer.concat(sent))).toBe(true));
  expect(pieces.slice(0, 3).map(({ length }) => length)).toEqual([3, 65_536, 1]);
  for (const piece of pieces.slice(3, -2)) expect(piece.at(-1)).toBe(0x0a);
});

test('others have their turns between the slices, however much is there at once', async () => {
  const stream = source();
  let read = 0;
  readInSlices(stream, (piece) => {
    read += piece.length;
    work();
  });
  const size = 4 * 1024 * 1024;
  for (let sent = 0; sent < size; sent += 64 * 1024) stream.push(block('line\n'));
  let turns = 0;
  let longest = 0;
  const isOver = (): boolean => read >= size;
  while (!isOver()) {
    const before = read;
    // oxlint-disable-next-line no-await-in-loop -- each turn is one of the others
    await turn();
    turns++;
    longest = Math.max(longest, read - before);
  }
  // A thousand steps of 0.2 ms: without slices all of them come in one turn.
  expect(turns).toBeGreaterThan(20);
  expect(longest).toBeLessThan(size / 10);
});

test('nothing is handed over while it is held, not even the rest of what has come', async () => {
  const stream = source();
  const pieces: string[] = [];
  const reading = readInSlices(stream, (piece) => {
    pieces.push(piece.toString('latin1', 0, 2));
    if (pieces.length === 1) reading.pause();
  });
  stream.push(Buffer.concat([block('a\n'), block('b\n')]));
  stream.push(Buffer.from('c\n'));
  await eventually(() => expect(pieces).toHaveLength(1));
  await turn();
  expect(pieces).toEqual(['a\n']);
  reading.resume();
  await eventually(() => expect(pieces.at(-1)).toBe('c\n'));
});

test('what is let go again at once goes on behind the piece that is worked on', async () => {
  const stream = source();
  const pieces: Buffer[] = [];
  const reading = readInSlices(stream, (piece) => {
    pieces.push(piece);
    reading.pause();
    reading.resume();
  });
  const sent = [block('a\n'), block('b\n'), Buffer.from('c\n')];
  for (const chunk of sent) stream.push(chunk);
  await eventually(() => expect(Buffer.concat(pieces).equals(Buffer.concat(sent))).toBe(true));
});

test('the rest can be had at once when the stream is over', () => {
  const stream = source();
  const pieces: Buffer[] = [];
  const reading = readInSlices(stream, (piece) => {
    pieces.push(piece);
    if (pieces.length === 1) reading.pause();
  });
  stream.emit('data', block('a\n'));
  stream.emit('data', Buffer.from('b\n'));
  expect(pieces).toHaveLength(1);
  reading.finish();
  expect(Buffer.concat(pieces)).toEqual(Buffer.concat([block('a\n'), Buffer.from('b\n')]));
});
