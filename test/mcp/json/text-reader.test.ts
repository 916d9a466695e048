import { isUtf8 } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { gather } from '../../../src/platform/bytes.ts';
import { parseEach, parseMessages } from '../../../src/mcp/json-rpc.ts';
import { createTextReader, readText } from '../../../src/mcp/json/text-reader.ts';
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
  const reader = createTextReader();
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
  let elided = 0;
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
    elided += findings.elided === undefined ? 0 : 1;

    text[below(text.length)] = below(256);
    const ofBroken = readWhile(cut(text, 7001));
    expect(ofBroken.isUtf8).toBe(isUtf8(text));
    // What is left of it is JSON only where all of it is.
    const isLeft = ofBroken.elided !== undefined && parses(ofBroken.elided.toString());
    expect([round, isLeft && !parses(text.toString())]).toEqual([round, false]);
  }
  expect(elided).toBeGreaterThan(50);
});
