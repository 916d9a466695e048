import { isUtf8 } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { gather } from '../../../src/platform/bytes.ts';
import { parseEach, parseMessage, parseMessages } from '../../../src/mcp/json-rpc.ts';
import { readText, TextReader } from '../../../src/mcp/json/text-reader.ts';
import { createRandom } from '../../harness/random.ts';

const long = 'é'.repeat(20_000);
const call = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { arguments: { text: long } } });

function cut(text: string | Buffer, size: number): Buffer[] {
  const bytes = Buffer.from(text);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

function readWhile(pieces: readonly Buffer[]) {
  const reader = new TextReader();
  for (const piece of pieces) reader.push(piece);
  return reader.end();
}

describe('a text that is read as it comes', () => {
  test.each([1, 7, 16_384, 30_001])('in pieces of %i bytes is found to be what it is when it is here', (size) => {
    const pieces = cut(call, size);
    const findings = readWhile(pieces);
    expect(findings).toEqual(readText(Buffer.from(call)));
    expect(findings).toMatchObject({ isUtf8: true });
    expect(JSON.parse(findings.elided?.toString() ?? '')).toMatchObject({
      id: 7,
      params: { arguments: { text: null } },
    });
  });

  test('is parsed with what was found, and its bytes are those that came', () => {
    const pieces = cut(call, 16_384);
    const bytes = gather(pieces, Buffer.byteLength(call));
    const message = parseMessages(bytes, readWhile(pieces));
    expect(message).toMatchObject({ kind: 'request', id: 7, json: { params: { arguments: { text: null } } } });
    expect(message).toHaveProperty('bytes', bytes);
  });

  test('is parsed whole when it is short, in however many pieces it came', () => {
    const text = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'm', params: { text: 'x'.repeat(10_000) } });
    expect(readWhile(cut(text, 100))).toEqual({ isUtf8: true });
  });

  test('is refused when it is not UTF-8, or no JSON', () => {
    const wrong = Buffer.from(call);
    wrong[30_000] = 0xff;
    for (const [text, reason] of [
      [wrong, 'the message is not valid UTF-8'],
      [Buffer.from(call).subarray(0, -1), 'the message is not valid JSON'],
      [Buffer.from(call.replace('éé', '\\x')), 'the message is not valid JSON'],
      [Buffer.from(call.replace('éé', '\n')), 'the message is not valid JSON'],
    ] as const) {
      const pieces = cut(text, 16_384);
      expect(parseEach(gather(pieces, text.length), readWhile(pieces))).toMatchObject([{ kind: 'fault', reason }]);
    }
  });

  test('gets rid of line breaks between its members', () => {
    const pieces = cut(JSON.stringify(JSON.parse(call), undefined, 2).replaceAll('\n', '\r\n'), 16_384);
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const message = parseMessages(gather(pieces, length), readWhile(pieces));
    if (message.kind !== 'request') throw new Error(`it is a ${message.kind}`);
    expect(message.bytes.toString()).not.toMatch(/[\r\n]/);
    expect(JSON.parse(message.bytes.toString())).toEqual(JSON.parse(call));
  });
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test('texts of all sorts, however they are cut and whatever is wrong in them, are read as the parser reads them', () => {
  const { below, pick } = createRandom(7);
  const letters = ['a', '"', '\\', '\n', '\t', 'é', '€', '😀', '\u0001', '/', 'u', '0041', '{', ']', ':', ','];
  const word = (length: number): string =>
    Array.from({ length }, () => (below(5) === 0 ? pick(letters) : pick(['a', 'b', ' ']))).join('');
  let elidedCount = 0;
  for (let round = 0; round < 300; round++) {
    const value = {
      list: Array.from({ length: below(5) }, () => [word(below(8)), below(1000), { inner: word(below(6000)) }]),
      long: word(below(9000)) + 'z'.repeat(20_000 * below(2)),
    };
    const text = Buffer.from(JSON.stringify(value));
    const pieces: Buffer[] = [];
    for (let at = 0; at < text.length;) {
      const end = Math.min(text.length, at + 1 + below(below(4) === 0 ? 40 : 9000));
      // At any alignment.
      pieces.push(Buffer.concat([Buffer.alloc(below(4)), text.subarray(at, end)]).subarray(-(end - at)));
      at = end;
    }
    const findings = readWhile(pieces);
    expect(findings.isUtf8).toBe(true);
    const shortened = JSON.stringify(value, (_name, member: unknown) =>
      typeof member === 'string' && Buffer.byteLength(JSON.stringify(member)) >= 4096 ? null : member,
    );
    expect(JSON.parse(findings.elided?.toString() ?? shortened)).toEqual(JSON.parse(shortened));
    elidedCount += findings.elided === undefined ? 0 : 1;

    text[below(text.length)] = below(256);
    const ofBroken = readWhile(cut(text, 7001));
    expect(ofBroken.isUtf8).toBe(isUtf8(text));
    // What is left of it is JSON only where all of it is.
    const isLeft = ofBroken.elided !== undefined && parses(ofBroken.elided.toString());
    expect([round, isLeft && !parses(text.toString())]).toEqual([round, false]);
  }
  expect(elidedCount).toBeGreaterThan(50);
});

/** Whether a text with this in a long string is elided: the same wherever it is cut in two. */
function isElided(content: string): boolean {
  const text = Buffer.from(`["${'z'.repeat(17_000)}${content}"]`);
  const verdicts = new Set<boolean>();
  for (let at = text.length - content.length - 4; at <= text.length; at++) {
    const { elided: left } = readWhile([text.subarray(0, at), text.subarray(at)]);
    verdicts.add(left?.toString() === '[null]');
  }
  expect([...verdicts]).toHaveLength(1);
  return verdicts.has(true);
}

describe('a text that is cut within a string', () => {
  test.each(['\\"', '\\\\', '\\\\\\"', '\\n', '\\u00e9', '\\ud83D\\uDE00', 'é', '😀\\n'])(
    'is read on behind %s',
    (content) => {
      expect(isElided(content)).toBe(true);
      expect(isElided(`x${content}x`)).toBe(true);
    },
  );

  test.each(['\\x', '\\u12', '\\u12g4', '\\u\\u0041', '\n', '\u0000', '\\é'])(
    'is parsed whole where it has %j',
    (content) => {
      expect(isElided(content)).toBe(false);
      expect(isElided(`x${content}x`)).toBe(false);
    },
  );
});

const longText = 'x'.repeat(20_000);

/** The same in one piece and in several. */
function elided(text: string): string | undefined {
  const whole = readText(Buffer.from(text)).elided?.toString();
  for (const size of [16_384, 20_011]) expect(readWhile(cut(text, size)).elided?.toString()).toBe(whole);
  return whole;
}

/** The value with null in the places of its long strings. */
function withoutLong(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_name, member: unknown) => {
      const isLong = typeof member === 'string' && Buffer.byteLength(JSON.stringify(member)) > 4096;
      return isLong ? null : member;
    }),
  );
}

