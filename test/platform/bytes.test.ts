import { expect, test } from 'vitest';
import { gather, inOnePiece, PieceCollector, piecesOf } from '../../src/platform/bytes.ts';

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

test('pieces that are collected come out in order, and large ones as they came', () => {
  const collector = new PieceCollector();
  const pieces = ['a', 'bc', '', 'd'.repeat(3000), 'e'.repeat(20_000), 'f', 'g'.repeat(70_000), 'h'].map((text) =>
    Buffer.from(text),
  );
  for (const piece of pieces) collector.push(piece);
  const whole = Buffer.concat(pieces);
  expect(collector.length).toBe(whole.length);
  const taken = collector.take();
  expect(Buffer.concat(taken)).toEqual(whole);
  expect(taken).toContain(pieces[4]);
  expect(taken).toContain(pieces[6]);
  expect([collector.length, collector.take()]).toEqual([0, []]);
  collector.push(Buffer.from('again'));
  expect(collector.takeWhole().toString()).toBe('again');
});

test('of many short pieces no more is kept than their bytes', () => {
  const collector = new PieceCollector();
  for (let count = 0; count < 100_000; count++) collector.push(Buffer.from('x'));
  const taken = collector.take();
  const kept = new Set(taken.map(({ buffer }) => buffer));
  expect(taken.length).toBeLessThan(20);
  expect([...kept].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThan(300_000);
});
