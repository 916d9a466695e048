import { expect, test } from 'vitest';
import { editMessage } from '../../../src/mcp/edit-message.ts';
import { editPlan } from '../../../src/mcp/json/edit-members.ts';
import { compileEnvelope, stampEnvelope, strippedEdits } from '../../../src/bridge/translate/envelope.ts';
import { readRequest, written } from './read.ts';

const envelope =
  '"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{}}';
const clientInfo = '"io.modelcontextprotocol/clientInfo":{"name":"c","version":1.0}';
const logLevel = '"io.modelcontextprotocol/logLevel":"info"';

const plain = compileEnvelope({ clientCapabilities: '{"roots":{}}' });
const full = compileEnvelope({
  clientCapabilities: '{"roots":{}}',
  clientInfo: '{"name":"c","version":1.0}',
  logLevel: 'info',
});

const stripped = editPlan(strippedEdits);

test.each([
  ['without params', '', `,"params":{"_meta":{${envelope},${clientInfo},${logLevel}}}`],
  [
    'with a token and numbers that JavaScript would write otherwise',
    ',"params":{"n":1e999,"_meta":{"progressToken":1.0}}',
    `,"params":{"n":1e999,"_meta":{"progressToken":1.0,${envelope},${clientInfo},${logLevel}}}`,
  ],
])('a legacy request %s gets the envelope', (_what, before, after) => {
  const request = readRequest(`"id":12345678901234567890,"method":"x/y"${before}`);
  expect(written(stampEnvelope(request, full))).toBe(`"id":12345678901234567890,"method":"x/y"${after}`);
});

test('what a client writes into its envelope itself does not count', () => {
  const forged = envelope.replace('{"roots":{}}', '{"sampling":{}}');
  const request = readRequest(`"id":1,"method":"m","params":{"_meta":{${clientInfo},${forged},${logLevel}}}`);
  expect(written(stampEnvelope(request, plain))).toBe(`"id":1,"method":"m","params":{"_meta":{${envelope}}}`);
});

test('a modern request loses its envelope, and nothing else', () => {
  const meta = `"traceparent":"00-1-2-01",${envelope},"progressToken":7,${clientInfo},${logLevel},"vendor/x":1.50`;
  const retry = '"inputResponses":{"a":{"action":"accept"}},"requestState":"s","task":{"ttl":1}';
  const request = readRequest(
    `"id":"1","method":"tools/call","params":{"name":"t",${retry},"_meta":{${meta}},"other":2}`,
  );
  expect(written(editMessage(request, stripped))).toBe(
    '"id":"1","method":"tools/call","params":{"name":"t","_meta":{"traceparent":"00-1-2-01","progressToken":7,"vendor/x":1.50},"other":2}',
  );
});

test('a request that has no envelope is the same object', () => {
  const request = readRequest('"id":1,"method":"m","params":{"_meta":{"progressToken":1}}');
  expect(editMessage(request, stripped)).toBe(request);
  const stamped = stampEnvelope(request, full);
  expect(stampEnvelope(stamped, full)).toBe(stamped);
});
