import { describe, expect, test } from 'vitest';
import { jsonMember, parseJsonWithComments } from '../../../src/expose/config/json-with-comments.ts';
import { refusalOf } from './config-file.ts';

const parse = (text: string): ReturnType<typeof parseJsonWithComments> => parseJsonWithComments(text, 'the file');

test('what VS Code takes is read: comments and trailing commas', async () => {
  const text = '// first\n{ "a": [1, true, null, "x // no comment",], /* "b": 2, */ "c": {},}\n// last';
  expect(await parse(text)).toEqual({
    members: [
      ['a', [1, true, null, 'x // no comment']],
      ['c', { members: [] }],
    ],
  });
});

test.each([
  ['1', 1],
  ['"x"', 'x'],
  ['null', null],
  ['[]', []],
])('%s is JSON, too', async (text, value) => {
  expect(await parse(text)).toEqual(value);
});

test('every name is an ordinary one, and all that come twice are there', async () => {
  const parsed = await parse('{"__proto__": {"polluted": 1}, "constructor": 2, "a": 3, "a": 4}');
  expect(parsed).toEqual({
    members: [
      ['__proto__', { members: [['polluted', 1]] }],
      ['constructor', 2],
      ['a', 3],
      ['a', 4],
    ],
  });
  expect(Object.prototype).not.toHaveProperty('polluted');
});

test('a member is the last one of its name; null is none', () => {
  const object = {
    members: [
      ['a', 1],
      ['a', 2],
      ['b', 1],
      ['b', null],
    ] as const,
  };
  expect(jsonMember(object, 'a')).toBe(2);
  expect(jsonMember(object, 'b')).toBeUndefined();
  expect(jsonMember(object, 'toString')).toBeUndefined();
});

describe('the first mistake is named with its place', () => {
  test.each([
    ['', 'value expected at line 1, column 1'],
    ['   \n ', 'value expected at line 2, column 2'],
    ['{"a": 1 "b": 2}', 'comma expected at line 1, column 9'],
    ['{\n  "a": 1,\r\n  b: 2\n}', 'invalid symbol at line 3, column 3'],
    ['{"a": }', 'value expected at line 1, column 7'],
    ['{"a": 1', 'close brace expected at line 1, column 8'],
    ['[1, 2', 'close bracket expected at line 1, column 6'],
    ['{"a" 1}', 'colon expected at line 1, column 6'],
    ['{} {}', 'end of file expected at line 1, column 4'],
    ['{"a": "x', 'unexpected end of string at line 1, column 7'],
    ['/* {}', 'unexpected end of comment at line 1, column 1'],
    ["{'a': 1}", 'invalid symbol at line 1, column 2'],
  ])('%j', async (text, mistake) => {
    const { code, message } = await refusalOf(parse(text));
    expect([code, message]).toEqual(['config_unusable', `the file is not JSON: ${mistake}`]);
  });

  test('without showing what is there', async () => {
    const { message, hints, cause } = await refusalOf(parse('{"key": sk-secret}'));
    expect([message, hints, cause]).toEqual([
      'the file is not JSON: invalid symbol at line 1, column 9',
      [],
      undefined,
    ]);
  });
});

describe('nesting', () => {
  test('of 100 levels is read', async () => {
    expect(await parse('['.repeat(100) + ']'.repeat(100))).toBeInstanceOf(Array);
  });

  test.each([
    ['lists', '['.repeat(101) + ']'.repeat(101), 101],
    ['lists without an end', '['.repeat(1_000_000), 101],
    ['objects', '{"a":'.repeat(150_000), 501],
  ])('of more %s is refused', async (_what, text, column) => {
    const { message } = await refusalOf(parse(text));
    expect(message).toBe(`the file is nested deeper than 100 levels at line 1, column ${column}`);
  });

  test('brackets in texts and comments are none', async () => {
    const brackets = '['.repeat(200);
    expect(await parse(`["${brackets}"] // ${brackets}`)).toEqual([brackets]);
  });
});
