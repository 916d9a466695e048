import { describe, expect, test } from 'vitest';
import { exactValue, isKeptAsText, jsonOfId, wholeNumberOf, withId } from '../../src/mcp/request-id.ts';
import { parseMessage, progressTokenOf, requestTokenOf, type RequestId } from '../../src/mcp/json-rpc.ts';
import { cancelledBy } from '../../src/mcp/lifecycle.ts';
import { newError, newRequest, newResult } from '../../src/mcp/new-message.ts';

const odd = [
  '9007199254740993',
  '-9007199254740993',
  '123456789012345678901234567890',
  '1.0',
  '-0',
  '1e3',
  '1E400',
  '0.1000000000000000055511151231257827',
];
const plain = ['0', '-7', '1.5', '9007199254740992', '100000000000000000000', '1e+21', '999999999999999'];

function read(written: string, more = ''): RequestId | undefined {
  const parsed = parseMessage(Buffer.from(`{"jsonrpc":"2.0","method":"m","params":{"x":"${more}"},"id":${written}}`));
  return parsed.kind === 'request' ? parsed.id : undefined;
}

describe('an id', () => {
  test.each(odd)('that JavaScript would write otherwise is kept as it was written: %s', (written) => {
    for (const more of ['', 'x'.repeat(20_000)]) {
      const id = read(written, more);
      expect(id !== undefined && isKeptAsText(id) && jsonOfId(id)).toBe(written);
    }
  });

  test.each(plain)('that it would write so is the number: %s', (written) => {
    for (const more of ['', 'x'.repeat(20_000)]) expect(read(written, more)).toBe(JSON.parse(written));
  });

  test('that differs in its text is another one', () => {
    expect(new Set(odd.map((written) => read(written))).size).toBe(odd.length);
    expect(read('9007199254740993')).not.toBe(read('9007199254740992'));
    expect(read('"9007199254740993"')).not.toBe(read('9007199254740993'));
  });

  test('is the one that counts, whatever else has its name', () => {
    const text = '{"id":1,"jsonrpc":"2.0","method":"m","params":{"id":2,"s":"\\"id\\":3"},"id":4.0}';
    const parsed = parseMessage(Buffer.from(text));
    expect(parsed.kind === 'request' && jsonOfId(parsed.id)).toBe('4.0');
  });

  test('is written into messages of ours as it was read', () => {
    const id = read('9007199254740993') ?? 0;
    const messages = [newRequest(id, 'm'), newResult(id, {}), newError({ id, code: 1, message: 'x' })];
    for (const { bytes } of [...messages, withId(newResult(1, {}), id)]) {
      expect(bytes.toString()).toContain('"id":9007199254740993,');
    }
  });

  test('may be meant as a whole number', () => {
    const meant = ['1.0', '10e-1', '"1"', '" 1 "', '1.5', '"x"', '""', '9007199254740993'].map((written) =>
      wholeNumberOf(read(written) ?? 'none'),
    );
    expect(meant).toEqual([1, 1, 1, 1, 1.5, undefined, undefined, undefined]);
  });
});

test('a value that is no id is none', () => {
  for (const value of [undefined, null, true, {}, [], '\u00001']) {
    expect(exactValue(value, Buffer.from('{}'), ['id'])).toBeUndefined();
  }
});

test.each(odd)('tokens and cancelled ids are read alike: %s', (written) => {
  const id = read(written);
  const request = parseMessage(
    Buffer.from(`{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":${written}}}}`),
  );
  const progress = parseMessage(
    Buffer.from(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${written}}}`),
  );
  const cancelled = parseMessage(
    Buffer.from(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${written}}}`),
  );
  expect(request.kind === 'request' && requestTokenOf(request)).toBe(id);
  expect(progress.kind === 'notification' && progressTokenOf(progress)).toBe(id);
  expect(cancelled.kind === 'notification' && cancelledBy(cancelled)).toBe(id);
});
