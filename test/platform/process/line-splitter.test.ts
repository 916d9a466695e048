import { describe, expect, test } from 'vitest';
import { piecesOf, type Bytes } from '../../../src/platform/bytes.ts';
import {
  createLineSplitter,
  type LineSplitter,
  type OverlongLine,
} from '../../../src/platform/process/line-splitter.ts';

interface World {
  readonly splitter: LineSplitter;
  readonly lines: string[];
  readonly overlong: OverlongLine[];
  /** The same, when they became too long. */
  readonly begun: OverlongLine[];
}

function world(maxBytes = 1000): World {
  const lines: string[] = [];
  const overlong: OverlongLine[] = [];
  const begun: OverlongLine[] = [];
  const splitter = createLineSplitter({
    maxBytes,
    onLine: (line) => lines.push(line.toString()),
    onOverlong: (line, isOver) => (isOver ? overlong : begun).push(line),
  });
  return { splitter, lines, overlong, begun };
}

function pushInPieces(splitter: LineSplitter, text: string | Buffer, size: number): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) splitter.push(bytes.subarray(at, at + size));
}

describe('lines come out whole', () => {
  const text = '{"a":1}\n\n{"é😀":2}\r\n\r\n{"b":"\\r"}\r\r\nlast\n';
  const lines = ['{"a":1}', '', '{"é😀":2}', '', '{"b":"\\r"}\r', 'last'];
  const size = Buffer.byteLength(text);

  test.each(Array.from({ length: size }, (_, index) => index + 1))('in chunks of %i bytes', (chunk) => {
    const { splitter, lines: found } = world();
    pushInPieces(splitter, text, chunk);
    expect(found).toEqual(lines);
    expect(splitter.flush()).toBeUndefined();
  });

  test.each(Array.from({ length: size + 1 }, (_, index) => index))('cut at byte %i', (at) => {
    const { splitter, lines: found } = world();
    splitter.push(Buffer.from(text).subarray(0, at));
    splitter.push(Buffer.from(text).subarray(at));
    expect(found).toEqual(lines);
  });

  test('as soon as their line break has come', () => {
    const { splitter, lines: found } = world();
    splitter.push(Buffer.from('one'));
    expect(found).toEqual([]);
    splitter.push(Buffer.from('\ntw'));
    expect(found).toEqual(['one']);
  });

  test('and a line that came in one chunk is not copied', () => {
    const chunk = Buffer.from('one\ntwo\n');
    const found: Bytes[] = [];
    createLineSplitter({ maxBytes: 10, onLine: (line) => found.push(line), onOverlong() {} }).push(chunk);
    expect(found.flatMap(piecesOf).map((piece) => piece.buffer === chunk.buffer)).toEqual([true, true]);
  });

  test('and a long one stays in the chunks in which it came, without its line break', () => {
    const chunks = ['one\n', 'x'.repeat(30_000), 'y'.repeat(40_000), '\r\n', 'z'].map((chunk) => Buffer.from(chunk));
    const found: Bytes[] = [];
    const splitter = createLineSplitter({ maxBytes: 100_000, onLine: (line) => found.push(line), onOverlong() {} });
    for (const chunk of chunks) splitter.push(chunk);
    expect(found.map((line) => [line.length, line.toString()])).toEqual([
      [3, 'one'],
      [70_000, `${'x'.repeat(30_000)}${'y'.repeat(40_000)}`],
    ]);
    expect(found.flatMap(piecesOf).slice(1, 3)).toEqual(chunks.slice(1, 3));
  });

  test('and whoever wants to is told of the parts of a line that has several, as they come', () => {
    const told: string[] = [];
    const splitter = createLineSplitter({
      maxBytes: 10,
      onLine: (line) => told.push(`line ${line.toString()}`),
      onOverlong: (line, isOver) => told.push(`${line.size} bytes${isOver ? '' : ' so far'}`),
      onPart: (part) => told.push(part === undefined ? 'too long' : `part ${part.toString()}`),
    });
    for (const chunk of ['one\nt', 'w', 'o\nthree\n', 'four fi', 've six', 'seven\neight', '\n']) {
      splitter.push(Buffer.from(chunk));
    }
    expect(told).toEqual([
      'line one',
      'part t',
      'part w',
      'part o',
      'line two',
      'line three',
      'part four fi',
      'too long',
      '13 bytes so far',
      '18 bytes',
      'part eight',
      'line eight',
    ]);
  });
});

