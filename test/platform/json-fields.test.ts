import { expect, test } from 'vitest';
import { fieldsOf, parseFields } from '../../src/platform/json-fields.ts';

test.each([null, undefined, 'text', 7, [1], true])('%j has no fields', (value) => {
  expect(fieldsOf(value)).toEqual({});
});

test.each(['', 'plain text', '{"a":', '[1]', 'null', '"a"'])('%j is no object', (text) => {
  expect(parseFields(text)).toEqual({});
});

test('an object, whatever its fields are called', () => {
  expect(parseFields('{"a":{"b":1}}')).toEqual({ a: { b: 1 } });
  const fields = parseFields('{"__proto__":{"polluted":true}}');
  expect([Object.keys(fields), Object.getPrototypeOf(fields)]).toEqual([['__proto__'], Object.prototype]);
});
