import { expect, test } from 'vitest';
import { createMessageIntake } from '../../../../src/bridge/upstream/http/message-intake.ts';

function intake(maxMessageBytes = 1000) {
  const warnings: string[] = [];
  const created = createMessageIntake({ maxMessageBytes, onWarning: (warning) => warnings.push(warning) });
  const read = (text: string): unknown[] => created.read(Buffer.from(text)).map(({ json }) => json);
  return { ...created, read, warnings };
}

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
  const { read, warnings } = intake(50);
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
  const { read, warnings } = intake(100_000);
  for (let count = 0; count < 20; count++) expect(read(`\u001B[31m\u202E${'x'.repeat(5000)}`)).toEqual([]);
  expect(warnings).toHaveLength(10);
  expect(warnings.at(-1)).toMatch(/; further ones are not reported$/);
  for (const warning of warnings) {
    expect(warning.length).toBeLessThan(400);
    expect(warning).not.toContain('\u001B');
    expect(warning).not.toContain('\u202E');
  }
});
