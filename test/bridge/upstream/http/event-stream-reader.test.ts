import { describe, expect, test } from 'vitest';
import { EventStreamReader } from '../../../../src/bridge/upstream/http/event-stream-reader.ts';
import { collectGarbage } from '../../../harness/collect-garbage.ts';

interface Seen {
  data?: string;
  id?: string;
  event?: string;
  retry?: number;
  overlong?: { isOver: boolean; size: number; head: string; tail: string };
}

function read(chunks: (string | Buffer)[], maxBytes = 1000): Seen[] {
  const seen: Seen[] = [];
  const reader = new EventStreamReader({
    maxBytes,
    onEvent: ({ data, id, event }) =>
      seen.push({
        data: data.toString(),
        ...(id === undefined ? {} : { id }),
        ...(event === undefined ? {} : { event }),
      }),
    onRetry: (retry) => seen.push({ retry }),
    onOverlong: ({ size, head, tail }, isOver) =>
      seen.push({ overlong: { isOver, size, head: head.toString(), tail: tail.toString() } }),
  });
  for (const chunk of chunks) reader.push(Buffer.from(chunk));
  return seen;
}

/** The same text in pieces of this many bytes. */
function inPieces(text: string, size: number): Buffer[] {
  const bytes = Buffer.from(text);
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.subarray(n * size, (n + 1) * size));
}

describe('events', () => {
  test.each([
    ['two in one chunk', 'data: a\n\ndata: b\n\n', [{ data: 'a' }, { data: 'b' }]],
    ['with a name and an id', 'event: endpoint\nid: 7\ndata: /x\n\n', [{ data: '/x', id: '7', event: 'endpoint' }]],
    ['with an empty id', 'id:\ndata: a\n\n', [{ data: 'a', id: '' }]],
    ['with several lines', 'data: a\ndata: b\n\n', [{ data: 'a\nb' }]],
    ['with CRLF', 'data: a\r\nid: 1\r\n\r\ndata: b\r\n\r\n', [{ data: 'a', id: '1' }, { data: 'b' }]],
    ['with CR', 'data: a\r\rdata: b\r\r', [{ data: 'a' }, { data: 'b' }]],
    ['behind a byte order mark', '\uFEFFdata: a\n\n', [{ data: 'a' }]],
    ['between comments', ': hi\n\n: ho\ndata: a\n\n', [{ data: 'a' }]],
    ['without data', 'id: 1\ndata:\n\n', [{ data: '', id: '1' }]],
    ['with characters of several bytes', 'data: ä€😀\n\n', [{ data: 'ä€😀' }]],
    ['with a time to wait', 'retry: 1500\n\n', [{ retry: 1500 }]],
    ['with a time that is none', 'retry: soon\n\n', []],
    ['with unknown fields', 'x: y\nz\ndata: a\n\n', [{ data: 'a' }]],
    ['that are not complete', 'data: a\n\ndata: b\n', [{ data: 'a' }]],
  ])('%s', (_what, text, events) => {
    expect(read([text])).toEqual(events);
    for (const size of [1, 2, 3, 7]) expect(read(inPieces(text, size))).toEqual(events);
  });
});

test.each(['\n\n', '\r\r', '\n\r', '\r\n\r'])('an event is reported as soon as it is complete (%j)', (end) => {
  const seen: string[] = [];
  const reader = new EventStreamReader({
    maxBytes: 1000,
    onEvent: ({ data }) => seen.push(data.toString()),
    onRetry() {},
    onOverlong() {},
  });
  reader.push(Buffer.from(`data: a${end.slice(0, -1)}`));
  expect(seen).toEqual([]);
  reader.push(Buffer.from(end.slice(-1)));
  expect(seen).toEqual(['a']);
  reader.push(Buffer.from(`data: b${end}`));
  expect(seen).toEqual(['a', 'b']);
});

test('a line feed that comes later than its carriage return is no line of its own', () => {
  // Two lines of one event: an empty line between them would end it.
  expect(read(['data: a\r', '\ndata: b\r', '', '\n', '\r', '\n'])).toEqual([{ data: 'a\nb' }]);
});

const json = (fill: number) => `{"jsonrpc":"2.0","result":{"x":"${'x'.repeat(fill)}"},"id":7}`;

describe('an event that is too long', () => {
  test.each(['\n\n', '\r\n\r\n', '\r\r'])('is skipped, and what follows is read (%j)', (end) => {
    const text = `data: a${end}event: message${end.slice(0, end.length / 2)}data: ${json(5000)}${end}data: b${end}`;
    for (const size of [1, 3, 100, 1024, 4000]) {
      const [first, begin, overlong, last, ...rest] = read(inPieces(text, size));
      expect([first, last, rest]).toEqual([{ data: 'a' }, { data: 'b' }, []]);
      expect([begin?.overlong?.isOver, overlong?.overlong?.isOver]).toEqual([false, true]);
      expect(begin?.overlong?.head).toBe(overlong?.overlong?.head);
      expect(overlong?.overlong?.head).toMatch(/^\{"jsonrpc":"2\.0","result":\{"x":"x+$/);
      expect(overlong?.overlong?.tail).toMatch(/^x+"\},"id":7\}$/);
      expect(overlong?.overlong?.size).toBeGreaterThan(1000);
    }
  });

  test('of many lines is skipped as well', () => {
    const text = `${'data: 123456789\n'.repeat(500)}\ndata: b\n\n`;
    expect(read(inPieces(text, 50)).slice(2)).toEqual([{ data: 'b' }]);
  });

  test('and never ends is reported as soon as it is too long', () => {
    const whole = `data: ${json(5000)}`;
    expect(read(inPieces(whole.slice(0, 1006), 100))).toEqual([]);
    expect(read(inPieces(whole.slice(0, 1007), 100))).toMatchObject([{ overlong: { isOver: false, size: 1001 } }]);
    expect(read(inPieces(`id: ${'x'.repeat(5000)}`, 100))).toMatchObject([{ overlong: { isOver: false } }]);
  });

  test('may be followed by another one', () => {
    const text = `data: ${json(3000)}\n\ndata: ${json(4000)}\n\ndata: b\n\n`;
    expect(read(inPieces(text, 512))).toMatchObject([
      ...[false, true, false, true].map((isOver) => ({ overlong: { isOver } })),
      { data: 'b' },
    ]);
  });
});

test.each([
  ['many short lines', 'data:\n'.repeat(1024), 'data: a\n', 1500],
  ['many short pieces', 'x', 'data: ', 100_000],
])('an event of %s takes no more memory than a few times its bytes', (_what, piece, begin, count) => {
  const seen: number[] = [];
  const reader = new EventStreamReader({
    maxBytes: 64 * 1024 * 1024,
    onEvent: ({ data }) => seen.push(data.length),
    onRetry() {},
    onOverlong() {},
  });
  reader.push(Buffer.from(begin));
  collectGarbage();
  const before = process.memoryUsage();
  for (let n = 0; n < count; n++) {
    // A short one is cut from a larger one, as Node's are.
    reader.push(piece.length > 1 ? Buffer.from(piece) : Buffer.alloc(512, piece).subarray(0, 1));
  }
  collectGarbage();
  const after = process.memoryUsage();
  const grown = after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers;
  reader.push(Buffer.from('\n\n'));
  expect(seen).toHaveLength(1);
  expect(grown).toBeLessThan(5 * 1024 * 1024);
});
