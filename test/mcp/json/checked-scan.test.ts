import { describe, expect, test } from 'vitest';
import { skipSpaces, skipValue } from '../../../src/mcp/json/checked-scan.ts';
import { createRandom } from '../../harness/random.ts';
import { randomValue, spoiled, written } from './texts.ts';

/** Whether the text is one value, with blanks around it at most. */
function isValue(text: string, maxDepth = 10): boolean {
  const bytes = Buffer.from(text);
  const end = skipValue(bytes, skipSpaces(bytes, 0), maxDepth);
  return end !== -1 && skipSpaces(bytes, end) === bytes.length;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('a value', () => {
  test.each(
    [
      ['0', '-0', '7', '10', '-12', '0.5', '1.25', '1e5', '1E+5', '1e-05', '-1.5e10', '123456789012345678901234567890'],
      ['""', '"x"', '"é😀"', String.raw`"\"\\\/\b\f\n\r\t\u00e9\uD83D"`, '"\u007f"', '"\u2028"'],
      ['true', 'false', 'null', '[]', '[ ]', '{}', '{ }', '[1]', '[ 1 , 2 ]', '{"a":1}', '{ "a" : [ { } ] , "" : "" }'],
    ].flat(),
  )('%s is passed over', (text) => {
    expect([isJson(text), isValue(text), isValue(` ${text}  `), isValue(`[${text},{"x":${text}}]`)]).toEqual([
      true,
      true,
      true,
      true,
    ]);
  });

  test.each(
    [
      ['', ' ', '-', '+1', '01', '-01', '.5', '1.', '1.e5', '1e', '1e+', '0x1', '1_0', 'NaN', 'Infinity', '١'],
      ['"', '"\\', '"\\"', '"\\x"', '"\\u12"', '"\\u12g4"', '"\n"', '"\t"', '"\u0000"', "'x'", '"x'],
      ['tru', 'True', 'truee', 'nul', 'undefined', '[', ']', '[1', '[1,]', '[,1]', '[1 2]', '[1]]', '[}', '[1,'],
      [
        '{',
        '}',
        '{"a"}',
        '{"a":}',
        '{"a":1,}',
        '{,"a":1}',
        '{"a" 1}',
        '{a:1}',
        '{1:1}',
        '{"a":1 "b":2}',
        '{"a":1]',
        '{"a":1,',
      ],
    ].flat(),
  )('%j is none', (text) => {
    expect([isJson(text), isValue(text), isValue(`[1,${text}]`)]).toEqual([false, false, false]);
  });

  test('on several lines, or with tabs, is left to a parser', () => {
    for (const text of ['[1,\n2]', '{\r\n}', '\t1', '[1\t]', '1\n'])
      expect([isJson(text), isValue(text)]).toEqual([true, false]);
  });

  test('may nest as deep as it is said', () => {
    expect([isValue('[[1]]', 2), isValue('[[1]]', 1), isValue('{"a":{}}', 2), isValue('{"a":{}}', 1)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect(isValue('1', 0)).toBe(true);
    expect(isValue('[', 0)).toBe(false);
  });

  test('is one exactly when a parser takes it', () => {
    const random = createRandom(5);
    const seen = [0, 0];
    for (let round = 0; round < 60_000; round++) {
      const text = spoiled(written(randomValue(random), random), random);
      const expected = isJson(text);
      expect([text, isValue(text)]).toEqual([text, expected]);
      seen[Number(expected)] = (seen[Number(expected)] ?? 0) + 1;
    }
    expect(Math.min(...seen)).toBeGreaterThan(15_000);
  });
});
