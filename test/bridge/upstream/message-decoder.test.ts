import { describe, expect, test } from 'vitest';
import { MessageDecoder } from '../../../src/bridge/upstream/message-decoder.ts';
import { newNotification, newRequest, newResult } from '../../../src/mcp/new-message.ts';

interface IntakeOptions {
  maxMessageBytes?: number;
  isStdout?: boolean;
  /** The ids of requests that the server has got. */
  asked?: (string | number)[];
}

function decoder({ maxMessageBytes = 1000, isStdout, asked = [1, 2, 3, 7, 'x'] }: IntakeOptions = {}) {
  const warnings: string[] = [];
  const created = new MessageDecoder({
    maxMessageBytes,
    onWarning: (warning) => warnings.push(warning),
    ...(isStdout === undefined ? {} : { isStdout }),
  });
  for (const id of asked) created.sent(newRequest(id, 'tools/call'));
  const read = (text: string): unknown[] => created.read(Buffer.from(text)).map(({ json }) => json);
  const readLast = (text: string): unknown[] => created.readLast(Buffer.from(text)).map(({ json }) => json);
  return { created, read, readLast, warnings };
}

const answerTo = (id: number | string) => ({ jsonrpc: '2.0', id, result: {} });
const unreadable = (id: number | string, why: string) => ({
  id,
  error: {
    code: -32603,
    message: `the server's answer cannot be read: ${why}`,
    data: { reason: 'message_unreadable' },
  },
});

test('reads a message, or each of an array', () => {
  const { read, warnings } = decoder();
  const one = { jsonrpc: '2.0', method: 'a' };
  const other = { jsonrpc: '2.0', id: 1, result: {} };
  expect(read(JSON.stringify(one))).toEqual([one]);
  expect(read(JSON.stringify([one, other]))).toEqual([one, other]);
  expect(read('')).toEqual([]);
  expect(warnings).toEqual([]);
});

test.each([
  ['{"jsonrpc":"2.0","id":7,"result":{}', 7, 'the message is not valid JSON'],
  ['{"jsonrpc":"2.0","id":7,"result":{},"error":{}}', 7, 'the message has no "method", and not exactly one'],
  ['{"result":"\uD800","jsonrpc":"1.0","id":"x"}', 'x', '"jsonrpc" is not "2.0"'],
])('an answer that cannot be read fails its request: %s', (text, id, why) => {
  const { read } = decoder();
  expect(read(text)).toMatchObject([
    {
      id,
      error: {
        code: -32603,
        message: expect.stringContaining(`the server's answer cannot be read: ${why}`),
        data: { reason: 'message_unreadable' },
      },
    },
  ]);
});

test('an answer that is too large fails its request', () => {
  const { read, warnings } = decoder({ maxMessageBytes: 50 });
  expect(read(`{"jsonrpc":"2.0","result":"${'ä'.repeat(25)}","id":7}`)).toMatchObject([
    {
      id: 7,
      error: {
        message: "the server's answer is larger than the 50 bytes that a message may have",
        data: { reason: 'message_too_large' },
      },
    },
  ]);
  expect(warnings).toEqual([
    'the server sent a message larger than the 50 bytes that a message may have, it was dropped',
  ]);
});

test('a server that sends nothing else is not reported for ever, nor at length, nor as it is', () => {
  const { read, warnings } = decoder({ maxMessageBytes: 100_000 });
  for (let count = 0; count < 20; count++) expect(read(`\u001B[31m\u202E${'x'.repeat(5000)}`)).toEqual([]);
  expect(warnings).toHaveLength(10);
  expect(warnings.at(-1)).toMatch(/; further ones are only counted$/);
  for (const warning of warnings) {
    expect(warning.length).toBeLessThan(400);
    expect(warning).not.toContain('\u001B');
    expect(warning).not.toContain('\u202E');
  }
});

