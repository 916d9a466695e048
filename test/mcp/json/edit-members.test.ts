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
import { createRandom, type Random } from '../../harness/random.ts';

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
    expect(editMembers(text, plan)).toEqual({ bytes: text, changes: [], unchangedBytes: text.length });
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

/** A JSON value: members of an object, items of an array, or anything else as it is written. */
type Tree = Map<string, Tree> | Tree[] | string;

const names = ['a', 'b', 'c', 'd'];

function randomTree(random: Random, depth: number): Tree {
  const size = random.below(4);
  if (depth === 0 || random.below(5) === 0)
    return random.pick(['1.0', '"}"', 'null', '1e999', String.raw`"\",a\""`, '[]', '{}']);
  if (random.below(4) === 0) return Array.from({ length: size }, () => randomTree(random, depth - 1));
  const chosen = names.filter(() => random.below(2) === 0);
  return new Map(chosen.map((name) => [name, randomTree(random, depth - 1)]));
}

/** @param blank gives what may stand between tokens. */
function textOf(tree: Tree, blank = () => ''): string {
  if (typeof tree === 'string') return tree;
  const list = (texts: readonly string[]): string => texts.map((text) => blank() + text + blank()).join(',') + blank();
  if (Array.isArray(tree)) return `[${list(tree.map((item) => textOf(item, blank)))}]`;
  const members = Array.from(tree, ([name, value]) => `"${name}"${blank()}:${blank()}${textOf(value, blank)}`);
  return `{${list(members)}}`;
}

/** The same edit on a tree: a plain reading of what the plan says. */
function editedTree(tree: Tree, [name = '', ...rest]: readonly string[], change: Change): Tree {
  if (Array.isArray(tree) && name === eachItem) return tree.map((item) => editedTree(item, rest, change));
  if (!(tree instanceof Map) || name === eachItem)
    return tree === '{}' ? editedTree(new Map(), [name, ...rest], change) : tree;
  const before = tree.get(name);
  const after =
    rest.length === 0
      ? change(before === undefined ? undefined : Buffer.from(textOf(before)))?.toString()
      : editedTree(before ?? new Map<string, Tree>(), rest, change);
  const isNothing = after === undefined || (before === undefined && after instanceof Map && after.size === 0);
  const members = new Map(tree);
  if (isNothing) members.delete(name);
  else members.set(name, after);
  return members;
}

test('random texts and random edits', () => {
  let count = 0;
  for (let seed = 0; seed < 1000; seed++) {
    const random = createRandom(seed);
    const blank = (): string => random.pick(['', '', ' ', '\t ']);
    const tree = new Map(names.map((name) => [name, randomTree(random, 3)]));
    const edits = new Map<string, readonly [readonly string[], Change]>();
    for (let round = 0; round < 3; round++) {
      const path = Array.from({ length: 2 }, () => random.pick([...names, 'e', eachItem]));
      if (path[0] === eachItem) continue;
      edits.set(path.join('.'), [
        path[1] === eachItem ? [...path, 'a'] : path,
        random.pick([remove, set('7'), setDefault('8')]),
      ]);
    }
    let expected: Tree = tree;
    for (const [path, change] of edits.values()) expected = editedTree(expected, path, change);
    const text = textOf(tree, blank);
    const result = edited(text, [...edits.values()]);
    // The order of new members is that of the plan, which tells nobody anything.
    expect(sortedText(result), `seed ${seed}: ${text}`).toBe(sortedText(textOf(expected)));
    if (result !== text) count++;
  }
  expect(count).toBeGreaterThan(300);
});

/** Without blanks, and with the members of each object in the order of their names; numbers stay as they are written. */
function sortedText(text: string): string {
  const marked = text.replaceAll(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
    token.startsWith('"') ? token : `"#${token}"`,
  );
  const sort = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(sort)
      : typeof value === 'object' && value !== null
        ? Object.entries(value)
            .toSorted(([a], [b]) => (a < b ? -1 : 1))
            .map(([name, member]) => [name, sort(member)])
        : value;
  return JSON.stringify(sort(JSON.parse(marked)));
}
