import { describe, expect, test } from 'vitest';
import { LongStringElider } from '../../../src/mcp/json/elide-long-strings.ts';
import { contentBlockBytes, endOfContentIn } from '../../../src/mcp/json/string-content.ts';

const quote = 0x22;

/** Long enough to be elided. */
const long = 'z'.repeat(5000);

function isRead(content: string): boolean {
  const text = Buffer.from(`${content}"\\x\n`);
  const end = endOfContentIn(text, 0);
  const isWhole = end === Buffer.byteLength(content);
  // What follows the quote would be wrong in a string.
  expect(isWhole).toBe(text[end] === quote);
  return isWhole;
}

/** Whether a text with this in a long string is elided: the same in one piece, and in two wherever it is cut. */
function isElided(content: string): boolean {
  const text = Buffer.from(`["${long}${content}"]`);
  const verdicts = new Set<boolean>();
  const size = Buffer.byteLength(content) + 4;
  for (let cut = text.length - size; cut <= text.length; cut += Math.max(1, Math.trunc(size / 50))) {
    const elider = new LongStringElider();
    const isTaken = [text.subarray(0, cut), text.subarray(cut)].every((piece) => elider.push(Buffer.from(piece)));
    verdicts.add(isTaken && elider.end()?.toString() === '[null]');
  }
  expect([...verdicts]).toHaveLength(1);
  return verdicts.has(true);
}

/** Whether a string can hold this. */
function verdict(content: string, filling = ''): boolean {
  const whole = `${filling}${content}${filling}`;
  const [read, elided] = [isRead(whole), isElided(whole)];
  expect([whole, elided]).toEqual([whole, read]);
  return read;
}

function isJson(content: string): boolean {
  try {
    return typeof JSON.parse(`"${content}"`) === 'string';
  } catch {
    return false;
  }
}

const fillings = [
  '',
  'x',
  'xyz',
  'x'.repeat(15),
  'é€😀'.repeat(20),
  '\\\\\\"'.repeat(9),
  'x'.repeat(100),
  'y'.repeat(300),
];

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

  test.each(['', 'x', '\\', 'x\\', '\\\\\\', '\\u004', '\\"'])('has no end in %j', (cut) => {
    const text = Buffer.from(`["${long}${cut}`);
    const elider = new LongStringElider();
    expect(elider.push(text)).toBe(true);
    expect(elider.end()).toBeUndefined();
    expect(endOfContentIn(text.subarray(2), 0)).toBeGreaterThanOrEqual(long.length);
    expect(text[2 + endOfContentIn(text.subarray(2), 0)]).not.toBe(quote);
  });

  test.each([1, 2, 3, 5, 17, 256, 300])('is read through pieces of %i bytes', (size) => {
    const text = Buffer.from(`["${`${'x'.repeat(50)}\\"\\\\\\u00e9é\\n`.repeat(100)}",1]`);
    const elider = new LongStringElider();
    for (let at = 0; at < text.length; at += size)
      expect(elider.push(Buffer.from(text.subarray(at, at + size)))).toBe(true);
    expect(elider.end()?.toString()).toBe('[null,1]');
  });

  test.each([`${'x'.repeat(61)}\\u00e9\\"`, '\\\\', '\\"', '\\u00e9'])(
    'is read on in blocks, whatever is cut by their ends: %s',
    (line) => {
      const content = line.repeat(Math.ceil((3 * contentBlockBytes) / line.length));
      for (const shift of ['', 'x', 'xx', 'xxx']) {
        expect(isRead(shift + content)).toBe(true);
        expect(isRead(`${shift}${content}\\x${line}`)).toBe(false);
        expect(isElided(shift + content)).toBe(true);
        expect(isElided(`${shift}${content}\\x${line}`)).toBe(false);
      }
    },
  );

  test('is what a parser takes', () => {
    const parts = ['x', '\\', '"', 'u', 'n', '\u0001', '\n', 'é', '0041', ' ', '\u001f'];
    let seed = 1;
    const next = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    const seen = [0, 0];
    for (let round = 0; round < 3000; round++) {
      const filling = round % 3 === 0 ? 'z'.repeat(260) : '';
      const content = Array.from({ length: next(40) }, () => parts[next(8) === 0 ? next(parts.length) : 0]).join('');
      // A quote ends a string, so no content has one that is not escaped.
      if (/^(?:[^"\\]|\\.)*"/s.test(content)) continue;
      const expected = isJson(content);
      expect([content, verdict(content, filling)]).toEqual([content, expected]);
      seen[Number(expected)] = (seen[Number(expected)] ?? 0) + 1;
    }
    expect(Math.min(...seen)).toBeGreaterThan(300);
  });
});