describe('in a batch', () => {
  const note = { jsonrpc: '2.0', method: 'n' };

  test.each([
    ['a stream', false, 'sent what'],
    ['a standard output', true, 'wrote a line to stdout that'],
  ])('on %s, what cannot be read costs its own request and no other', (_where, isStdout, what) => {
    const { read, warnings } = decoder({ isStdout });
    const text = JSON.stringify([answerTo(1), { id: 2, result: {} }, null, answerTo(3), note]);
    const why = 'message 2 of the batch: "jsonrpc" is not "2.0"';
    expect(read(text)).toEqual([answerTo(1), { jsonrpc: '2.0', ...unreadable(2, why) }, answerTo(3), note]);
    expect(warnings).toEqual([
      `the server ${what} is not a JSON-RPC message (${why}), it was skipped: [{"jsonrpc":"2.0","id":1,"result": …`,
      expect.stringContaining('(message 3 of the batch: the message is not a JSON object)'),
    ]);
  });

  test('may be thousands of messages', () => {
    const { read, warnings } = decoder({ maxMessageBytes: 1_000_000 });
    expect(read(`[${Array(10_000).fill(JSON.stringify(note)).join()}]`)).toHaveLength(10_000);
    expect(warnings).toEqual([]);
    expect(read(`[${Array(10_001).fill(JSON.stringify(note)).join()}]`)).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining('(the batch has more than 10000 messages)')]);
  });
});

describe('a line of a standard output', () => {
  test.each([
    '{"level":"info","id":7,"msg":"up"}',
    '{"id":7}',
    '{"msg":"up","id":7}',
    '{"time":1,"id":7,"error":"none","level":50}',
  ])('may be one of a log, with an id that is none of a request: %s', (text) => {
    const { read, warnings } = decoder({ isStdout: true });
    expect(read(text)).toEqual([]);
    expect(warnings).toEqual([
      `the server wrote a line to stdout that is not a JSON-RPC message ("jsonrpc" is not "2.0"), it was skipped: ${text}`,
    ]);
    // On a stream there is nothing but messages.
    expect(decoder().read(text)).toMatchObject([{ id: 7, error: { data: { reason: 'message_unreadable' } } }]);
  });

  test('that looks like an answer fails its request', () => {
    const { read } = decoder({ isStdout: true });
    expect(read('{"id":7,"result":{}}')).toMatchObject([unreadable(7, '"jsonrpc" is not "2.0"')]);
    expect(read('{"result":{,},"jsonrpc":"2.0","id":"x"}')).toMatchObject([
      unreadable('x', 'the message is not valid JSON'),
    ]);
  });

  test('holds nothing when it is empty', () => {
    const { read, warnings } = decoder({ isStdout: true });
    expect([read(''), warnings]).toEqual([[], []]);
  });
});

describe('what comes last and without its end', () => {
  test('may be whole', () => {
    const { readLast, warnings } = decoder({ isStdout: true });
    expect(readLast(JSON.stringify(answerTo(7)))).toEqual([answerTo(7)]);
    expect(readLast(JSON.stringify([answerTo(1), answerTo(2)]))).toEqual([answerTo(1), answerTo(2)]);
    expect(warnings).toEqual([]);
  });

  test('or else is told, and fails nothing: whoever waits hears of the end', () => {
    const { readLast, warnings } = decoder({ isStdout: true });
    const text = '{"jsonrpc":"2.0","id":7,"result":';
    expect(readLast(`${text}{`)).toEqual([]);
    expect(warnings).toEqual([
      `the server wrote a line to stdout that is not a JSON-RPC message (it is not complete), it was skipped: ${text} …`,
    ]);
  });

  test('in part: what can be read is', () => {
    const { readLast, warnings } = decoder({ isStdout: true });
    expect(readLast(JSON.stringify([answerTo(1), { id: 2, result: {} }]))).toEqual([answerTo(1)]);
    expect(warnings).toHaveLength(1);
  });
});

