import { describe, expect, test } from 'vitest';
import { protocolVersionKey } from '../../src/mcp/envelope-keys.ts';
import { envelopeOf } from '../../src/mcp/envelope.ts';
import { createRandom, type Random } from '../harness/random.ts';
import { randomValue, spoiled, written } from './json/texts.ts';

/** The envelope of a text by the parser; undefined where it is not a message. */
function expectedOf(text: string): object | undefined {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(message) || message['jsonrpc'] !== '2.0') return undefined;
  const { id, method, params } = message;
  if (method !== undefined && typeof method !== 'string') return undefined;
  if (id !== undefined && typeof id !== 'string' && typeof id !== 'number') return undefined;
  const failed = (message['error'] ?? undefined) !== undefined;
  if (method === undefined && (id === undefined || failed === (message['result'] !== undefined))) return undefined;
  const { progressToken, _meta: meta } = isObject(params) ? params : {};
  const requestToken = isObject(meta) ? meta['progressToken'] : undefined;
  return { id, method, failed, mayHaveMeta: meta !== undefined, progressToken, requestToken };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function envelope(text: string): object | undefined {
  const found = envelopeOf(Buffer.from(text));
  if (found === undefined) return undefined;
  const { id, method, failed, mayHaveMeta, progressToken, requestToken } = found;
  return { id, method, failed, mayHaveMeta, progressToken, requestToken };
}

describe('a message as nearly all are', () => {
  test.each([
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"_meta":1,"progressToken":2}}}',
    '{"jsonrpc": "2.0", "id": "a-é", "method": "x/y", "params": {"_meta": {"progressToken": 1}, "cursor": null}}',
    '{"method":"initialize","params":{},"jsonrpc":"2.0","id":0}',
    '{"jsonrpc":"2.0","method":"notifications/initialized"}',
    '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":0.5}}',
    '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1,"progressToken":123456789012345}}',
    '{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"a\\n\\"b\\""}],"isError":false}}',
    '{"result":{},"id":7,"jsonrpc":"2.0"}',
    '{"jsonrpc":"2.0","id":7,"result":null,"error":null}',
    '{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no"}}',
    '{"jsonrpc":"2.0","id":7,"method":"x","params":[1,{"_meta":1}],"more":{"a\\u0062":[]}}',
  ])('has an envelope: %s', (text) => {
    expect(envelope(text)).toEqual(expectedOf(text));
    expect(envelope(text)).toBeDefined();
    expect(envelope(` ${text} `)).toEqual(expectedOf(text));
  });
});