describe('a text with long strings', () => {
  test('has null in their places, and everything else as it was', () => {
    expect(elided(`{"a": 1.0 ,"b":"${longText}", "c":["${longText}","short"]}`)).toBe(
      '{"a": 1.0 ,"b":null, "c":[null,"short"]}',
    );
  });

  test.each([
    ['a quote', `${longText}\\"${longText}`],
    ['a backslash at the end', `${longText}\\\\`],
    ['a quote behind backslashes', `${longText}\\\\\\"${longText}`],
    ['what looks like a member', `${longText}\\",\\"id\\":7,\\"`],
    ['nothing but quotes', '\\"'.repeat(50_000)],
    ['nothing but line breaks', '\\n'.repeat(20_000)],
    ['nothing but escapes by number', '\\u00e9'.repeat(20_000)],
  ])('is cut at their ends, not at %s in them', (_what, content) => {
    expect(elided(`{"a":"${content}","id":1}`)).toBe('{"a":null,"id":1}');
  });

  test('is parsed to the same value but for them', () => {
    const value = {
      jsonrpc: '2.0',
      id: 'é',
      result: { content: [{ text: longText.replaceAll('x'.repeat(100), `${'y'.repeat(100)}é"\n\\`) }, { text: 'ü' }] },
    };
    const text = JSON.stringify(value);
    expect(JSON.parse(elided(text) ?? '')).toEqual(withoutLong(value));
  });
});

/** The least time, of ten, that it takes to read so many quotes. */
const timeOf = (count: number): number => {
  const text = `"${'\\"'.repeat(count)}"`;
  const times = Array.from({ length: 10 }, () => {
    const started = performance.now();
    elided(text);
    return performance.now() - started;
  });
  return Math.min(...times);
};

describe('to elide strings is not worth it:', () => {
  test.each([
    ['a short text', JSON.stringify({ a: 'x'.repeat(10_000) })],
    ['a text of short strings', JSON.stringify(Array.from({ length: 5000 }, () => 'short'))],
    ['a string without an end', `{"a":"${longText}`],
    ['a string that ends in an escaped quote', `{"a":"${longText}\\"`],
    ['no strings at all', `[${'1,'.repeat(20_000)}1]`],
    ['a long string that JSON does not have', `{"a":"${longText}\\x"}`],
  ])('%s is left alone', (_what, text) => {
    expect(elided(text)).toBeUndefined();
  });

  test('quotes take time linear in their number', () => {
    // Sixteen times as many; what is quadratic would take 256 times as long.
    expect(timeOf(800_000) / timeOf(50_000)).toBeLessThan(100);
  });
});

const parsed = (text: string) => parseMessage(Buffer.from(text));

