import { describe, expect, test } from 'vitest';
import { pathTree, replaceSpans, spanOf, locateMembers } from '../../../src/mcp/json/locate-members.ts';
import { createRandom, type Random } from '../../harness/random.ts';

function textAt(text: string, path: readonly string[]): string | undefined {
  const bytes = Buffer.from(text);
  const span = spanOf(bytes, path);
  return span === undefined ? undefined : bytes.toString('utf8', span.start, span.end);
}

describe('a member is found as JSON.parse reads it', () => {
  test.each<[string, string, readonly string[], string | undefined]>([
    ['a number', '{"id":7}', ['id'], '7'],
    ['a number with all that belongs to it', '{"id":-1.50e+3,"a":1}', ['id'], '-1.50e+3'],
    ['a string', '{"a":1,"id":"x"}', ['id'], '"x"'],
    ['a string with quotes and braces', String.raw`{"id":"a\"}{\\","b":1}`, ['id'], String.raw`"a\"}{\\"`],
    ['an object', '{"id":{"a":[1,{}]},"b":1}', ['id'], '{"a":[1,{}]}'],
    ['an array', '{"id":[1,[2],"]"]}', ['id'], '[1,[2],"]"]'],
    ['true, false and null', '{"a":true,"b":false,"id":null}', ['id'], 'null'],
    ['blanks around everything', ' \t{ "id" :\r\n 7\n , "a" : 1 } ', ['id'], '7'],
    ['a nested member', '{"params":{"_meta":{"t":1}},"t":2}', ['params', '_meta', 't'], '1'],
    ['the last of two', '{"id":1,"id":2}', ['id'], '2'],
    ['the last of two, written differently', String.raw`{"id":1,"\u0069d":2}`, ['id'], '2'],
    ['the last of two, the first being escaped', String.raw`{"\u0069\u0064":1,"id":2}`, ['id'], '2'],
    ['a name with an escaped quote', String.raw`{"i\"d":1,"id":2}`, [String.raw`i"d`], '1'],
    ['an empty name', '{"":1}', [''], '1'],
    ['__proto__', '{"__proto__":{"id":1}}', ['__proto__', 'id'], '1'],
    ['in the last of two objects', '{"p":{"id":1},"p":{"id":2}}', ['p', 'id'], '2'],
    ['nothing when the last of two objects lacks it', '{"p":{"id":1},"p":{"x":2}}', ['p', 'id'], undefined],
    ['nothing when the last of two is no object', '{"p":{"id":1},"p":[2]}', ['p', 'id'], undefined],
    ['not in a deeper object', '{"a":{"id":1},"b":[{"id":2}]}', ['id'], undefined],
    ['not in an array on the path', '{"p":[{"id":1}]}', ['p', 'id'], undefined],
    ['not in a string that looks like it', String.raw`{"a":"{\"id\":1}","b":"\"id\":2"}`, ['id'], undefined],
    ['not a value that looks like a name', '{"a":"id","b":3}', ['id'], undefined],
    ['not in another case', '{"ID":1}', ['id'], undefined],
    ['not in an array', '[{"id":1}]', ['id'], undefined],
    ['not in an empty object', '{}', ['id'], undefined],
    ['behind a long string', `{"a":"${'x'.repeat(500)}\\"","id":1}`, ['id'], '1'],
    ['behind a long string that ends with backslashes', `{"a":"${'x'.repeat(99)}\\\\\\\\","id":1}`, ['id'], '1'],
    ['behind characters of several bytes', '{"ключ":"😀","id":1}', ['id'], '1'],
  ])('%s', (_what, text, path, expected) => {
    expect(textAt(text, path)).toBe(expected);
    JSON.parse(text);
  });

  test('below a million levels', () => {
    const deep = `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`;
    expect(textAt(`{"a":${deep},"id":${deep},"b":1}`, ['id'])).toBe(deep);
  });
});