describe('the rest', () => {
  test('is handed out once, without a carriage return', () => {
    const { splitter, lines } = world();
    splitter.push(Buffer.from('one\nhalf a li'));
    splitter.push(Buffer.from('ne\r'));
    expect(splitter.flush()?.toString()).toBe('half a line');
    expect(splitter.flush()).toBeUndefined();
    splitter.push(Buffer.from('more\n'));
    expect(lines).toEqual(['one', 'more']);
  });

  test('of an overlong line is nothing', () => {
    const { splitter, lines, overlong } = world(10);
    splitter.push(Buffer.from('x'.repeat(50)));
    expect(splitter.flush()).toBeUndefined();
    splitter.push(Buffer.from('ok\n'));
    expect([lines, overlong]).toEqual([['ok'], []]);
  });
});

describe('a line that is too long', () => {
  test.each([1, 7, 64, 5000])('is told of when it ends, in chunks of %i, and the next is read', (chunk) => {
    const { splitter, lines, overlong, begun } = world(100);
    pushInPieces(splitter, `${'a'.repeat(100)}\n${'b'.repeat(101)}\nnext\n`, chunk);
    expect(lines).toEqual(['a'.repeat(100), 'next']);
    expect(overlong.map(({ size }) => size)).toEqual([101]);
    expect(begun.map(({ head }) => head.toString().slice(0, 3))).toEqual(['bbb']);
  });

  // The last bytes may hold the id of the request that fails with it, so they must not depend on where chunks end.
  const line = `HEAD${'h'.repeat(1500)}${'m'.repeat(20_000)}${'t'.repeat(1500)}TAIL`;
  test.each([1, 10, 1000, 1023, 1024, 1025, 4096, 10_000, 23_000, 23_007, 50_000])(
    'shows its first and last 1024 bytes, in chunks of %i',
    (chunk) => {
      const { splitter, overlong } = world(23_000);
      pushInPieces(splitter, `${line}\n`, chunk);
      expect(overlong).toHaveLength(1);
      expect(overlong[0]?.size).toBe(line.length);
      expect(overlong[0]?.head.toString()).toBe(line.slice(0, 1024));
      expect(overlong[0]?.tail.toString()).toBe(line.slice(-1024));
    },
  );

  test('shows its beginning also when a short chunk came before a huge one', () => {
    const { splitter, overlong } = world(100);
    splitter.push(Buffer.from('{"jso'));
    splitter.push(Buffer.from(`nrpc":"2.0","id":7,${'x'.repeat(5000)}\n`));
    expect(overlong[0]?.head.toString()).toMatch(/^\{"jsonrpc":"2\.0","id":7,x+$/);
  });

  test('and never ends is told of when it is too long', () => {
    const { splitter, begun } = world(100);
    splitter.push(Buffer.from('x'.repeat(100)));
    expect(begun).toEqual([]);
    splitter.push(Buffer.from('x'));
    expect(begun.map(({ size }) => size)).toEqual([101]);
    splitter.push(Buffer.from('x'.repeat(5000)));
    expect(begun).toHaveLength(1);
  });

  test('is not kept: what is held of it has a bound', () => {
    const { splitter, overlong } = world(64 * 1024);
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    for (let count = 0; count < 25; count++) splitter.push(chunk);
    splitter.push(Buffer.from('\n'));
    const [kept] = overlong;
    expect(kept?.size).toBe(25 * 1024 * 1024);
    expect((kept?.head.length ?? 0) + (kept?.tail.length ?? 0)).toBeLessThanOrEqual(2048);
    expect(kept?.tail.buffer.byteLength).toBeLessThan(chunk.length);
  });
});
