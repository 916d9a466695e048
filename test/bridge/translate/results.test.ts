import { describe, expect, test } from 'vitest';
import type { RpcResponse } from '../../../src/mcp/json-rpc.ts';
import { ModernResults } from '../../../src/bridge/translate/modern-results.ts';
import { resultToLegacy, resultTypeOf } from '../../../src/bridge/translate/results.ts';
import { readRequest, readResponse, written } from './read.ts';

const info = Buffer.from('{"name":"s","version":"1","x":1.0}');
const stamped = '"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1","x":1.0}}';

const toModern = (response: RpcResponse, method: string, serverInfo?: Buffer): string =>
  written(new ModernResults(serverInfo).translate(response, readRequest(`"id":1,"method":"${method}"`), 1));

describe('to a legacy client', () => {
  test('a result loses what only a modern client reads', () => {
    const response = readResponse(
      `"id":1,"result":{"resultType":"complete","tools":[{"name":"t","n":1.0}],"ttlMs":5,"cacheScope":"public","_meta":{"a":1,"io.modelcontextprotocol/serverInfo":{},"io.modelcontextprotocol/subscriptionId":1}}`,
    );
    expect(written(resultToLegacy(response))).toBe('"id":1,"result":{"tools":[{"name":"t","n":1.0}],"_meta":{"a":1}}');
  });

  test.each(['"result":{"content":[]}', '"result":{}', '"error":{"code":-32602,"message":"no"}'])(
    'what has none of it is the same object: %s',
    (members) => {
      const response = readResponse(`"id":1,${members}`);
      expect(resultToLegacy(response)).toBe(response);
    },
  );

  test.each([
    ['"task"', 'of type \\"task\\"'],
    ['"input_required"', 'of type \\"input_required\\"'],
    ['7', 'of an unknown type'],
  ])('a result of the type %s is an error', (type, shown) => {
    expect(written(resultToLegacy(readResponse(`"id":7,"result":{"resultType":${type},"x":1}`)))).toBe(
      `"id":7,"error":{"code":-32603,"message":"the server gave a result ${shown}, which a client of this revision cannot read","data":{"reason":"unknown_result_type"}}`,
    );
  });
});

test.each([
  ['"result":{"resultType":"task"}', 'task'],
  [`"result":{"big":"${'x'.repeat(100_000)}","resultType":"task"}`, 'task'],
  ['"result":{}', 'complete'],
  ['"result":{"resultType":null}', undefined],
  ['"error":{"code":1,"message":""}', undefined],
])('the type of a result is read', (members, type) => {
  expect(resultTypeOf(readResponse(`"id":1,${members}`))).toBe(type);
});

describe('to a modern client', () => {
  test.each([
    ['of a call', 'tools/call', '"content":[],"n":1.0', `"content":[],"n":1.0,"resultType":"complete",${stamped}`],
    ['of an unknown method', 'x/y', '', `"resultType":"complete",${stamped}`],
    ['with a type', 'tools/call', '"resultType":"task"', `"resultType":"task",${stamped}`],
    [
      'of a list',
      'tools/list',
      '"tools":[{"name":"t","execution":{"taskSupport":"required"},"n":1.0}],"nextCursor":""',
      `"tools":[{"name":"t","n":1.0}],"nextCursor":"","resultType":"complete",${stamped},"ttlMs":0,"cacheScope":"private"`,
    ],
    [
      'that may be cached',
      'resources/read',
      '"ttlMs":60000,"cacheScope":"public"',
      `"ttlMs":60000,"cacheScope":"public","resultType":"complete",${stamped}`,
    ],
    [
      'that says so wrongly',
      'prompts/list',
      '"ttlMs":-1.5,"cacheScope":"all"',
      `"ttlMs":0,"cacheScope":"private","resultType":"complete",${stamped}`,
    ],
  ])('a result %s', (_what, method, before, after) => {
    const response = readResponse(`"id":7,"result":{${before}}`);
    expect(toModern(response, method, info)).toBe(`"id":1,"result":{${after}}`);
  });

  test('a server without a description adds none, and an error passes', () => {
    const response = readResponse('"id":1,"result":{"_meta":{"a":1}}');
    expect(toModern(response, 'tools/call')).toBe('"id":1,"result":{"_meta":{"a":1},"resultType":"complete"}');
    const failed = readResponse('"id":1,"error":{"code":1,"message":""}');
    expect(toModern(failed, 'tools/list', info)).toBe('"id":1,"error":{"code":1,"message":""}');
  });
});
