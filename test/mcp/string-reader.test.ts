import { describe, expect, test } from 'vitest';
import { endOfString, readable, startOfString } from '../../src/mcp/string-reader.ts';

/** Where the string ends whose first quote stands before these pieces; undefined where it goes on behind them. */
function endIn(pieces: readonly Buffer[]): number | undefined {
  const state = startOfString();
  let before = 0;
  for (const piece of pieces) {
    const end = endOfString(readable(piece), 0, state);
    if (end < piece.length) return end === -1 ? -1 : before + end;
    before += piece.length;
  }
  return undefined;
}

/** Whether a string can hold this: the same at each alignment, and in two pieces wherever it is cut. */
function verdict(content: string, filling = ''): boolean {
  const size = Buffer.byteLength(`${filling}${content}${filling}`);
  // What stands around it would be wrong in it.
  const string = Buffer.from(`${filling}${content}${filling}"\\x\n`);
  const verdicts = new Set<number | undefined>();
  for (let offset = 0; offset < 8; offset++) {
    verdicts.add(endIn([Buffer.concat([Buffer.alloc(offset, '\n'), string]).subarray(offset)]));
  }
  const step = Math.max(1, Math.trunc(string.length / 50));
  for (let cut = 0; cut <= string.length; cut += step) {
    verdicts.add(endIn([string.subarray(0, cut), Buffer.from(string.subarray(cut))]));
  }
  expect([...verdicts]).toHaveLength(1);
  expect([size, -1]).toContain([...verdicts][0]);
  return !verdicts.has(-1);
}

function isJson(content: string): boolean {
  try {
    return typeof JSON.parse(`"${content}"`) === 'string';
  } catch {
    return false;
  }
}

const fillings = ['', 'x', 'xyz', 'x'.repeat(15), 'é€😀'.repeat(20), '\\\\\\"'.repeat(9), 'x'.repeat(100)];

describe('the content of a string', () => {
  test.each(fillings)('may hold no control character, amid %j', (filling) => {
    for (let code = 0; code < 0x20; code++) expect(verdict(String.fromCharCode(code), filling)).toBe(false);
    for (const character of [' ', '!', '\u007f', '\u0080', '\u2028', '\ufeff', '\u{10ffff}']) {
      expect(verdict(character, filling)).toBe(true);
    }
  });

  test.each(fillings)('may hold the escapes that JSON has, and no others, amid %j', (filling) => {
    for (const escape of ['\\"', '\\\\', '\\/', '\\b', '\\f', '\\n', '\\r', '\\t', '\\u0041', '\\uABcd', '\\ud800']) {
      expect(verdict(escape, filling)).toBe(true);
    }
    for (const wrong of [
      '\\x',
      '\\N',
      '\\0',
      "\\'",
      '\\u',
      '\\u12',
      '\\u123g',
      '\\U0041',
      '\\u 041',
      '\\é',
      '\\\\\\a',
    ]) {
      expect(verdict(wrong, filling)).toBe(false);
    }
  });

  test('goes on where it has no end, or ends in the middle of an escape', () => {
    for (const cut of ['', 'x', 'xxxx', '\\', 'x\\', '\\\\\\', '\\u004', '\\"', 'xxxxxxx\\"']) {
      expect(endIn([Buffer.from(cut)])).toBeUndefined();
    }
  });

  test('is read through whatever number of pieces', () => {
    const content = `${'x'.repeat(50)}\\"\\\\\\u00e9é\\n`.repeat(20);
    for (const size of [1, 2, 3, 5, 17]) {
      const text = Buffer.from(`${content}"`);
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
        text.subarray(at * size, (at + 1) * size),
      );
      expect(endIn(pieces)).toBe(text.length - 1);
    }
  });

  test('is what a parser takes', () => {
    const parts = ['x', '\\', '"', 'u', 'n', '\u0001', '\n', 'é', '0041', ' ', '\u001f'];
    let seed = 1;
    const next = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    const seen = [0, 0];
    for (let round = 0; round < 3000; round++) {
      const content = Array.from({ length: next(40) }, () => parts[next(8) === 0 ? next(parts.length) : 0]).join('');
      // A quote ends a string, so no content has one that is not escaped.
      if (/^(?:[^"\\]|\\.)*"/s.test(content)) continue;
      const expected = isJson(content);
      expect([content, verdict(content)]).toEqual([content, expected]);
      seen[Number(expected)] = (seen[Number(expected)] ?? 0) + 1;
    }
    expect(Math.min(...seen)).toBeGreaterThan(300);
  });
});
