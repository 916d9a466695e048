import { expect, test } from 'vitest';
import { repeatedName } from '../../../src/mcp/json/repeated-name.ts';

test.each([
  ['{"a":1,"a":2}', 'a'],
  ['{"a":{"b":1,"c":{},"b":2}}', 'b'],
  ['[{"a":1},[{"x":[],"a":1 , "a" : 2}]]', 'a'],
  [String.raw`{"a":1,"\u0061":2}`, 'a'],
  [String.raw`{"\"":1,"\u0022":2}`, '"'],
  ['{"a":{"a":1},"b":[{"a":1},{"a":2}],"c":{"b":"a"}}', undefined],
  ['{"a":"b","A":"a","b":":","c":"\\":{"}', undefined],
  ['{"__proto__":1,"constructor":2}', undefined],
  ['"a"', undefined],
  ['[]', undefined],
])('%s: %s', (text, name) => {
  expect(repeatedName(Buffer.from(text))).toBe(name);
});
