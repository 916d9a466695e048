import { expect, test } from 'vitest';
import { elementsOf, isArray } from '../../../src/mcp/json/elements.ts';

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
