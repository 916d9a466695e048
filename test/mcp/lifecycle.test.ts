import { expect, test } from 'vitest';
import { parseMessage, type RpcRequest } from '../../src/mcp/json-rpc.ts';
import { withServedRevision } from '../../src/mcp/lifecycle.ts';
import { legacyRevisions } from '../../src/mcp/revisions.ts';

function request(text: string): RpcRequest {
  const parsed = parseMessage(Buffer.from(text));
  if (parsed.kind !== 'request') throw new Error('the test wrote no request');
  return parsed;
}

const initialize = (params: string): RpcRequest =>
  request(`{"jsonrpc":"2.0","id":"a","method":"initialize","params":${params}}`);

test.each(legacyRevisions)('%s is put to the server as it came', (revision) => {
  const asked = initialize(`{"protocolVersion":"${revision}"}`);
  expect(withServedRevision(asked)).toBe(asked);
});

test('another revision becomes the newest that is served, and nothing else changes', () => {
  const asked = initialize('{ "x": 1.0, "protocolVersion" : "2026-07-28", "clientInfo": {"protocolVersion":"9"} }');
  const put = withServedRevision(asked);
  expect(put.bytes.toString()).toBe(asked.bytes.toString().replace('2026-07-28', '2025-11-25'));
  expect([put.id, put.json['params']]).toMatchObject(['a', { protocolVersion: '2025-11-25', x: 1 }]);
});

test.each(['{}', '{"protocolVersion":7}', '{"protocolVersion":null}', '[]'])(
  'what names none (%s) is the server’s to judge',
  (params) => {
    const asked = initialize(params);
    expect(withServedRevision(asked)).toBe(asked);
  },
);
