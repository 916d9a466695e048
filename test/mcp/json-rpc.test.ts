import { describe, expect, test, vi } from 'vitest';
import {
  errorResponse,
  isRequestId,
  memberOf,
  parseEach,
  parseMessage,
  parseMessages,
  type RpcFault,
  type RpcMessage,
} from '../../src/mcp/json-rpc.ts';

function parse(text: string): RpcMessage | RpcFault {
  return withoutJson(parseMessage(Buffer.from(text)));
}

/** What a fault says besides the message that it is about. */
function withoutJson<Found extends { readonly kind: string }>(found: Found): Found {
  return found.kind === 'fault' ? { ...found, json: undefined } : found;
}

function nested(levels: number): string {
  // The message itself and its params are two levels.
  return `{"jsonrpc":"2.0","method":"m","params":{"deep":${'['.repeat(levels - 2)}${']'.repeat(levels - 2)}}}`;
}

describe('a message is read as what it is', () => {
  test('a request has an id and a method', () => {
    const message = parse('{"jsonrpc":"2.0","id":1,"method":"tools/list"}');
    expect(message).toMatchObject({ kind: 'request', id: 1, method: 'tools/list' });
  });

  test('a notification has a method and no id', () => {
    const message = parse('{"jsonrpc":"2.0","method":"notifications/initialized"}');
    expect(message).toMatchObject({ kind: 'notification', method: 'notifications/initialized' });
    expect(message).not.toHaveProperty('id');
  });

  test.each([
    ['a result', '{"jsonrpc":"2.0","id":"a","result":{}}', false],
    ['a result that is null', '{"jsonrpc":"2.0","id":"a","result":null}', false],
    ['an error', '{"jsonrpc":"2.0","id":"a","error":{"code":1,"message":"no"}}', true],
  ])('a response with %s', (_what, text, failed) => {
    expect(parse(text)).toMatchObject({ kind: 'response', id: 'a', failed });
  });

  test('its parsed form holds every member, also those that nobody knows', () => {
    const message = parse('{"jsonrpc":"2.0","id":1,"method":"m","x-future":[1,{"a":null}]}');
    expect(message).toMatchObject({ json: { 'x-future': [1, { a: null }] } });
  });
});

describe('ids keep their type', () => {
  test.each([
    ['1', 1],
    ['"1"', '1'],
    ['0', 0],
    ['-3', -3],
    ['1.5', 1.5],
    ['""', ''],
    ['"__proto__"', '__proto__'],
    [String.raw`"\u0041"`, 'A'],
  ])('%s', (written, id) => {
    const message = parse(`{"jsonrpc":"2.0","id":${written},"method":"m"}`);
    expect(message).toMatchObject({ kind: 'request', id });
  });
});

