import { describe, expect, test } from 'vitest';
import {
  eachItem,
  editMembers,
  editPlan,
  remove,
  set,
  setDefault,
  type Change,
} from '../../../src/mcp/json/edit-members.ts';

type Edits = readonly (readonly [readonly string[], Change])[];

function edited(text: string, edits: Edits): string {
  return editMembers(Buffer.from(text), editPlan(edits)).bytes.toString();
}

const dropA: Edits = [[['a'], remove]];
const setA: Edits = [[['a'], set('9')]];
const dropDeep: Edits = [[['p', 'm', 'a'], remove]];
const setDeep: Edits = [
  [['p', 'm', 'a'], set('9')],
  [['p', 'm', 'b'], set('[1]')],
];

describe('members are changed, and no other byte', () => {
  test.each<[string, string, Edits, string]>([
    ['the only one goes', '{"a":1}', dropA, '{}'],
    ['the only one goes, with its blanks', ' { "a" : 1 } ', dropA, ' {} '],
    ['the first goes', '{"a":1,"b":2}', dropA, '{"b":2}'],
    ['one in the middle goes', '{"b":1.0 , "a":1 ,"c":2}', dropA, '{"b":1.0,"c":2}'],
    ['the last goes', '{"b":1e999,"a":{"x":["}"]}}', dropA, '{"b":1e999}'],
    ['all of the name go', '{"a":1,"b":2,"a":3,"c":4,"\\u0061":5}', dropA, '{"b":2,"c":4}'],
    ['two neighbours go', '{"b":0,"a":1,"x":2,"c":3}', [...dropA, [['x'], remove]], '{"b":0,"c":3}'],
    ['none goes from a deeper object', '{"b":{"a":1},"c":[{"a":1}]}', dropA, '{"b":{"a":1},"c":[{"a":1}]}'],
    ['one is replaced', '{"b":1.0,"a":[1, 2],"c":3}', setA, '{"b":1.0,"a":9,"c":3}'],
    ['one is added', '{"b":12345678901234567890 }', setA, '{"b":12345678901234567890,"a":9 }'],
    ['one is added to none', '{ }', setA, '{"a":9 }'],
    ['one is replaced by another', '{"x":1}', [...setA, [['x'], remove]], '{"a":9}'],
    ['one is added in the place of the last', '{"y":0,"x":1}', [...setA, [['x'], remove]], '{"y":0,"a":9}'],
    ['a deep one goes', '{"p":{"m":{"a":1,"b":2.50},"q":1}}', dropDeep, '{"p":{"m":{"b":2.50},"q":1}}'],
    [
      'a deep one goes from both of its name',
      '{"p":{"m":{"a":1}},"p":{"m":{"a":2}}}',
      dropDeep,
      '{"p":{"m":{}},"p":{"m":{}}}',
    ],
    ['deep ones are added', '{"p":{"m":{"c":0}}}', setDeep, '{"p":{"m":{"c":0,"a":9,"b":[1]}}}'],
    ['objects on the way are created', '{"x":1}', setDeep, '{"x":1,"p":{"m":{"a":9,"b":[1]}}}'],
    ['what is no object on the way stays', '{"p":{"m":[{"a":1}]}}', setDeep, '{"p":{"m":[{"a":1}]}}'],
    ['a default is added', '{"b":1}', [[['a'], setDefault('0')]], '{"b":1,"a":0}'],
    ['a default replaces nothing', '{"a":null}', [[['a'], setDefault('0')]], '{"a":null}'],
    ['a text that is no object stays', '[{"a":1}]', dropA, '[{"a":1}]'],
    [
      'in each item of an array',
      '{"t":[{"n":1.0,"e":{}}, {"n":2},[],3,{"e":1}]}',
      [[['t', eachItem, 'e'], remove]],
      '{"t":[{"n":1.0}, {"n":2},[],3,{}]}',
    ],
    ['in no item of an empty array', '{"t":[ ]}', [[['t', eachItem, 'e'], remove]], '{"t":[ ]}'],
    ['no array is created', '{}', [[['t', eachItem, 'e'], set('1')]], '{}'],
    ['an escaped name', String.raw`{"\u0061":1,"b":"\"a\":1"}`, dropA, String.raw`{"b":"\"a\":1"}`],
  ])('%s', (_what, text, edits, expected) => {
    expect(edited(text, edits)).toBe(expected);
    JSON.parse(expected);
  });

  test('the same bytes where nothing changes', () => {
    const text = Buffer.from('{"a":9,"p":{"m":{"a":9,"b":[1]}}}');
    const plan = editPlan([...setA, ...setDeep, [['x'], remove]]);
    expect(editMembers(text, plan)).toEqual({ bytes: text, changes: [] });
    expect(editMembers(text, plan).bytes).toBe(text);
  });

  test('it is told which were changed', () => {
    const { changes } = editMembers(
      Buffer.from('{"x":1,"t":[1,{"e":2}]}'),
      editPlan([
        [['t', eachItem, 'e'], remove],
        [['x'], set('2')],
        [['p', 'q'], set('3')],
      ]),
    );
    expect(changes).toEqual([
      { path: ['x'], text: Buffer.from('2') },
      { path: ['t', '1', 'e'], text: undefined },
      { path: ['p', 'q'], text: Buffer.from('3') },
    ]);
  });

  test('a large text in pieces', () => {
    const pieces = [Buffer.from(`{"s":"${'x'.repeat(50_000)}`), Buffer.from(`${'y'.repeat(50_000)}","a":1}`)];
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const text = { pieces, length, toString: () => Buffer.concat(pieces).toString() };
    const { bytes } = editMembers(text, editPlan(dropA));
    expect(bytes.toString()).toBe(text.toString().replace(',"a":1', ''));
    expect(bytes.length).toBe(length - ',"a":1'.length);
  });

  test('paths that begin with each other are a fault of the caller', () => {
    expect(() =>
      editPlan([
        [['a'], remove],
        [['a', 'b'], remove],
      ]),
    ).toThrow('one path is the beginning of another');
  });
});
