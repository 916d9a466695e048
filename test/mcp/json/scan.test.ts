import { describe, expect, test } from 'vitest';
import { elementsOf, exceedsDepth, isArray } from '../../../src/mcp/json/scan.ts';

function exceeds(text: string, maxDepth: number): boolean {
  return exceedsDepth(Buffer.from(text), maxDepth);
}

/** A buffer that counts the bytes which are looked at, one by one or by searching. */
function countingBuffer(bytes: Buffer): { buffer: Buffer; looks: () => number } {
  let looks = 0;
  const indexOf = (byte: number, from = 0): number => {
    const found = bytes.indexOf(byte, from);
    looks += (found === -1 ? bytes.length : found + 1) - from;
    return found;
  };
  const buffer = new Proxy(bytes, {
    get(target, name) {
      if (name === 'indexOf') return indexOf;
      if (name === 'length') return target.length;
      looks++;
      return target[Number(name)];
    },
  });
  return { buffer, looks: () => looks };
}

describe('the limit is exact', () => {
  test.each([
    ['arrays', '[', ']'],
    ['objects', '{"a":', '}'],
    ['both in turn', '[{"a":', '}]'],
  ])('%s', (_what, open, close) => {
    const levels = open.length > 1 && open.startsWith('[') ? 2 : 1;
    const text = (count: number): string => `${open.repeat(count)}1${close.repeat(count)}`;
    expect(exceeds(text(4), 4 * levels)).toBe(false);
    expect(exceeds(text(4), 4 * levels - 1)).toBe(true);
    expect(exceeds(text(5), 4 * levels)).toBe(true);
  });

  test('what is closed no longer counts', () => {
    expect(exceeds(`[${'[],{},'.repeat(1000)}[]]`, 2)).toBe(false);
    expect(exceeds(`[${'[],{},'.repeat(1000)}[[]]]`, 2)).toBe(true);
  });

  test('text that never closes anything counts as deep as it opens', () => {
    expect(exceeds('[[[', 3)).toBe(false);
    expect(exceeds('[[[[', 3)).toBe(true);
  });
});

describe('brackets inside strings do not count', () => {
  test.each([
    ['plain', '["[[[[[[[["]'],
    ['behind an escaped quote', String.raw`["\"[[[[[[[["]`],
    ['behind an escaped backslash and an escaped quote', String.raw`["\\\"[[[[[[[["]`],
    ['in a member name', '{"{{{{{{{{":1}'],
    ['in a string that never ends', '["[[[[[[[['],
  ])('%s', (_what, text) => {
    expect(exceeds(text, 2)).toBe(false);
  });

  test.each([
    ['a string that ends with an escaped backslash', String.raw`["a\\",[[[[[[[[`],
    ['a string that ends with two escaped backslashes', String.raw`["\\\\",[[[[[[[[`],
    ['an empty string', '["",[[[[[[[['],
    ['a string of one escaped quote', String.raw`["\"",[[[[[[[[`],
  ])('those behind %s do', (_what, text) => {
    expect(exceeds(text, 2)).toBe(true);
  });
});

describe('the work is linear in the size', () => {
  const size = 200_000;
  test.each([
    ['open brackets', '['],
    ['many small arrays', '[],'],
    ['escaped quotes in one string', String.raw`\"`],
    ['backslashes', '\\'],
    ['short strings', '"a",'],
    ['strings that end with a backslash pair', String.raw`"\\",`],
  ])('%s', (_what, unit) => {
    const text = Buffer.from(`${'[],'.repeat(600)}"${unit.repeat(size / unit.length)}`);
    const { buffer, looks } = countingBuffer(text);
    exceedsDepth(buffer, 512);
    expect(looks()).toBeGreaterThan(0);
    expect(looks()).toBeLessThan(6 * text.length);
  });

  test('a text with few brackets is not walked through', () => {
    const { buffer, looks } = countingBuffer(Buffer.from(`{"a":"${'x'.repeat(size)}"}`));
    expect(exceedsDepth(buffer, 512)).toBe(false);
    expect(looks()).toBeLessThan(2.1 * size);
  });
});

const elements = (text: string, max = 100): unknown => {
  const found = elementsOf(Buffer.from(text), max);
  return Array.isArray(found) ? found.map(String) : found;
};

test.each([
  ['[]', []],
  [' [ \n ] ', []],
  ['[1]', ['1']],
  ['[1 ,\t"a,]b"\r, {"a":[1,"}"]}\n,[],null]', ['1', '"a,]b"', '{"a":[1,"}"]}', '[]', 'null']],
  ['["\\"",2]', ['"\\""', '2']],
])('%j is cut as it is written', (text, expected) => {
  expect(elements(text)).toEqual(expected);
});

test.each(['[', '[1', '[1,', '[1,]', '[,1]', '[1 2]', '[1]2', '[1]]', '[[1]', '[INFO] up', '[}'])(
  '%j is no array',
  (text) => {
    expect(elements(text)).toBeUndefined();
  },
);

test('more than may be are not even cut', () => {
  expect(elements('[1,2,3]', 3)).toHaveLength(3);
  expect(elements('[1,2,3,4]', 3)).toBe('too many');
  expect(elements(`[1,2,3,${'x'.repeat(10)}`, 3)).toBe('too many');
});

test('an array is told by its first byte', () => {
  expect([' [', '\n[', '{', '', ' '].map((text) => isArray(Buffer.from(text)))).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});
