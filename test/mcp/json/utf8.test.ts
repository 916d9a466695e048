import { isUtf8 } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { createUtf8Check } from '../../../src/mcp/json/utf8.ts';

function areUtf8(pieces: readonly Buffer[]): boolean {
  const check = createUtf8Check();
  return pieces.every((piece) => check.push(piece)) && check.isComplete();
}

/** The verdict on a text however it is cut in three; the cuts must agree. */
function verdict(text: Buffer): boolean {
  const verdicts = new Set<boolean>();
  for (let first = 0; first <= text.length; first++) {
    for (let second = first; second <= text.length; second++) {
      verdicts.add(areUtf8([text.subarray(0, first), text.subarray(first, second), text.subarray(second)]));
    }
  }
  verdicts.add(areUtf8(Array.from(text, (byte) => Buffer.from([byte]))));
  expect(verdicts.size).toBe(1);
  return verdicts.has(true);
}

describe('a text in pieces', () => {
  test.each(['', 'plain', 'é', '€', '😀', 'aé€😀z', '\u0000\u007f\u0080\u07ff\u0800\uffff\u{10000}\u{10ffff}'])(
    'is UTF-8 wherever it is cut: %j',
    (text) => {
      expect(verdict(Buffer.from(text))).toBe(true);
    },
  );

  test.each([
    ['a byte that stands alone', [0x80]],
    ['a character without its end', [0x61, 0xe2, 0x82]],
    ['a character without its end in the middle', [0xe2, 0x82, 0x61]],
    ['one byte too many', [0xc3, 0xa9, 0xa9]],
    ['three too many', [0x61, 0x80, 0x80, 0x80, 0x80]],
    ['an overlong character', [0xc0, 0xaf]],
    ['an overlong one of three bytes', [0xe0, 0x80, 0xaf]],
    ['half of a pair of surrogates', [0xed, 0xa0, 0x80]],
    ['more than Unicode has', [0xf4, 0x90, 0x80, 0x80]],
    ['a byte that is never used', [0x61, 0xff, 0x61]],
  ])('with %s is none', (_what, bytes) => {
    expect(verdict(Buffer.from(bytes))).toBe(false);
  });

  test('is judged as a whole text is', () => {
    const parts = [[0x61], [0xc3, 0xa9], [0xe2, 0x82, 0xac], [0xf0, 0x9f, 0x98, 0x80], [0x80], [0xe2], [0xf0, 0x9f]];
    let seed = 1;
    const next = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    const seen = [0, 0];
    for (let round = 0; round < 500; round++) {
      const text = Buffer.from(Array.from({ length: next(5) }, () => parts[next(next(3) === 0 ? 7 : 4)] ?? []).flat());
      expect([[...text], verdict(text)]).toEqual([[...text], isUtf8(text)]);
      seen[Number(isUtf8(text))] = (seen[Number(isUtf8(text))] ?? 0) + 1;
    }
    expect(Math.min(...seen)).toBeGreaterThan(50);
  });
});
