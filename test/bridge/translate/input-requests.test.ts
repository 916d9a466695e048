import { describe, expect, test } from 'vitest';
import {
  inputRequestOf,
  inputResponsesIn,
  isInteractive,
  isResultOf,
} from '../../../src/bridge/translate/input-requests.ts';
import { parseMessage, type RpcRequest } from '../../../src/mcp/json-rpc.ts';

function parsed(text: string): RpcRequest {
  const message = parseMessage(Buffer.from(text));
  if (message.kind !== 'request') throw new Error('the test wrote no request');
  return message;
}

describe('a server request as an input request', () => {
  test('has what it says, as it was written, without what means something on a connection only', () => {
    const params =
      '{"mode":"url","elicitationId":"e","url":"https://a.example","n":1.0,"task":{},"_meta":{"progressToken":1,"io.modelcontextprotocol/related-task":{"taskId":"t"},"x":2}}';
    expect(inputRequestOf(parsed(`{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":${params}}`))).toBe(
      '{"method":"elicitation/create","params":{"mode":"url","url":"https://a.example","n":1.0,"_meta":{"x":2}}}',
    );
  });

  test('has no params if it had none', () => {
    expect(inputRequestOf(parsed('{"jsonrpc":"2.0","id":1,"method":"roots/list"}'))).toBe('{"method":"roots/list"}');
  });
});

test('input responses are found by their keys, as they were written; others are left alone', () => {
  const text =
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"inputResponses":{"q1":{"a": 1.0},"q3":[]},"q2":{}}}';
  const found = inputResponsesIn(parsed(text), ['q1', 'q2']);
  expect([...found].map(([key, value]) => [key, value.toString()])).toEqual([['q1', '{"a": 1.0}']]);
});

test('a client can be asked in three kinds of requests', () => {
  const methods = ['tools/call', 'prompts/get', 'resources/read', 'tools/list', 'completion/complete', 'x'];
  expect(methods.filter((method) => isInteractive(method))).toEqual(['tools/call', 'prompts/get', 'resources/read']);
});

test.each([
  ['roots/list', { roots: [] }, true],
  ['roots/list', { roots: null }, false],
  ['elicitation/create', { action: 'cancel' }, true],
  ['elicitation/create', { action: 'yes' }, false],
  ['elicitation/create', 'accept', false],
  ['sampling/createMessage', { role: 'assistant', content: [], model: 'm' }, true],
  ['sampling/createMessage', { role: 'assistant', content: [] }, false],
])('whether %s may be answered with %j: %s', (method, value, expected) => {
  expect(isResultOf(method, value)).toBe(expected);
});
