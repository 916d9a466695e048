import { describe, expect, test } from 'vitest';
import { createMessageIntake } from '../../../src/bridge/upstream/message-intake.ts';

function intake({ maxMessageBytes = 1000, isStdout }: { maxMessageBytes?: number; isStdout?: boolean } = {}) {
  const warnings: string[] = [];
  const created = createMessageIntake({
    maxMessageBytes,
    onWarning: (warning) => warnings.push(warning),
    ...(isStdout === undefined ? {} : { isStdout }),
  });
  const read = (text: string): unknown[] => created.read(Buffer.from(text)).map(({ json }) => json);
  const readLast = (text: string): unknown[] => created.readLast(Buffer.from(text)).map(({ json }) => json);
  return { ...created, read, readLast, warnings };
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
  const { read, warnings } = intake();
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
  const { read } = intake();
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
  const { read, warnings } = intake({ maxMessageBytes: 50 });
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
  const { read, warnings } = intake({ maxMessageBytes: 100_000 });
  for (let count = 0; count < 20; count++) expect(read(`\u001B[31m\u202E${'x'.repeat(5000)}`)).toEqual([]);
  expect(warnings).toHaveLength(10);
  expect(warnings.at(-1)).toMatch(/; further ones are not reported$/);
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
    const { read, warnings } = intake({ isStdout });
    const text = JSON.stringify([answerTo(1), { id: 2, result: {} }, null, answerTo(3), note]);
    const why = 'message 2 of the batch: "jsonrpc" is not "2.0"';
    expect(read(text)).toEqual([answerTo(1), { jsonrpc: '2.0', ...unreadable(2, why) }, answerTo(3), note]);
    expect(warnings).toEqual([
      `the server ${what} is not a JSON-RPC message (${why}), it was skipped: ${text.slice(0, 200)}`,
      expect.stringContaining('(message 3 of the batch: the message is not a JSON object)'),
    ]);
  });

  test('may be thousands of messages', () => {
    const { read, warnings } = intake({ maxMessageBytes: 1_000_000 });
    expect(read(`[${Array(10_000).fill(JSON.stringify(note)).join()}]`)).toHaveLength(10_000);
    expect(warnings).toEqual([]);
    expect(read(`[${Array(10_001).fill(JSON.stringify(note)).join()}]`)).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining('(the batch has more than 10000 messages)')]);
  });
});

describe('a line of a standard output', () => {
  test.each(['{"level":"info","id":7,"msg":"up"}', '{"id":7,"jsonrpc":"1.0"}', '{"id":7}', '{"msg":"up","id":7}'])(
    'may be one of a log, with an id that is none of a request: %s',
    (text) => {
      const { read, warnings } = intake({ isStdout: true });
      expect(read(text)).toEqual([]);
      expect(warnings).toEqual([
        `the server wrote a line to stdout that is not a JSON-RPC message ("jsonrpc" is not "2.0"), it was skipped: ${text}`,
      ]);
      // On a stream there is nothing but messages.
      expect(intake().read(text)).toMatchObject([unreadable(7, '"jsonrpc" is not "2.0"')]);
    },
  );

  test('that looks like an answer fails its request', () => {
    const { read } = intake({ isStdout: true });
    expect(read('{"id":7,"result":{}}')).toMatchObject([unreadable(7, '"jsonrpc" is not "2.0"')]);
    expect(read('{"result":{,},"jsonrpc":"2.0","id":"x"}')).toMatchObject([
      unreadable('x', 'the message is not valid JSON'),
    ]);
  });

  test('holds nothing when it is empty', () => {
    const { read, warnings } = intake({ isStdout: true });
    expect([read(''), warnings]).toEqual([[], []]);
  });
});

describe('what comes last and without its end', () => {
  test('may be whole', () => {
    const { readLast, warnings } = intake({ isStdout: true });
    expect(readLast(JSON.stringify(answerTo(7)))).toEqual([answerTo(7)]);
    expect(readLast(JSON.stringify([answerTo(1), answerTo(2)]))).toEqual([answerTo(1), answerTo(2)]);
    expect(warnings).toEqual([]);
  });

  test('or else is told, and fails nothing: whoever waits hears of the end', () => {
    const { readLast, warnings } = intake({ isStdout: true });
    const text = '{"jsonrpc":"2.0","id":7,"result":{';
    expect(readLast(text)).toEqual([]);
    expect(warnings).toEqual([
      `the server wrote a line to stdout that is not a JSON-RPC message (it is not complete), it was skipped: ${text}`,
    ]);
  });

  test('in part: what can be read is', () => {
    const { readLast, warnings } = intake({ isStdout: true });
    expect(readLast(JSON.stringify([answerTo(1), { id: 2, result: {} }]))).toEqual([answerTo(1)]);
    expect(warnings).toHaveLength(1);
  });
});

test('what was too long is dropped, and its request fails by what is left of it', () => {
  const { overlong, warnings } = intake({ maxMessageBytes: 50 });
  const line = { size: 5000, head: Buffer.from('{"jsonrpc":"2.0","id":7,"result":"xxx'), tail: Buffer.from('xxx"}') };
  expect(overlong(line).map(({ json }) => json)).toMatchObject([
    { id: 7, error: { code: -32603, data: { reason: 'message_too_large' } } },
  ]);
  expect(overlong({ ...line, head: Buffer.from('xxx') })).toEqual([]);
  expect(warnings).toHaveLength(2);
});

test.each(['{"id":7,"method":"ping"}', '{"jsonrpc":"2.0","id":7,"method":5}'])(
  'a request of the server that is wrong fails no request of ours: %s',
  (text) => {
    expect(intake().read(text)).toEqual([]);
    expect(intake({ isStdout: true }).read(text)).toEqual([]);
  },
);

test('on a standard output, a bad answer in an array fails its request, and lines of a log fail none', () => {
  const { read } = intake({ isStdout: true });
  const why = 'message 1 of the batch: the message has no "method", and not exactly one of "result" and "error"';
  expect(read('[{"jsonrpc":"2.0","id":7,"result":{},"error":{}}]')).toMatchObject([unreadable(7, why)]);
  expect(read('[{"id":7,"msg":"up"},{"id":8,"error":"none"}]')).toEqual([]);
});
