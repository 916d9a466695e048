import { expect, test } from 'vitest';
import { editMessage } from '../../src/mcp/edit-message.ts';
import { parseMessage, type RpcMessage } from '../../src/mcp/json-rpc.ts';
import { eachItem, editPlan, remove, set } from '../../src/mcp/json/edit-members.ts';

const plan = editPlan([
  [['params', '_meta', 'x'], set('1')],
  [['params', 'list', eachItem, 'gone'], remove],
]);

function read(text: string): RpcMessage {
  const message = parseMessage(Buffer.from(text));
  if (message.kind === 'fault') throw new Error(message.reason);
  return message;
}

function edited(text: string): RpcMessage {
  const message = read(text);
  if (message.kind !== 'request') throw new Error('the test wrote no request');
  return editMessage(message, plan);
}

test.each(['', 'x'.repeat(20_000), 'x'.repeat(200_000)])('bytes, values and parts of a message agree', (filling) => {
  const text = `{"jsonrpc":"2.0","id":1.0,"method":"tools/call","params":{"big":"${filling}","list":[{"gone":1,"n":2.0},3]}}`;
  const message = edited(text);
  const expected = text.replace('"gone":1,', '').replace('3]}', '3],"_meta":{"x":1}}');
  expect(message.bytes.toString()).toBe(expected);
  expect(message).toMatchObject({ kind: 'request', id: '\u00001.0', method: 'tools/call' });
  expect(message.json).toEqual(read(expected).json);
});

test('a message that has it all is the same object', () => {
  const message = read('{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"x":1}}}');
  expect(message.kind === 'request' && editMessage(message, plan)).toBe(message);
});

test('a message that nobody has parsed is not parsed to be changed', () => {
  const { envelope } = edited('{"jsonrpc":"2.0","id":1,"method":"m","params":{}}');
  expect(envelope).toMatchObject({ id: 1, method: 'm', mayHaveMeta: true });
});

test.each([
  ['{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1}}', '1'],
  ['{"jsonrpc":"2.0","params":{"a":1},"id":1,"method":"m"}', undefined],
])('where the id is written is still known if the change is behind it: %s', (text, written) => {
  const message = parseMessage(Buffer.from(text));
  if (message.kind !== 'request') throw new Error('the test wrote no request');
  const { bytes, envelope } = editMessage(message, editPlan([[['params', 'a'], set('[2,3]')]]));
  const span = envelope?.idSpan;
  expect(span && bytes.toString().slice(span.start, span.end)).toBe(written);
});