test('what was too long is dropped, and its request fails by what is left of it', () => {
  const { created, warnings } = decoder({ maxMessageBytes: 50 });
  const line = { size: 5000, head: Buffer.from('{"jsonrpc":"2.0","id":7,"result":"xxx'), tail: Buffer.from('xxx"}') };
  const failure = [{ id: 7, error: { code: -32603, data: { reason: 'message_too_large' } } }];
  for (const isOver of [false, true]) {
    expect(created.overlong(line, isOver).map(({ json }) => json)).toMatchObject(failure);
    expect(created.overlong({ ...line, head: Buffer.from('xxx') }, isOver)).toEqual([]);
  }
  expect(warnings).toHaveLength(2);
});

test.each(['{"id":7,"method":"ping"}', '{"jsonrpc":"2.0","id":7,"method":5}'])(
  'a request of the server that is wrong fails no request of ours: %s',
  (text) => {
    expect(decoder().read(text)).toEqual([]);
    expect(decoder({ isStdout: true }).read(text)).toEqual([]);
  },
);

test('on a standard output, a bad answer in an array fails its request, and lines of a log fail none', () => {
  const { read } = decoder({ isStdout: true });
  const why = 'message 1 of the batch: the message has no "method", and not exactly one of "result" and "error"';
  expect(read('[{"jsonrpc":"2.0","id":7,"result":{},"error":{}}]')).toMatchObject([unreadable(7, why)]);
  expect(read('[{"id":7,"msg":"up"},{"id":8,"error":"none"}]')).toEqual([]);
});

const plain = (why: string) => ({ code: -32603, message: `the server's answer cannot be read: ${why}` });

describe('an answer that is malformed fails its request with what it says', () => {
  const neither = plain('the message has no "method", and not exactly one of "result" and "error"');
  const noVersion = plain('"jsonrpc" is not "2.0"');
  const boom = { code: -32603, message: 'boom' };
  test.each([
    ['{"jsonrpc":"2.0","id":7}', neither],
    ['{"jsonrpc":"2.0","id":7,"params":{}}', neither],
    ['{"jsonrpc":"2.0","id":7,"error":null}', neither],
    ['{"jsonrpc":"2.0","id":7,"error":{},"result":null}', neither],
    ['{"jsonrpc":"2.0","id":7,"method":null,"result":{}}', plain('"method" is not a string')],
    ['{"jsonrpc":"2.0","id":7,"method":5,"error":{"code":3,"message":"boom"}}', { code: 3, message: 'boom' }],
    ['{"jsonrpc":"1.0","id":7,"result":{}}', noVersion],
    ['{"jsonrpc":2.0,"id":7,"result":{}}', noVersion],
    ['{"jsonrpc":null,"id":7,"result":{}}', noVersion],
    ['{"id":7,"result":{}}', noVersion],
    ['{"id":"7","error":{"code":-32000,"message":"boom"}}', { code: -32000, message: 'boom' }],
    ['{"jsonrpc":"2.0","id":7,"result":null,"error":{"code":-1,"message":"boom"}}', { code: -1, message: 'boom' }],
    [
      '{"jsonrpc":"2.0","id":7,"result":{},"error":{"code":-1,"message":"boom","data":{"a":1}}}',
      { code: -1, data: { a: 1 } },
    ],
    ['{"jsonrpc":"2.0","id":7,"error":"boom"}', boom],
    ['{"jsonrpc":"2.0","id":7.0,"error":{"message":"boom"}}', boom],
    ['{"jsonrpc":"2.0","id":7,"error":{"code":"E1","message":"boom"}}', boom],
    ['{"jsonrpc":"2.0","id":7,"error":{"code":-5}}', { code: -5, message: '{"code":-5}' }],
    ['{"jsonrpc":"2.0","id":7,"error":["boom"]}', { code: -32603, message: '["boom"]' }],
    ['{"jsonrpc":"2.0","id":7,"method":"tools/call","result":{}}', plain('a "method" beside a "result" or an "error"')],
    ['{"jsonrpc":"2.0","id":7,"method":"tools/call","error":{"code":-1,"message":"boom"}}', { message: 'boom' }],
  ])('%s', (text, error) => {
    for (const isStdout of [true, false]) {
      const { read, warnings } = decoder({ isStdout });
      expect(read(text)).toMatchObject([{ jsonrpc: '2.0', id: 7, error }]);
      expect(read(`[${text}]`)).toMatchObject([{ jsonrpc: '2.0', id: 7 }]);
      expect(warnings).toHaveLength(2);
    }
  });

  test('also without its id, where it comes on the way of one request', () => {
    const { read, created } = decoder();
    const text = '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"boom"}}';
    expect(read(text)).toEqual([]);
    const [message] = created.read(Buffer.from(text), { request: 3 });
    expect(message?.json).toMatchObject({ id: 3, error: { code: -32600, message: 'boom' } });
  });

  test('but a request of the server is one, whatever id it has', () => {
    const { read } = decoder();
    expect(read('{"jsonrpc":"2.0","id":7,"method":"ping"}')).toMatchObject([{ id: 7, method: 'ping' }]);
    expect(read('{"jsonrpc":"2.0","id":99,"method":"ping","result":1}')).toMatchObject([{ id: 99, method: 'ping' }]);
  });
});

