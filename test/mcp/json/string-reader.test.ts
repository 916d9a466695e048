import type * as StringReading from '../../../src/mcp/json/string-reader.ts';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

let reading: typeof StringReading;

/** Where the string ends whose first quote stands before these pieces; undefined where it goes on behind them. */
function endIn(pieces: readonly Buffer[]): number | undefined {
  const state = reading.startOfString();
  let before = 0;
  for (const piece of pieces) {
    const end = reading.readStrings(piece).endOf(0, state);
    if (end < piece.length) return end === -1 ? -1 : before + end;
    before += piece.length;
  }
  return undefined;
}

/** Whether a string can hold this: the same in one piece, and in two wherever it is cut. */
function verdict(content: string, filling = ''): boolean {
  const size = Buffer.byteLength(`${filling}${content}${filling}`);
  // What stands around it would be wrong in it.
  const string = Buffer.from(`${filling}${content}${filling}"\\x\n`);
  const verdicts = new Set<number | undefined>([endIn([string])]);
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

describe.each(['with WebAssembly', 'without'])('the content of a string, %s', (how) => {
  beforeEach(async () => {
    vi.resetModules();
    if (how === 'without') vi.stubGlobal('WebAssembly', undefined);
    reading = await import('../../../src/mcp/json/string-reader.ts');
  });

  afterEach(() => {
    vi.unstubAllGlobals();
  });

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
      expect(endIn([Buffer.from(`${'x'.repeat(300)}${cut}`)])).toBeUndefined();
    }
  });

  test('is read through whatever number of pieces', () => {
    const content = `${'x'.repeat(50)}\\"\\\\\\u00e9é\\n`.repeat(20);
    for (const size of [1, 2, 3, 5, 17, 256, 300]) {
      const text = Buffer.from(`${content}"`);
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
        text.subarray(at * size, (at + 1) * size),
      );
      expect(endIn(pieces)).toBe(text.length - 1);
    }
  });

  test('is read on in a piece that is longer than what can be scanned at once', () => {
    const line = `${'x'.repeat(61)}\\u00e9\\"`;
    const text = Buffer.from(`${line.repeat(6000)}"${line}`);
    expect(endIn([text])).toBe(6000 * line.length);
    const wrong = Buffer.from(`${line.repeat(6000)}\\x${line}`);
    expect(endIn([wrong])).toBe(-1);
  });

  test('is read in turns with that of another text', () => {
    const [first, second] = [
      Buffer.from(`${'x'.repeat(400)}"`.repeat(3)),
      Buffer.from(`${'y'.repeat(300)}"`.repeat(4)),
    ];
    const [one, other] = [reading.readStrings(first), reading.readStrings(second)];
    const state = reading.startOfString();
    const ends = [one.endOf(0, state), other.endOf(0, state), one.endOf(401, state), other.endOf(301, state)];
    expect(ends).toEqual([400, 300, 801, 601]);
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
