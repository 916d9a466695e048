import { expect, test } from 'vitest';
import { compactJson } from '../../../src/mcp/json/compact.ts';

test.each([
  [' { "a" : [ 1 , 2.0 ] , "b" : null }\n', '{"a":[1,2.0],"b":null}'],
  ['{"n":9007199254740993,"m":1e999,"z":-0.0}', '{"n":9007199254740993,"m":1e999,"z":-0.0}'],
  [String.raw`"\u0072m\/\u00fc \" \\ \n ü"`, String.raw`"rm/ü \" \\ \n ü"`],
  [String.raw`{"a \" b":"{ , }"}`, String.raw`{"a \" b":"{ , }"}`],
  ['"\\ud800"', '"\\ud800"'],
  ['7', '7'],
  ['{}', '{}'],
])('%s: %s', (text, compact) => {
  expect(compactJson(Buffer.from(text))).toBe(compact);
});
