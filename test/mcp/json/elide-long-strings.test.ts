import { describe, expect, test } from 'vitest';
import { gather } from '../../../src/platform/bytes.ts';
import { parseMessage, parseMessages } from '../../../src/mcp/json-rpc.ts';
import { readText } from '../../../src/mcp/json/text-reader.ts';

const long = 'x'.repeat(20_000);

/** The same in one piece and in several. */
function elided(text: string): string | undefined {
  const whole = readText(Buffer.from(text)).elided?.toString();
  for (const size of [16_384, 20_011]) expect(readText(inPieces(text, size)).elided?.toString()).toBe(whole);
  return whole;
}

function inPieces(text: string, size: number) {
  const bytes = Buffer.from(text);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(Buffer.from(bytes.subarray(at, at + size)));
  return gather(pieces, bytes.length);
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
    expect(elided(`{"a": 1.0 ,"b":"${long}", "c":["${long}","short"]}`)).toBe(
      '{"a": 1.0 ,"b":null, "c":[null,"short"]}',
    );
  });

  test.each([
    ['a quote', `${long}\\"${long}`],
    ['a backslash at the end', `${long}\\\\`],
    ['a quote behind backslashes', `${long}\\\\\\"${long}`],
    ['what looks like a member', `${long}\\",\\"id\\":7,\\"`],
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
      result: { content: [{ text: long.replaceAll('x'.repeat(100), `${'y'.repeat(100)}é"\n\\`) }, { text: 'ü' }] },
    };
    const text = JSON.stringify(value);
    expect(JSON.parse(elided(text) ?? '')).toEqual(withoutLong(value));
  });
});

describe('not worth it', () => {
  test.each([
    ['a short text', JSON.stringify({ a: 'x'.repeat(10_000) })],
    ['a text of short strings', JSON.stringify(Array.from({ length: 5000 }, () => 'short'))],
    ['a string without an end', `{"a":"${long}`],
    ['a string that ends in an escaped quote', `{"a":"${long}\\"`],
    ['no strings at all', `[${'1,'.repeat(20_000)}1]`],
    ['a long string that JSON does not have', `{"a":"${long}\\x"}`],
  ])('%s is left alone', (_what, text) => {
    expect(elided(text)).toBeUndefined();
  });

  test('a million quotes take no longer than a glance', () => {
    const started = performance.now();
    for (let round = 0; round < 20; round++) elided(`"${'\\"'.repeat(500_000)}"`);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

const parsed = (text: string) => parseMessage(Buffer.from(text));

describe('a large message', () => {
  test('keeps its bytes, and what tells it apart', () => {
    const text = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"arguments":{"a":"${long}"},"_meta":{"progressToken":"t"}}}`;
    expect(parsed(text)).toMatchObject({
      kind: 'request',
      id: 7,
      bytes: Buffer.from(text),
      json: { params: { arguments: { a: null }, _meta: { progressToken: 't' } } },
    });
  });

  test('may have a long id, and a long name of a member', () => {
    expect(parsed(`{"jsonrpc":"2.0","id":"${long}","result":{}}`)).toMatchObject({ kind: 'response', id: long });
    expect(parsed(`{"jsonrpc":"2.0","id":1,"method":"m","params":{"${long}":"${long}"}}`)).toMatchObject({
      kind: 'request',
      json: { params: { [long]: long } },
    });
  });

  test('as a batch keeps its long strings', () => {
    const batch = parseMessages(Buffer.from(`[{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":"${long}"}}]`));
    const bytes = batch.kind === 'batch' ? batch.messages[0]?.bytes.toString() : undefined;
    expect(bytes).toBe(`{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":"${long}"}}`);
  });

  test.each([
    ['a control character', `${long}\u0001`],
    ['a line break', `\n${long}`],
    ['an escape that JSON does not have', `${long}\\x${long}`],
    ['an escape without its digits', `${long}\\u12`],
  ])('with %s in a long string is refused', (_what, content) => {
    expect(parsed(`{"jsonrpc":"2.0","id":1,"result":{"a":"${content}","b":"${long}"}}`)).toMatchObject({
      kind: 'fault',
      code: -32700,
    });
  });

  test.each([
    ['cut off', `{"jsonrpc":"2.0","id":1,"result":{"a":"${long}"`],
    ['with something behind it', `{"jsonrpc":"2.0","id":1,"result":{"a":"${long}"}} x`],
    ['whose long string is no value', `{"jsonrpc":"2.0","id":1,"result":{"a" "${long}"}}`],
  ])('%s is refused', (_what, text) => {
    expect(parsed(text)).toMatchObject({ kind: 'fault', code: -32700 });
  });
});
