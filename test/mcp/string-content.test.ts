import { describe, expect, test } from 'vitest';
import { isStringContent } from '../../src/mcp/string-content.ts';

/** As part of a longer text at each of 16 alignments, the answer for `content` alone; they must agree. */
function verdict(content: string, filling = ''): boolean {
  const bytes = Buffer.from(filling + content + filling);
  const verdicts = Array.from({ length: 16 }, (_, offset) => {
    // What stands around it would be wrong in it.
    const text = Buffer.concat([Buffer.alloc(offset, '\n'), bytes, Buffer.from('\\x\n')]);
    return isStringContent(text, offset, offset + bytes.length, Infinity);
  });
  expect(new Set(verdicts).size).toBe(1);
  return verdicts[0] === true;
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

  test('is cut in no escape', () => {
    for (const cut of ['\\', 'x\\', '\\\\\\', '\\u004']) expect(verdict(cut)).toBe(false);
    expect(isStringContent(Buffer.from('\\u0041'), 0, 5, Infinity)).toBe(false);
    expect(isStringContent(Buffer.from('a\\n'), 0, 2, Infinity)).toBe(false);
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

test('it is given up at more escapes than are worth it', () => {
  const text = Buffer.from('\\n'.repeat(10));
  expect([9, 9.5, 10].map((most) => isStringContent(text, 0, text.length, most))).toEqual([false, false, true]);
});
