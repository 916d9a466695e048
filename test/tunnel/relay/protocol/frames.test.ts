import { describe, expect, test } from 'vitest';
import { frameHeader, FrameReader, numberFrame } from '../../../../src/tunnel/relay/protocol/frames.ts';
import { createRandom, type Random } from '../../../harness/random.ts';
import { rawFrame } from './raw-frame.ts';

const seed = Number(process.env['FRAMES_SEED'] ?? 20_261_129);
const maxHeadBytes = 65_528;

type Seen = [kind: string, id: number, content: string | number, isEnd?: boolean];

/** A reader, and what it has passed on: the parts of one data frame together. */
function collect() {
  const seen: Seen[] = [];
  const parts: Buffer[] = [];
  const reader = new FrameReader({
    // Of data, each part is a frame here; see below.
    onFrame: (type, length) => void (type === 2 || seen.push(['frame', type, length])),
    onHead: (id, head, isEnd) => void seen.push(['head', id, head.toString('latin1'), isEnd]),
    onData(id, bytes, isEnd) {
      parts.push(bytes);
      const last = seen.at(-1);
      const isMore = last?.[0] === 'data';
      // After the end nothing of the frame may come.
      if (isMore && last[3] === true) throw new Error('data behind the end of its frame');
      if (isMore) seen.pop();
      seen.push(['data', id, `${isMore ? last[2] : ''}${bytes.toString('latin1')}`, isEnd]);
      return undefined;
    },
    onReset: (id, code) => void seen.push(['reset', id, code]),
    onWindow: (id, bytes) => void seen.push(['window', id, bytes]),
  });
  return { reader, seen, parts };
}

