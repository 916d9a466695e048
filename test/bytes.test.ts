import { expect, test } from 'vitest';
import { gather, inOnePiece, piecesOf } from '../src/bytes.ts';

const large = [Buffer.alloc(16_384, 'a'), Buffer.alloc(40_000, 'é'), Buffer.alloc(3, 'c')];
const size = 56_387;

test('one piece is what it was', () => {
  const [piece = Buffer.alloc(0)] = large;
  expect(gather([piece], piece.length)).toBe(piece);
  expect(inOnePiece(piece)).toBe(piece);
  expect(piecesOf(piece)).toEqual([piece]);
});

test('large pieces stay apart, and can be put together', () => {
  const bytes = gather(large, size);
  expect(bytes).toMatchObject({ pieces: large, length: size });
  expect(piecesOf(bytes)).toBe(large);
  expect(inOnePiece(bytes)).toEqual(Buffer.concat(large));
  expect(bytes.toString()).toBe(Buffer.concat(large).toString());
});

test('small ones are put together at once', () => {
  const many = Array.from({ length: 100 }, () => Buffer.alloc(1000, 'x'));
  expect(gather(many, 100_000)).toEqual(Buffer.alloc(100_000, 'x'));
  expect(gather([], 0)).toEqual(Buffer.alloc(0));
});