describe('left to the parser', () => {
  test.each([
    ['an id that is no whole number', '{"jsonrpc":"2.0","id":1.5,"method":"x"}'],
    ['an id that is below zero', '{"jsonrpc":"2.0","id":-1,"method":"x"}'],
    ['an id with an exponent', '{"jsonrpc":"2.0","id":1e3,"method":"x"}'],
    ['an id of many digits', '{"jsonrpc":"2.0","id":1234567890123456,"method":"x"}'],
    ['an id with an escape', '{"jsonrpc":"2.0","id":"\\u0061","method":"x"}'],
    ['an id that is null', '{"jsonrpc":"2.0","id":null,"method":"x"}'],
    ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"x"}'],
    ['two ids', '{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}'],
    ['two ids, one with an escape', '{"jsonrpc":"2.0","id":1,"\\u0069d":2,"method":"x"}'],
    ['two methods', '{"jsonrpc":"2.0","method":"x","method":"y"}'],
    ['a method with an escape', '{"jsonrpc":"2.0","method":"tools\\/call"}'],
    ['a method that is no string', '{"jsonrpc":"2.0","id":1,"method":7}'],
    ['two params', '{"jsonrpc":"2.0","method":"x","params":{},"params":{"_meta":{}}}'],
    ['two versions', '{"jsonrpc":"2.0","jsonrpc":"1.0","method":"x"}'],
    ['another version', '{"jsonrpc":"1.0","method":"x"}'],
    ['a version with an escape', '{"jsonrpc":"2\\u002e0","method":"x"}'],
    ['no version', '{"method":"x"}'],
    ['a method beside a result', '{"jsonrpc":"2.0","id":1,"method":"x","result":{}}'],
    ['a method beside an error', '{"jsonrpc":"2.0","id":1,"method":"x","error":null}'],
    ['two results', '{"jsonrpc":"2.0","id":1,"result":1,"result":2}'],
    ['two errors', '{"jsonrpc":"2.0","id":1,"error":{},"error":null}'],
    ['a result and an error', '{"jsonrpc":"2.0","id":1,"result":1,"error":{}}'],
    ['neither', '{"jsonrpc":"2.0","id":1}'],
    ['a response without an id', '{"jsonrpc":"2.0","result":1}'],
    ['a name in params with an escape', '{"jsonrpc":"2.0","method":"x","params":{"_\\u006deta":{}}}'],
    ['two progress tokens', '{"jsonrpc":"2.0","method":"x","params":{"progressToken":1,"progressToken":2}}'],
    ['a progress token that is none', '{"jsonrpc":"2.0","method":"x","params":{"progressToken":null}}'],
    ['a name in other capitals', '{"jsonrpc":"2.0","id":1,"ID":2,"method":"x"}'],
    ['a name in other capitals only', '{"jsonrpc":"2.0","id":1,"method":"x","Params":{}}'],
    ['a name in params in other capitals', '{"jsonrpc":"2.0","method":"x","params":{"name":"a","Name":"b"}}'],
    ['a letter in a name that folds to s', '{"jsonrpc":"2.0","method":"x","params":{"ta\u017fkId":"b"}}'],
    ['two names', '{"jsonrpc":"2.0","method":"x","params":{"name":"a","name":"b"}}'],
    ['two objects of metadata', '{"jsonrpc":"2.0","method":"x","params":{"_meta":{},"_meta":{}}}'],
    [
      'two tokens in the metadata',
      '{"jsonrpc":"2.0","method":"x","params":{"_meta":{"progressToken":1,"progressToken":1}}}',
    ],
    ['a token in other capitals', '{"jsonrpc":"2.0","method":"x","params":{"_meta":{"ProgressToken":1}}}'],
    ['a token that is none', '{"jsonrpc":"2.0","method":"x","params":{"_meta":{"progressToken":{}}}}'],
    [
      'two revisions',
      `{"jsonrpc":"2.0","method":"x","params":{"_meta":{"${protocolVersionKey}":"a","${protocolVersionKey}":"b"}}}`,
    ],
    ['several lines', '{"jsonrpc":"2.0",\n"method":"x"}'],
    ['a batch', '[{"jsonrpc":"2.0","method":"x"}]'],
    ['something behind it', '{"jsonrpc":"2.0","method":"x"}{}'],
    ['no end', '{"jsonrpc":"2.0","method":"x"'],
    ['a mistake far inside', '{"jsonrpc":"2.0","id":1,"result":{"a":[{"b":tru}]}}'],
    ['deep nesting', `{"jsonrpc":"2.0","id":1,"result":${'['.repeat(65)}${']'.repeat(65)}}`],
    ['nothing', ''],
  ])('%s', (_what, text) => {
    expect(envelope(text)).toBeUndefined();
  });
});

test('it says where the id is written', () => {
  const text = '{"jsonrpc":"2.0","method":"x","params":{"id":1}, "id" : "é" }';
  const { start = 0, end = 0 } = envelopeOf(Buffer.from(text))?.idSpan ?? {};
  expect(Buffer.from(text).toString('utf8', start, end)).toBe('"é"');
});

function randomMessage(random: Random): string {
  const members: [string, () => unknown][] = [
    ['jsonrpc', () => random.pick(['2.0', '2.0', '2.0', '2.0', '1.0', 2])],
    ['id', () => random.pick([1, 12_345, 'a', 'é', 0, -1, 1.5, null, 'a\n'])],
    ['method', () => random.pick(['tools/call', 'notifications/progress', 'x', 'a"b', 7])],
    ['params', () => random.pick([{}, { _meta: {} }, { progressToken: 1, a: 'x' }, randomValue(random)])],
    ['result', () => randomValue(random)],
    ['error', () => random.pick([null, { code: 1, message: 'x' }, randomValue(random)])],
    ['other', () => randomValue(random)],
  ];
  const usual = random.pick([
    ['jsonrpc', 'id', 'method', 'params'],
    ['jsonrpc', 'method', 'params'],
    ['jsonrpc', 'id', 'result'],
    ['jsonrpc', 'id', 'error'],
  ]);
  const chosen = members.filter(([name]) => usual.includes(name) !== (random.below(20) === 0));
  if (random.below(10) === 0) chosen.push(random.pick(members));
  const parts = chosen.map(([name, value]) => `${JSON.stringify(name)}:${written(value(), random)}`);
  return `{${parts.join(random.below(2) === 0 ? ',' : ' , ')}}`;
}

test('an envelope is what the parser makes of the message, and most messages have one', () => {
  const random = createRandom(11);
  let messages = 0;
  let enveloped = 0;
  for (let round = 0; round < 60_000; round++) {
    const text = spoiled(randomMessage(random), random);
    const expected = expectedOf(text);
    const found = envelope(text);
    // A text without an envelope is left to the parser.
    expect([text, found ?? expected]).toEqual([text, expected]);
    if (expected !== undefined) messages++;
    if (found !== undefined) enveloped++;
  }
  expect(messages).toBeGreaterThan(10_000);
  expect(enveloped).toBeGreaterThan(messages / 2);
});
