import { describe, expect, test } from 'vitest';
import { elementsOf, exceedsDepth, isArray, JsonScanner } from '../../../src/mcp/json/scan.ts';
import { createRandom } from '../../harness/random.ts';
import { randomValue, spoiled, written } from './texts.ts';

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

describe('the limit of the depth is exact', () => {
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

describe('finding the depth is linear in the size', () => {
  const size = 200_000;
  test.each([
    ['open brackets', '['],
    ['many small arrays', '[],'],
    ['escaped quotes in one string', String.raw`\"`],
    ['backslashes', '\\'],
    ['short strings', '"a",'],
    ['strings that end with a backslash pair', String.raw`"\\",`],
  ])('%s', (_what, unit) => {
    const text = Buffer.from(`[${'[],'.repeat(600)}"${unit.repeat(size / unit.length)}`);
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

/** Whether the text is one value, with spaces around it at most. */
function isValue(text: string, maxDepth = 10): boolean {
  const bytes = Buffer.from(text);
  const scanner = new JsonScanner(bytes);
  const end = scanner.skipValue(scanner.skipSpaces(0), maxDepth);
  return end !== -1 && scanner.skipSpaces(end) === bytes.length;
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

/** Where the string ends that these pieces are the content of; undefined where it goes on behind them. */
function endIn(pieces: readonly Buffer[]): number | undefined {
  let held: Buffer = Buffer.alloc(0);
  let before = 0;
  for (const piece of pieces) {
    const text = Buffer.concat([held, piece]);
    const end = new JsonScanner(text).endOfContent(0);
    if (end === -1) return -1;
    if (text[end] === 0x22) return before + end;
    before += end;
    held = text.subarray(end);
  }
  return undefined;
}

/** Whether a string can hold this: the same in one piece, and in two wherever it is cut. */
function verdict(content: string, filling = ''): boolean {
  const size = Buffer.byteLength(`${filling}${content}${filling}`);
  // What stands around it would be wrong in it.
  const string = Buffer.from(`${filling}${content}${filling}"\\x\n`);
  const verdicts = new Set<number | undefined>([endIn([string])]);
  const step = Math.max(1, Math.trunc(string.length / 50));
  for (let cut = 0; cut <= string.length; cut += step) {
    verdicts.add(endIn([string.subarray(0, cut), Buffer.from(string.subarray(cut))]));
  }
  expect([...verdicts]).toHaveLength(1);
  expect([size, -1]).toContain([...verdicts][0]);
  return !verdicts.has(-1);
}

const fillings = [
  '',
  'x',
  'xyz',
  'x'.repeat(15),
  'é€😀'.repeat(20),
  '\\\\\\"'.repeat(9),
  'x'.repeat(100),
  'y'.repeat(300),
];

describe('the content of a string', () => {
  test.each(fillings)('may hold no control character, amid %j', (filling) => {
    for (let code = 0; code < 0x20; code++) expect(verdict(String.fromCharCode(code), filling)).toBe(false);
    for (const character of [' ', '!', '\u007f', '\u0080', '\u2028', '\ufeff', '\u{10ffff}']) {
      expect(verdict(character, filling)).toBe(true);
    }
  });

  test.each(fillings)('may hold the escapes that JSON has, and no others, amid %j', (filling) => {
    for (const escape of ['\\"', '\\\\', '\\/', '\\b', '\\f', '\\n', '\\r', '\\t', '\\u0041', '\\uABcd', '\\ud800']) {
      expect(verdict(escape, filling)).toBe(true);
    }
    for (const wrong of [
      '\\x',
      '\\N',
      '\\0',
      "\\'",
      '\\u',
      '\\u12',
      '\\u123g',
      '\\U0041',
      '\\u 041',
      '\\é',
      '\\\\\\a',
    ]) {
      expect(verdict(wrong, filling)).toBe(false);
    }
  });

  test('goes on where it has no end, or ends in the middle of an escape', () => {
    for (const cut of ['', 'x', 'xxxx', '\\', 'x\\', '\\\\\\', '\\u004', '\\"', 'xxxxxxx\\"']) {
      expect(endIn([Buffer.from(cut)])).toBeUndefined();
      expect(endIn([Buffer.from(`${'x'.repeat(300)}${cut}`)])).toBeUndefined();
    }
  });

  test('is read through whatever number of pieces', () => {
    const content = `${'x'.repeat(50)}\\"\\\\\\u00e9é\\n`.repeat(20);
    for (const size of [1, 2, 3, 5, 17, 256, 300]) {
      const text = Buffer.from(`${content}"`);
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
        text.subarray(at * size, (at + 1) * size),
      );
      expect(endIn(pieces)).toBe(text.length - 1);
    }
  });

  test.each([
    ['lines', `${'x'.repeat(61)}\\u00e9\\"`],
    ['backslashes', '\\\\'],
    ['quotes', '\\"'],
    ['characters by number', '\\ud83d'],
  ])('may be longer than a window: %s', (_what, unit) => {
    for (const shift of [0, 1, 2, 3, 4, 5]) {
      const content = 'x'.repeat(shift) + unit.repeat(Math.ceil(300_000 / unit.length));
      expect(endIn([Buffer.from(`${content}"`)])).toBe(content.length);
      expect(endIn([Buffer.from(content)])).toBeUndefined();
      expect(endIn([Buffer.from(`${content}\\x"`)])).toBe(-1);
      expect(endIn([Buffer.from(`${content}\n"`)])).toBe(-1);
    }
  });

  test('is checked in turns with that of another text', () => {
    const one = new JsonScanner(Buffer.from(`${'x'.repeat(400)}"`.repeat(3)));
    const other = new JsonScanner(Buffer.from(`${'y'.repeat(300)}"`.repeat(4)));
    const ends = [one.endOfContent(0), other.endOfContent(0), one.endOfContent(401), other.endOfContent(301)];
    expect(ends).toEqual([400, 300, 801, 601]);
  });

  test('ends at a quote behind an even number of backslashes', () => {
    for (let place = 0; place < 18; place++) {
      for (let run = 1; run < 40; run++) {
        const text = Buffer.from(`${'x'.repeat(place)}${'\\'.repeat(run)}"`);
        expect([place, run, endIn([text])]).toEqual([place, run, run % 2 === 0 ? text.length - 1 : undefined]);
      }
    }
  });

  test('ends at each byte that a string cannot hold, and at no other, wherever it is', () => {
    const bytes = Buffer.alloc(48, 'x');
    for (let byte = 0; byte < 256; byte++) {
      for (let place = 0; place < 20; place++) {
        const text = bytes.fill('x').subarray(place % 5, 40 + (place % 3));
        text[place] = byte;
        const stop = byte === 0x22 ? place : byte < 0x20 || byte === 0x5c ? -1 : text.length;
        expect([byte, place, new JsonScanner(text).endOfContent(0)]).toEqual([byte, place, stop]);
        text[place] = 0x78;
        text[text.length - 1] = byte;
        const last = byte === 0x22 || byte === 0x5c ? text.length - 1 : stop === -1 ? -1 : text.length;
        expect([byte, place, new JsonScanner(text).endOfContent(0)]).toEqual([byte, place, last]);
      }
    }
  });

  test('takes time linear in its size, whatever it is', () => {
    const started = performance.now();
    for (const unit of ['\\\\', '\\"', '\\n', 'x', '\\u0041', 'é']) {
      expect(endIn([Buffer.from(`${unit.repeat((16 * 1024 * 1024) / unit.length)}"`)])).toBeGreaterThan(1_000_000);
    }
    // Ten to fifty milliseconds each; what is quadratic would take hours.
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test('is what a parser takes', () => {
    const parts = ['x', '\\', '"', 'u', 'n', '\u0001', '\n', 'é', '0041', ' ', '\u001f'];
    let seed = 1;
    const next = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    const seen = [0, 0];
    for (let round = 0; round < 3000; round++) {
      const filling = round % 3 === 0 ? 'z'.repeat(260) : '';
      const content = Array.from({ length: next(40) }, () => parts[next(8) === 0 ? next(parts.length) : 0]).join('');
      // A quote ends a string, so no content has one that is not escaped.
      if (/^(?:[^"\\]|\\.)*"/s.test(content)) continue;
      const expected = isJson(`"${content}"`);
      expect([content, verdict(content, filling)]).toEqual([content, expected]);
      seen[Number(expected)] = (seen[Number(expected)] ?? 0) + 1;
    }
    expect(Math.min(...seen)).toBeGreaterThan(300);
  });
});
