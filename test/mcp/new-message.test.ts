import { expect, test } from 'vitest';
import { parseMessage } from '../../src/mcp/json-rpc.ts';
import { newError, newNotification, newRequest, newResult } from '../../src/mcp/new-message.ts';
import { whole } from '../bridge/messages.ts';

test.each([
  [newRequest(0, 'm', { a: 1 }), '{"jsonrpc":"2.0","id":0,"method":"m","params":{"a":1}}'],
  [newRequest('x', 'm'), '{"jsonrpc":"2.0","id":"x","method":"m","params":{}}'],
  [newNotification('m'), '{"jsonrpc":"2.0","method":"m"}'],
  [newNotification('m', { a: '\n' }), '{"jsonrpc":"2.0","method":"m","params":{"a":"\\n"}}'],
  [newResult(7, { ok: true }), '{"jsonrpc":"2.0","id":7,"result":{"ok":true}}'],
  [newError({ id: 7, code: -32603, message: 'no' }), '{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"no"}}'],
])('a new message is what the parser makes of its bytes: %#', (message, text) => {
  expect(message.bytes.toString()).toBe(text);
  const parsed = parseMessage(message.bytes);
  expect(parsed.kind === 'fault' ? parsed : whole(parsed)).toEqual(message);
});