describe('what is no single message comes back as a fault', () => {
  const parseError = -32700;
  const invalidRequest = -32600;

  test.each<[string, string, number, string]>([
    ['nothing at all', '', parseError, 'the message is not valid JSON'],
    ['prose', 'hello', parseError, 'the message is not valid JSON'],
    ['half a message', '{"jsonrpc":"2.0"', parseError, 'the message is not valid JSON'],
    ['two messages', '{"jsonrpc":"2.0","method":"a"}\n{}', parseError, 'the message is not valid JSON'],
    ['a byte order mark', '\uFEFF{"jsonrpc":"2.0","method":"a"}', parseError, 'the message is not valid JSON'],
    ['an empty array', '[]', invalidRequest, 'the message is an empty array'],
    ['a batch', '[{"jsonrpc":"2.0","method":"a"}]', invalidRequest, 'the message is a batch'],
    ['a string', '"text"', invalidRequest, 'the message is not a JSON object'],
    ['a number', '42', invalidRequest, 'the message is not a JSON object'],
    ['null', 'null', invalidRequest, 'the message is not a JSON object'],
    ['no version', '{"method":"a"}', invalidRequest, '"jsonrpc" is not "2.0"'],
    ['another version', '{"jsonrpc":"1.0","method":"a"}', invalidRequest, '"jsonrpc" is not "2.0"'],
    ['a version that is a number', '{"jsonrpc":2.0,"method":"a"}', invalidRequest, '"jsonrpc" is not "2.0"'],
    [
      'an id that is null',
      '{"jsonrpc":"2.0","id":null,"method":"a"}',
      invalidRequest,
      '"id" is neither a string nor a number',
    ],
    [
      'an id that is true',
      '{"jsonrpc":"2.0","id":true,"method":"a"}',
      invalidRequest,
      '"id" is neither a string nor a number',
    ],
    [
      'an id that is an object',
      '{"jsonrpc":"2.0","id":{},"method":"a"}',
      invalidRequest,
      '"id" is neither a string nor a number',
    ],
    [
      'an id that begins with a control character',
      '{"jsonrpc":"2.0","id":"\\u00001","method":"a"}',
      invalidRequest,
      '"id" is neither a string nor a number',
    ],
    [
      'a response whose id is null',
      '{"jsonrpc":"2.0","id":null,"result":{}}',
      invalidRequest,
      '"id" is neither a string nor a number',
    ],
    ['a method that is a number', '{"jsonrpc":"2.0","method":7}', invalidRequest, '"method" is not a string'],
    ['a method that is null', '{"jsonrpc":"2.0","method":null}', invalidRequest, '"method" is not a string'],
    ['a response without an id', '{"jsonrpc":"2.0","result":{}}', invalidRequest, 'a response has no "id"'],
  ])('%s', (_what, text, code, reason) => {
    expect(parse(text)).toEqual({ kind: 'fault', code, reason });
  });

  test.each([
    ['neither result nor error', '{"jsonrpc":"2.0","id":4}'],
    ['both result and error', '{"jsonrpc":"2.0","id":4,"result":{},"error":{}}'],
  ])('a response with %s', (_what, text) => {
    const reason = 'the message has no "method", and not exactly one of "result" and "error"';
    expect(parse(text)).toEqual({ kind: 'fault', code: invalidRequest, reason, id: 4 });
  });

  test.each([
    ['a lone continuation byte', [0x22, 0x80, 0x22]],
    ['an overlong encoding', [0x22, 0xc0, 0xaf, 0x22]],
    ['a surrogate half', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['UTF-16', [...Buffer.from('{"jsonrpc":"2.0"}', 'utf16le'), 0xff]],
  ])('bytes that are not UTF-8: %s', (_what, bytes) => {
    const fault = parseMessage(Buffer.from(bytes));
    expect(fault).toEqual({ kind: 'fault', code: parseError, reason: 'the message is not valid UTF-8' });
  });

  test('it names the id of the faulty message where it could be read', () => {
    expect(parse('{"id":"seven","method":"m"}')).toMatchObject({ kind: 'fault', id: 'seven' });
    expect(parse('{"jsonrpc":"2.0","id":7,"method":{}}')).toMatchObject({ kind: 'fault', id: 7 });
    expect(parse('{"id":null,"method":"m"}')).not.toHaveProperty('id');
  });
});

const batch = (...messages: unknown[]): ReturnType<typeof parseMessages> =>
  withoutJson(parseMessages(Buffer.from(JSON.stringify(messages))));

const notifications = (count: number): unknown[] =>
  Array.from({ length: count }, () => ({ jsonrpc: '2.0', method: 'n' }));

describe('a batch', () => {
  test('is read message by message, in order', () => {
    const call = { jsonrpc: '2.0', id: 1, method: 'm', params: { 'x-unknown': [1] } };
    const parsed = batch(call, { jsonrpc: '2.0', method: 'n' }, { jsonrpc: '2.0', id: 'a', result: {} });
    expect(parsed).toMatchObject({
      kind: 'batch',
      messages: [{ kind: 'request', id: 1 }, { kind: 'notification' }, { kind: 'response' }],
    });
    expect(parsed.kind === 'batch' && parsed.messages[0]?.bytes.toString()).toBe(JSON.stringify(call));
  });

  test('of one message is a batch too', () => {
    expect(batch({ jsonrpc: '2.0', method: 'n' })).toMatchObject({
      kind: 'batch',
      messages: [{ kind: 'notification' }],
    });
  });

  test('that is empty is a fault', () => {
    expect(batch()).toEqual({ kind: 'fault', code: invalidRequestCode, reason: 'the message is an empty array' });
  });

  test('holds a hundred messages and no more', () => {
    expect(batch(...notifications(100))).toMatchObject({ kind: 'batch' });
    const reason = 'the batch has more than 100 messages';
    expect(batch(...notifications(101))).toEqual({ kind: 'fault', code: invalidRequestCode, reason });
  });

  test('with a faulty message is a fault as a whole, which says where', () => {
    const reason = 'message 2 of the batch: "jsonrpc" is not "2.0"';
    expect(batch({ jsonrpc: '2.0', method: 'n' }, { id: 7, method: 'm' })).toEqual({
      kind: 'fault',
      code: invalidRequestCode,
      reason,
      id: 7,
    });
    for (const inner of [[], [[]], null, 7, 'text']) expect(batch(inner)).toMatchObject({ kind: 'fault' });
  });

  test('where there can be none is a fault', () => {
    expect(parse('[{"jsonrpc":"2.0","method":"n"}]')).toMatchObject({ kind: 'fault', code: invalidRequestCode });
  });
});

const invalidRequestCode = -32600;

const each = (text: string): ReturnType<typeof parseEach> => parseEach(Buffer.from(text));

describe('what a server says', () => {
  test('is one message, or one fault', () => {
    const text = '{"jsonrpc":"2.0","id":1,"result":{"precise":1.00}}';
    const [message, ...rest] = each(text);
    expect([message, rest]).toMatchObject([{ kind: 'response', id: 1 }, []]);
    expect(message !== undefined && 'bytes' in message && message.bytes.toString()).toBe(text);
    expect(each('{"jsonrpc":"2.0"')).toEqual([
      { kind: 'fault', code: -32700, reason: 'the message is not valid JSON' },
    ]);
    expect(each('{"id":7,"result":{}}')).toEqual([
      { kind: 'fault', code: invalidRequestCode, reason: '"jsonrpc" is not "2.0"', id: 7, json: { id: 7, result: {} } },
    ]);
  });

  test('in a batch is read message by message, and one that is wrong costs no other', () => {
    const messages = [
      { jsonrpc: '2.0', id: 1, result: {} },
      { id: 2, result: {} },
      null,
      [{ jsonrpc: '2.0', id: 3, result: {} }],
      { jsonrpc: '2.0', method: 'n' },
    ];
    const found = each(JSON.stringify(messages));
    expect(found).toMatchObject([
      { kind: 'response', id: 1 },
      { kind: 'fault', id: 2, reason: 'message 2 of the batch: "jsonrpc" is not "2.0"' },
      { kind: 'fault', reason: 'message 3 of the batch: the message is not a JSON object' },
      { kind: 'fault', reason: 'message 4 of the batch: the message is not a JSON object' },
      { kind: 'notification', method: 'n' },
    ]);
    expect(found.flatMap((one) => ('bytes' in one ? [one.bytes.toString()] : []))).toEqual(
      [messages[0], messages[4]].map((message) => JSON.stringify(message)),
    );
  });

  test('in a batch may be long', () => {
    const long = 'x'.repeat(20_000);
    const message = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { long } });
    const [found] = each(`[${message}]`);
    expect(found).toMatchObject({ kind: 'response', id: 1 });
    expect(found !== undefined && 'bytes' in found && found.bytes.toString()).toBe(message);
  });

  test('may be ten thousand messages at once, and no more', () => {
    const found = each(JSON.stringify(notifications(10_000)));
    expect(found).toHaveLength(10_000);
    expect(found.every(({ kind }) => kind === 'notification')).toBe(true);
    expect(each(JSON.stringify(notifications(10_001)))).toEqual([
      { kind: 'fault', code: invalidRequestCode, reason: 'the batch has more than 10000 messages' },
    ]);
  });

  test('is something, even in a batch', () => {
    expect(each('[]')).toEqual([{ kind: 'fault', code: invalidRequestCode, reason: 'the message is an empty array' }]);
  });
});