describe('a large message', () => {
  test('keeps its bytes, and what tells it apart', () => {
    const text = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"arguments":{"a":"${longText}"},"_meta":{"progressToken":"t"}}}`;
    expect(parsed(text)).toMatchObject({
      kind: 'request',
      id: 7,
      bytes: Buffer.from(text),
      json: { params: { arguments: { a: null }, _meta: { progressToken: 't' } } },
    });
  });

  test('may have a long id, and a long name of a member', () => {
    expect(parsed(`{"jsonrpc":"2.0","id":"${longText}","result":{}}`)).toMatchObject({
      kind: 'response',
      id: longText,
    });
    expect(parsed(`{"jsonrpc":"2.0","id":1,"method":"m","params":{"${longText}":"${longText}"}}`)).toMatchObject({
      kind: 'request',
      json: { params: { [longText]: longText } },
    });
  });

  test('as a batch keeps its long strings', () => {
    const batch = parseMessages(Buffer.from(`[{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":"${longText}"}}]`));
    const bytes = batch.kind === 'batch' ? batch.messages[0]?.bytes.toString() : undefined;
    expect(bytes).toBe(`{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":"${longText}"}}`);
  });

  test.each([
    ['a control character', `${longText}\u0001`],
    ['a line break', `\n${longText}`],
    ['an escape that JSON does not have', `${longText}\\x${longText}`],
    ['an escape without its digits', `${longText}\\u12`],
  ])('with %s in a long string is refused', (_what, content) => {
    expect(parsed(`{"jsonrpc":"2.0","id":1,"result":{"a":"${content}","b":"${longText}"}}`)).toMatchObject({
      kind: 'fault',
      code: -32700,
    });
  });

  test.each([
    ['cut off', `{"jsonrpc":"2.0","id":1,"result":{"a":"${longText}"`],
    ['with something behind it', `{"jsonrpc":"2.0","id":1,"result":{"a":"${longText}"}} x`],
    ['whose long string is no value', `{"jsonrpc":"2.0","id":1,"result":{"a" "${longText}"}}`],
  ])('%s is refused', (_what, text) => {
    expect(parsed(text)).toMatchObject({ kind: 'fault', code: -32700 });
  });
});

function areUtf8(pieces: readonly Buffer[]): boolean {
  return readWhile(pieces).isUtf8;
}

/** The verdict on a text however it is cut in three; the cuts must agree. */
function verdict(text: Buffer): boolean {
  const verdicts = new Set<boolean>();
  for (let first = 0; first <= text.length; first++) {
    for (let second = first; second <= text.length; second++) {
      verdicts.add(areUtf8([text.subarray(0, first), text.subarray(first, second), text.subarray(second)]));
    }
  }
  verdicts.add(areUtf8(Array.from(text, (byte) => Buffer.from([byte]))));
  expect(verdicts.size).toBe(1);
  return verdicts.has(true);
}

describe('the characters of a text in pieces', () => {
  test.each(['', 'plain', 'é', '€', '😀', 'aé€😀z', '\u0000\u007f\u0080\u07ff\u0800\uffff\u{10000}\u{10ffff}'])(
    'is UTF-8 wherever it is cut: %j',
    (text) => {
      expect(verdict(Buffer.from(text))).toBe(true);
    },
  );

  test.each([
    ['a byte that stands alone', [0x80]],
    ['a character without its end', [0x61, 0xe2, 0x82]],
    ['a character without its end in the middle', [0xe2, 0x82, 0x61]],
    ['one byte too many', [0xc3, 0xa9, 0xa9]],
    ['three too many', [0x61, 0x80, 0x80, 0x80, 0x80]],
    ['an overlong character', [0xc0, 0xaf]],
    ['an overlong one of three bytes', [0xe0, 0x80, 0xaf]],
    ['half of a pair of surrogates', [0xed, 0xa0, 0x80]],
    ['more than Unicode has', [0xf4, 0x90, 0x80, 0x80]],
    ['a byte that is never used', [0x61, 0xff, 0x61]],
  ])('with %s is none', (_what, bytes) => {
    expect(verdict(Buffer.from(bytes))).toBe(false);
  });

  test('is judged as a whole text is', () => {
    const parts = [[0x61], [0xc3, 0xa9], [0xe2, 0x82, 0xac], [0xf0, 0x9f, 0x98, 0x80], [0x80], [0xe2], [0xf0, 0x9f]];
    let seed = 1;
    const next = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    const seen = [0, 0];
    for (let round = 0; round < 500; round++) {
      const text = Buffer.from(Array.from({ length: next(5) }, () => parts[next(next(3) === 0 ? 7 : 4)] ?? []).flat());
      expect([[...text], verdict(text)]).toEqual([[...text], isUtf8(text)]);
      seen[Number(isUtf8(text))] = (seen[Number(isUtf8(text))] ?? 0) + 1;
    }
    expect(Math.min(...seen)).toBeGreaterThan(50);
  });
});