describe('several members are found in one go', () => {
  const tree = pathTree({ params: ['params'], token: ['params', '_meta', 'token'], id: ['id'] });

  test('one of them may hold another', () => {
    const bytes = Buffer.from('{"params":{"_meta":{"token":1}} ,"id":2}');
    const texts = [...locateMembers(bytes, tree).spans].map(([key, { start, end }]) => [
      key,
      bytes.toString('utf8', start, end),
    ]);
    expect(Object.fromEntries(texts)).toEqual({ params: '{"_meta":{"token":1}}', token: '1', id: '2' });
  });

  test.each([
    ['an id that stands there twice', '{"id":1,"id":2}', 'id'],
    ['twice the same', '{"id":1,"id":1}', 'id'],
    ['twice, once escaped', String.raw`{"id":1,"\u0069d":2}`, 'id'],
    ['in another case', '{"id":1,"ID":2}', 'ID'],
    ['in another case only', '{"Id":1}', 'Id'],
    ['in another case, escaped', String.raw`{"\u0049d":1}`, 'Id'],
    ['a letter that folds to k', '{"params":{"_meta":{"to\u212Aen":1}}}', 'to\u212Aen'],
    ['a letter that folds to s', '{"param\u017F":{}}', 'param\u017F'],
    ['an object on the path twice', '{"params":{},"params":{}}', 'params'],
    ['at the end of the path', '{"params":{"_meta":{"token":1,"Token":2}}}', 'Token'],
    ['in an object that a later one replaces', '{"params":{"_Meta":1},"id":1}', '_Meta'],
  ])('a member that parsers read differently is told: %s', (_what, text, duplicateKey) => {
    expect(locateMembers(Buffer.from(text), tree).duplicateKey).toBe(duplicateKey);
  });

  test.each([
    ['other names', '{"id":1,"x":1,"x":2,"X":3}'],
    ['the same name elsewhere', '{"id":1,"params":{"id":2,"ID":3,"_meta":{"id":4}}}'],
    ['a longer name', '{"id":1,"ids":2,"IDX":3}'],
    ['a long name', `{"id":1,"${'id'.repeat(1000)}":2}`],
  ])('and what all read alike is not: %s', (_what, text) => {
    expect(locateMembers(Buffer.from(text), tree).duplicateKey).toBeUndefined();
  });

  test('a name may hold what means something in a regular expression', () => {
    const dotted = pathTree({ value: ['a.b|c(d'] });
    expect(locateMembers(Buffer.from('{"aXb":1,"a.b|c(d":2}'), dotted)).toEqual({
      spans: new Map([['value', { start: 19, end: 20 }]]),
      duplicateKey: undefined,
    });
  });
});

test('values are replaced in the order in which they stand, and all else stays', () => {
  const bytes = Buffer.from('{ "b":1.0, "a" : "x" ,"c":[ ]}');
  const [a, b] = [spanOf(bytes, ['a']), spanOf(bytes, ['b'])];
  if (a === undefined || b === undefined) throw new Error('not found');
  const replaced = replaceSpans(bytes, [
    [a, Buffer.from('"😀"')],
    [b, Buffer.from('22')],
  ]);
  expect(replaced.toString()).toBe('{ "b":22, "a" : "😀" ,"c":[ ]}');
  expect(replaceSpans(bytes, [])).toEqual(bytes);
});

function createWriter({ next, below, pick }: Random) {
  const blank = (): string => pick(['', '', '', ' ', '\n', '\r\n\t ']);
  const name = (): string =>
    pick([
      '"a"',
      '"a"',
      '"b"',
      '"b"',
      '"_"',
      '"A"',
      String.raw`"\u0061"`,
      String.raw`"\u0062"`,
      '""',
      String.raw`"a\""`,
      '"é"',
    ]);
  const scalar = (): string =>
    pick([
      '0',
      '-1.5e+10',
      '12345678901234567890',
      'true',
      'null',
      '""',
      '"a"',
      String.raw`"\"a\":{"`,
      String.raw`"\\"`,
      String.raw`"\\\""`,
      `"${'y'.repeat(40)}\\\\"`,
      `"${'y'.repeat(29)}\\\\\\""`,
      String.raw`"}\u007d]"`,
    ]);
  function value(depth: number): string {
    const kind = depth === 0 ? 1 : next();
    if (kind < 0.6) return object(depth);
    if (kind < 0.7) return `[${list(() => value(depth - 1))}]`;
    return scalar();
  }
  function list(item: () => string): string {
    const items = Array.from({ length: below(5) }, () => `${blank()}${item()}${blank()}`);
    return items.join(',') || blank();
  }
  function object(depth: number): string {
    return `{${list(() => `${name()}${blank()}:${blank()}${value(depth - 1)}`)}}`;
  }
  return { text: () => `${blank()}${object(5)}${blank()}` };
}