/** Reads bytes in pieces of this size, as a pipe passes them on. Returns why the connection has to end. */
function readInPieces(reader: FrameReader, bytes: Buffer, size: number): string | undefined {
  for (let at = 0; at < bytes.length; at += size) {
    const fault = reader.read(bytes.subarray(at, at + size));
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** Literals, never values from src: other implementations write and read these bytes. */
describe('pins of the frames', () => {
  const request = '{"method":"GET","path":"/","headers":[]}';
  const response = '{"status":200,"headers":["a","b"]}';
  const frames: Array<[name: string, hex: string, text: string, seen: Seen[]]> = [
    [
      'the head of a request',
      '0000280100000001',
      request,
      [
        ['frame', 1, 40],
        ['head', 1, request, false],
      ],
    ],
    [
      'the same without a body',
      '0000288100000001',
      request,
      [
        ['frame', 1, 40],
        ['head', 1, request, true],
      ],
    ],
    [
      'the head of a response',
      '000022010000000a',
      response,
      [
        ['frame', 1, 34],
        ['head', 10, response, false],
      ],
    ],
    ['data', '0000020200000007', 'ok', [['data', 7, 'ok', false]]],
    ['the last data', '00000282ffffffff', 'ok', [['data', 4_294_967_295, 'ok', true]]],
    ['an end without data', '0000008201020304', '', [['data', 16_909_060, '', true]]],
    [
      'a reset: cancelled',
      '000004030000000100000000',
      '',
      [
        ['frame', 3, 4],
        ['reset', 1, 0],
      ],
    ],
    [
      'a reset: refused',
      '000004030000000100000001',
      '',
      [
        ['frame', 3, 4],
        ['reset', 1, 1],
      ],
    ],
    [
      'a reset: failed',
      '000004030000000100000002',
      '',
      [
        ['frame', 3, 4],
        ['reset', 1, 2],
      ],
    ],
    [
      'a window',
      '000004040000000100040000',
      '',
      [
        ['frame', 4, 4],
        ['window', 1, 262_144],
      ],
    ],
    ['a type of a later version', '0000030500000001', 'new', [['frame', 5, 3]]],
  ];

  test.each(frames)('%s is read from its bytes', (_name, hex, text, expected) => {
    const { reader, seen } = collect();
    expect(reader.read(Buffer.concat([Buffer.from(hex, 'hex'), Buffer.from(text)]))).toBeUndefined();
    expect(seen).toEqual(expected);
  });

  test('headers and numbers are written as these bytes', () => {
    expect(frameHeader(0x82, 0x01020304, 0x0a0b0c).toString('hex')).toBe('0a0b0c8201020304');
    expect(numberFrame(4, 0xfffffffe, 0xa0b0c0d0).toString('hex')).toBe('00000404fffffffea0b0c0d0');
  });

  test('the helper of these tests writes the same', () => {
    expect(rawFrame(0x82, 7, 'ok').toString('hex')).toBe('00000282000000076f6b');
    expect(rawFrame(4, 1, 262_144).toString('hex')).toBe('000004040000000100040000');
    expect(rawFrame(2, 1, Buffer.alloc(65_538)).subarray(0, 4).toString('hex')).toBe('01000202');
  });
});

interface Written {
  readonly bytes: Buffer;
  readonly seen: Seen[];
}

function randomFrame(random: Random): Written {
  const id = random.pick([1, 2, 255, 65_537, 4_294_967_295]);
  const kind = random.pick(['head', 'data', 'data', 'data', 'reset', 'window', 'later']);
  if (kind === 'reset' || kind === 'window') {
    const value = random.pick([0, 1, 2, 4_294_967_295, random.below(2 ** 32)]);
    const type = kind === 'reset' ? 3 : 4;
    return {
      bytes: rawFrame(type, id, value),
      seen: [
        ['frame', type, 4],
        [kind, id, value],
      ],
    };
  }
  const length = random.pick([0, 1, 7, 8, 9, random.below(300), random.below(1_000)]);
  const content = Buffer.from(Array.from({ length }, () => random.below(256)));
  const isEnd = random.below(3) === 0;
  const type = kind === 'head' ? 1 : kind === 'data' ? 2 : random.pick([0, 5, 6, 64, 127]);
  const bytes = rawFrame(isEnd ? type + 0x80 : type, id, content);
  const frame: Seen = ['frame', type, length];
  const payload: Seen = [kind, id, content.toString('latin1'), isEnd];
  // What comes behind data tells where it ends.
  const behind: Seen[] = [
    ['frame', 4, 4],
    ['window', id, 1],
  ];
  if (kind === 'data') return { bytes: Buffer.concat([bytes, rawFrame(4, id, 1)]), seen: [payload, ...behind] };
  return { bytes, seen: kind === 'later' ? [frame] : [frame, payload] };
}

test('frames that come in pieces of any size are read as they were sent', () => {
  for (let run = 0; run < 400; run += 1) {
    const random = createRandom(seed + run);
    const frames = Array.from({ length: 1 + random.below(20) }, () => randomFrame(random));
    const bytes = Buffer.concat(frames.map((frame) => frame.bytes));
    const { reader, seen } = collect();
    const faults: Array<string | undefined> = [];
    const largest = random.pick([1, 3, 9, 100, 2_000, 100_000]);
    for (let at = 0; at < bytes.length;) {
      const size = 1 + random.below(largest);
      faults.push(reader.read(bytes.subarray(at, at + size)));
      at += size;
    }
    expect(faults.filter((fault) => fault !== undefined)).toEqual([]);
    expect(seen, `run ${run} of FRAMES_SEED=${seed}`).toEqual(frames.flatMap((frame) => frame.seen));
  }
});

test('data is passed on as it comes, without a copy', () => {
  const { reader, parts } = collect();
  const bytes = rawFrame(2, 1, Buffer.alloc(1_000_000));
  readInPieces(reader, bytes, 10_000);
  expect(parts.map((part) => part.length)).toEqual([9_992, ...Array.from({ length: 99 }, () => 10_000), 8]);
  expect(parts.every((part) => part.buffer === bytes.buffer)).toBe(true);
});

test('a data frame may be as long as its length can say', () => {
  const { reader, seen } = collect();
  expect(reader.read(Buffer.from('ffffff8200000001', 'hex'))).toBeUndefined();
  const piece = Buffer.alloc(0x10000);
  for (let count = 0; count < 255; count += 1) reader.read(piece);
  reader.read(piece.subarray(1));
  reader.read(rawFrame(3, 1, 2));
  expect(seen.map(([kind, , , isEnd]) => [kind, isEnd])).toEqual([
    ['data', true],
    ['frame', undefined],
    ['reset', undefined],
  ]);
});

describe.each([1, 5, 8, 13, 1_000, 1_000_000])('in pieces of %i bytes', (size) => {
  test.each([1, 0x81, 3, 4, 5, 0x7f])(
    'a frame of type %i that is not data may have 65,528 bytes, and no more',
    (type) => {
      const isNumber = type === 3 || type === 4;
      const most = collect();
      expect(readInPieces(most.reader, rawFrame(type, 1, Buffer.alloc(maxHeadBytes, 'x')), size)).toBe(
        isNumber ? `a frame of type ${type} has 65528 bytes` : undefined,
      );
      expect(most.seen).toHaveLength((type & 0x7f) === 1 ? 2 : 1);
      const more = collect();
      const bytes = rawFrame(type, 1, Buffer.alloc(maxHeadBytes + 1, 'x'));
      // The header is enough to know.
      expect(readInPieces(more.reader, bytes.subarray(0, 8), size)).toBe('a frame of 65529 bytes that is not data');
      expect(more.seen).toEqual([]);
    },
  );

  test.each([0, 3, 5])('a reset or a window with %i bytes is a fault', (length) => {
    for (const type of [3, 4, 0x83]) {
      const { reader, seen } = collect();
      const bytes = Buffer.concat([rawFrame(type, 1, Buffer.alloc(length)), rawFrame(1, 1, '{}')]);
      expect(readInPieces(reader, bytes, size)).toBe(`a frame of type ${type & 0x7f} has ${length} bytes`);
      expect(seen).toEqual([['frame', type & 0x7f, length]]);
    }
  });
});

const pass = (): undefined => undefined;

test('each part of a data frame that comes alone counts as one', () => {
  const lengths: number[] = [];
  const reader = new FrameReader({
    onFrame: (_type, length) => void lengths.push(length),
    onHead: pass,
    onData: pass,
    onReset: pass,
    onWindow: pass,
  });
  readInPieces(reader, rawFrame(2, 1, 'abc'), 1);
  reader.read(rawFrame(2, 1, 'abc'));
  expect(lengths).toEqual([1, 1, 1, 3]);
});

test('after a fault nothing more of the same bytes is passed on', () => {
  const seen: string[] = [];
  const note = (line: string): string => {
    seen.push(line);
    return line;
  };
  const bytes = Buffer.concat([rawFrame(2, 1, 'x'), rawFrame(1, 1, '{}'), rawFrame(3, 1, 0), rawFrame(4, 1, 0)]);
  for (const faulty of ['onFrame', 'onHead', 'onData', 'onReset', 'onWindow']) {
    const answer = (name: string) => () => (name === faulty ? note(name) : undefined);
    const reader = new FrameReader({
      onFrame: answer('onFrame'),
      onHead: answer('onHead'),
      onData: answer('onData'),
      onReset: answer('onReset'),
      onWindow: answer('onWindow'),
    });
    expect(reader.read(Buffer.concat([bytes, bytes]))).toBe(faulty);
  }
  expect(seen).toEqual(['onFrame', 'onHead', 'onData', 'onReset', 'onWindow']);
});