describe('nesting', () => {
  test('512 levels are read', () => {
    expect(parse(nested(512))).toMatchObject({ kind: 'notification' });
  });

  test('513 levels are refused', () => {
    const reason = 'the message is nested deeper than 512 levels';
    expect(parse(nested(513))).toEqual({ kind: 'fault', code: -32600, reason });
  });

  test('16 MiB of open brackets are answered without parsing them', () => {
    const brackets = Buffer.alloc(16 * 1024 * 1024, '[');
    const parseJson = vi.spyOn(JSON, 'parse');
    expect(parseMessage(brackets)).toMatchObject({ kind: 'fault', code: -32600 });
    expect(parseJson).not.toHaveBeenCalled();
  });
});

test.each([
  ['a result', '{"jsonrpc":"2.0","id":1,"result":{"a":[', ']}}', 'response'],
  [
    'a result beside a long string',
    `{"jsonrpc":"2.0","id":1,"result":{"s":"${'x'.repeat(20_000)}","a":[`,
    ']}}',
    'response',
  ],
  ['a batch', '[', ']', 'fault'],
])('%s of many small values is read without making values of them', (_what, begin, end, kind) => {
  const text = Buffer.from(`${begin}${'{},'.repeat(500_000)}{}${end}`);
  const parseJson = vi.spyOn(JSON, 'parse');
  for (const bytes of [text, { pieces: [text.subarray(0, 9), text.subarray(9)], length: text.length }]) {
    expect(parseEach(bytes).map((found) => found.kind)).toEqual([kind]);
  }
  expect(parseJson).not.toHaveBeenCalled();
  parseJson.mockRestore();
});