function get(value: unknown, path: readonly string[]): unknown {
  let found = value;
  for (const name of path) {
    if (typeof found !== 'object' || found === null || Array.isArray(found)) return undefined;
    found = Object.getOwnPropertyDescriptor(found, name)?.value;
  }
  return found;
}

function set(value: unknown, path: readonly string[], member: unknown): void {
  const parent = get(value, path.slice(0, -1));
  if (typeof parent === 'object' && parent !== null) Object.assign(parent, { [path.at(-1) ?? '']: member });
}

describe('any text', () => {
  test('with a value replaced and parsed is what it is when parsed and replaced', () => {
    let found = 0;
    for (let seed = 0; seed < 4000; seed++) {
      const random = createRandom(seed);
      const { pick } = random;
      const { text } = createWriter(random);
      const written = text();
      const bytes = Buffer.from(written);
      const path = Array.from({ length: pick([1, 1, 2, 2, 3]) }, () => pick(['a', 'a', 'b', 'b', '_', '', 'a"', 'é']));
      const parsed: unknown = JSON.parse(written);
      const span = spanOf(bytes, path);
      expect(span === undefined, `seed ${seed}`).toBe(get(parsed, path) === undefined);
      if (span === undefined) continue;
      found++;
      expect(JSON.parse(bytes.toString('utf8', span.start, span.end)), `seed ${seed}`).toEqual(get(parsed, path));
      const replaced = replaceSpans(bytes, [[span, Buffer.from('"new"')]]).toString();
      set(parsed, path, 'new');
      expect(JSON.parse(replaced), `seed ${seed}`).toEqual(parsed);
    }
    // Otherwise the texts would not be worth much.
    expect(found).toBeGreaterThan(500);
  });

  test('that is no JSON ends the search too', () => {
    const random = createRandom(1);
    const { text } = createWriter(random);
    for (let round = 0; round < 1000; round++) {
      const bytes = Buffer.from(text());
      bytes[random.below(bytes.length)] = random.below(256);
      const span = spanOf(bytes.subarray(0, random.below(bytes.length) + 1), ['a', 'b']);
      expect(span === undefined || span.start <= span.end).toBe(true);
    }
  });
});

/** Bytes that are looked at, one by one or by searching. */
function looksAt(bytes: Buffer): number {
  let looks = 0;
  const indexOf = (byte: number, from = 0): number => {
    const found = bytes.indexOf(byte, from);
    looks += (found === -1 ? bytes.length : found + 1) - from;
    return found;
  };
  const counting = new Proxy(bytes, {
    get(target, name) {
      if (name === 'indexOf') return indexOf;
      if (name === 'length') return target.length;
      if (name === 'toString') return target.toString.bind(target);
      looks++;
      return target[Number(name)];
    },
  });
  spanOf(counting, ['params', '_meta', 'token']);
  return looks;
}

describe('the work is linear in the size', () => {
  const size = 100_000;
  test.each([
    ['members', '"a":1,', '{', '"b":2}'],
    ['members of this name', '"params":1,', '{', '"b":2}'],
    ['escaped members of this name', String.raw`"\u0070arams":1,`, '{', '"b":2}'],
    ['objects of this name', '"params":{"_meta":{"token":1}},', '{', '"b":2}'],
    ['open objects of this name', '{"params":', '', '1'],
    ['escaped quotes', String.raw`\"`, '{"a":"', '"}'],
    ['backslashes', '\\\\', '{"a":"', '"}'],
    ['short strings', '"a",', '{"a":[', '1]}'],
    ['long strings', `"${'x'.repeat(100)}",`, '{"a":[', '1]}'],
    ['strings of backslashes', String.raw`"\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\",`, '{"a":[', '1]}'],
    ['brackets', '[', '{"a":', ''],
    ['blanks', ' ', '{"a":', '1}'],
  ])('%s', (_what, unit, head, tail) => {
    const text = Buffer.from(`${head}${unit.repeat(size / unit.length)}${tail}`);
    expect(looksAt(text)).toBeGreaterThan(size / 4);
    expect(looksAt(text)).toBeLessThan(12 * text.length);
  });
});
