import { expect, test } from 'vitest';
import { createFrameReader } from '../../../../src/tunnel/relay/protocol/frame-reader.ts';
import { frame, numbersFrame } from '../hostile-agent.ts';

const bytes = Buffer.concat([
  frame(4, 0, 0, Buffer.alloc(12)),
  frame(1, 4, 1, Buffer.alloc(300)),
  frame(0, 1, 1),
  numbersFrame(7, 0, [1, 11]),
  frame(7, 0, 0, Buffer.alloc(4)),
  frame(6, 1, 0, Buffer.alloc(8)),
]);
const seen = [
  [4, 0, 12, 0],
  [1, 4, 300, 0],
  [0, 1, 0, 0],
  [7, 0, 8, 11],
  [7, 0, 4, 0],
  [6, 1, 8, 0],
];

test.each([1, 2, 7, 9, 10, 64, 10_000])('frames in pieces of %i bytes, after a preface and without one', (size) => {
  for (const preface of ['', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n']) {
    const found: number[][] = [];
    const read = createFrameReader(({ type, flags, length, errorCode }) => {
      found.push([type, flags, length, errorCode]);
    });
    const all = Buffer.concat([Buffer.from(preface), bytes]);
    read(Buffer.alloc(0));
    for (let at = 0; at < all.length; at += size) read(all.subarray(at, at + size));
    expect(found).toEqual(seen);
  }
});