describe('of an answer', () => {
  test.each([
    ['"7"', 7],
    ['7.0', 7],
    ['70e-1', 7],
    ['8', '8'],
    ['" 7 "', 7],
  ])('the id may nearly be that of the request: %s for %j', (written, id) => {
    const { created, warnings } = decoder({ asked: [id] });
    const [response] = created.read(Buffer.from(`{"jsonrpc":"2.0","id":${written},"result":{}}`));
    const admitted = response?.kind === 'response' ? created.admit(response) : undefined;
    expect(admitted?.bytes.toString()).toBe(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{}}`);
    expect(warnings).toEqual([]);
    // And once only.
    expect(response?.kind === 'response' && created.admit(response)).toBeUndefined();
  });

  test('that nobody waits for, the beginning is shown, but not what it carries', () => {
    const { created, warnings } = decoder();
    for (const id of ['\u001b[31m', 8, 7.5, '', -1]) {
      expect(created.admit(newResult(id, { text: `\u202e${'x'.repeat(500)}` }))).toBeUndefined();
    }
    expect(warnings).toHaveLength(5);
    expect(warnings[1]).toMatch(
      /^the server answered a request that it was not sent \(id 8\), the answer was dropped: \{"jsonrpc":"2.0","id":8,"result": …$/,
    );
    for (const warning of warnings) expect(warning.length).toBeLessThan(400);
    for (const warning of warnings) expect(warning).not.toMatch(/\p{Cc}|\p{Bidi_Control}/u);
  });

  test('to a cancelled request nothing is said', () => {
    const { created, warnings } = decoder();
    created.sent(newNotification('notifications/cancelled', { requestId: 7 }));
    expect(created.admit(newResult(7, {}))).toMatchObject({ id: 7 });
    expect(warnings).toEqual([]);
  });

  test('that is too long and goes on, the request is known where there is only one', () => {
    const line = { size: 60, head: Buffer.from('{"result":{"x":"xxx'), tail: Buffer.from('"id":7}') };
    const failure = [{ id: 7, error: { data: { reason: 'message_too_large' } } }];
    const one = decoder({ maxMessageBytes: 50, asked: [7] });
    expect(one.created.overlong(line, false).map(({ json }) => json)).toMatchObject(failure);
    const several = decoder({ maxMessageBytes: 50 });
    expect(several.created.overlong(line, false)).toEqual([]);
    expect(several.created.overlong(line, false, 7).map(({ json }) => json)).toMatchObject(failure);
    expect(several.created.overlong(line, true).map(({ json }) => json)).toMatchObject(failure);
    expect(several.created.overlong({ ...line, head: Buffer.from('{"method":"x') }, false, 7)).toEqual([]);
  });
});

test('after many bad messages in a row there is a summary, and not a line for each', () => {
  const { read, warnings } = decoder({ isStdout: true });
  for (let count = 0; count < 1000; count++) read('noise');
  expect(warnings.slice(10)).toEqual(
    [100, 1000].map(
      (count) => `the server has sent ${count} messages by now that could not be used, they were skipped`,
    ),
  );
});