describe('the bytes travel on as they came', () => {
  test('without a line break they are the same buffer', () => {
    const raw = Buffer.from('{"jsonrpc":"2.0", "id":1,\t"method":"m","params":{"n":1.0e+2,"s":"\\n\\u00e9é"}}');
    const message = parseMessage(raw);
    expect('bytes' in message && message.bytes).toBe(raw);
  });

  test('line breaks become blanks and every other byte stays', () => {
    const raw = Buffer.from(
      '\r\n{\r\n  "jsonrpc": "2.0",\n  "method": "m",\r  "params": {"s":"a\\r\\nb 😀 \u2028"}\n}\n',
    );
    const before = raw.toString();
    const message = parseMessage(raw);
    expect('bytes' in message && message.bytes.toString()).toBe(before.replaceAll(/[\r\n]/g, ' '));
    expect(raw.toString()).toBe(before);
  });

  test('numbers keep the digits that a parser would round', () => {
    const text = '{"jsonrpc":"2.0","id":1,"result":{"big":12345678901234567890,"precise":1.00}}';
    const message = parse(text);
    expect('bytes' in message && message.bytes.toString()).toBe(text);
  });
});

describe('hostile member names', () => {
  test('__proto__ lends a message nothing', () => {
    const fault = parse('{"__proto__":{"jsonrpc":"2.0","id":1,"method":"m"}}');
    expect(fault).toEqual({ kind: 'fault', code: -32600, reason: '"jsonrpc" is not "2.0"' });
  });

  test('__proto__ and constructor pollute nothing', () => {
    const message = parse(
      '{"jsonrpc":"2.0","id":1,"method":"m","params":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}',
    );
    expect(message).toMatchObject({ kind: 'request' });
    expect({}).not.toHaveProperty('polluted');
  });

  test('memberOf sees own members only', () => {
    expect(memberOf({ a: 1 }, 'a')).toBe(1);
    expect(memberOf(JSON.parse('{"__proto__":7}'), '__proto__')).toBe(7);
    for (const inherited of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(memberOf({}, inherited)).toBeUndefined();
    }
  });

  test('memberOf of what is no object is undefined', () => {
    for (const value of [undefined, null, 'length', 7, true, [1]]) expect(memberOf(value, 'length')).toBeUndefined();
  });
});

describe('what we write ourselves', () => {
  test('an error response without data has no data member', () => {
    expect(errorResponse({ id: null, code: -32000, message: 'no' }).toString()).toBe(
      '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no"}}',
    );
  });

  test('an error response with data stays on one line', () => {
    const written = errorResponse({ id: '1', code: -32603, message: 'a\nb', data: { stderr: 'c\r\nd' } }).toString();
    expect(written).not.toMatch(/[\r\n]/);
    expect(JSON.parse(written)).toEqual({
      jsonrpc: '2.0',
      id: '1',
      error: { code: -32603, message: 'a\nb', data: { stderr: 'c\r\nd' } },
    });
  });

  test('only strings and finite numbers are ids', () => {
    for (const id of ['', 'a', 0, -1, 2.5]) expect(isRequestId(id)).toBe(true);
    for (const id of [null, undefined, true, {}, [], Number.NaN, Number.POSITIVE_INFINITY, 1n]) {
      expect(isRequestId(id)).toBe(false);
    }
  });
});
