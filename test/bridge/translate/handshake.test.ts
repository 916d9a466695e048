import { expect, test } from 'vitest';
import {
  discoverFromInitialize,
  initializeFromDiscover,
  serverInfoIn,
} from '../../../src/bridge/translate/handshake.ts';
import { readResponse, written } from './read.ts';

const info = '{"name":"s","version":"1","n":1.0}';

test('a legacy server’s handshake answers server/discover', () => {
  const capabilities = '{"tools":{"listChanged":true},"tasks":{"list":{}},"extensions":{"x":{}},"n":2.0}';
  const response = readResponse(
    `"id":7,"result":{"protocolVersion":"2025-06-18","capabilities":${capabilities},"serverInfo":${info},"instructions":"i","other":1e999}`,
  );
  expect(written(discoverFromInitialize(response))).toBe(
    `"id":7,"result":{"capabilities":{"tools":{"listChanged":true},"extensions":{"x":{}},"n":2.0},"instructions":"i","other":1e999,` +
      `"supportedVersions":["2026-07-28"],"resultType":"complete","ttlMs":0,"cacheScope":"private",` +
      `"_meta":{"io.github.mcp-expose/bridge":{"upstreamEra":"legacy","upstreamVersion":"2025-06-18","translated":true},` +
      `"io.modelcontextprotocol/serverInfo":${info}}}`,
  );
});

test.each([
  ['{"tasks":{"requests":{"tools":{"call":{}}}}}', '{"extensions":{"io.modelcontextprotocol/tasks":{}}}'],
  [
    '{"tasks":{"requests":{"tools":{"call":{}}}},"extensions":{"x":{}}}',
    '{"extensions":{"x":{},"io.modelcontextprotocol/tasks":{}}}',
  ],
  ['{"tasks":{"list":{}}}', '{}'],
  ['{"extensions":{"io.modelcontextprotocol/tasks":{}}}', '{"extensions":{}}'],
])('a legacy server with %s has the modern capabilities %s', (legacy, modern) => {
  const response = readResponse(`"id":7,"result":{"protocolVersion":"2025-11-25","capabilities":${legacy}}`);
  expect(written(discoverFromInitialize(response))).toContain(`"capabilities":${modern},`);
});

const discovered = `"id":7,"result":{"resultType":"complete","ttlMs":9,"cacheScope":"public","supportedVersions":["2026-07-28"],"capabilities":{"resources":{"subscribe":true},"extensions":{"io.modelcontextprotocol/tasks":{},"x":{}},"n":2.0},"instructions":"i","other":1e999,"_meta":{"io.modelcontextprotocol/serverInfo":${info},"a":1}}`;

test.each([
  ['2025-06-18', '2025-06-18'],
  ['2024-11-05', '2024-11-05'],
  ['2026-07-28', '2025-11-25'],
  ['1999-01-01', '2025-11-25'],
  [5, '2025-11-25'],
])('a modern server’s discovery answers initialize of revision %s with %s', (requested, agreed) => {
  expect(written(initializeFromDiscover(readResponse(discovered), requested))).toBe(
    `"id":7,"result":{"capabilities":{"resources":{"subscribe":true},"extensions":{"x":{}},"n":2.0},"instructions":"i","other":1e999,` +
      `"_meta":{"a":1,"io.github.mcp-expose/bridge":{"upstreamEra":"modern","upstreamVersion":"2026-07-28","translated":true}},` +
      `"protocolVersion":"${agreed}","serverInfo":${info}}`,
  );
});

test('a server that does not describe itself', () => {
  const response = readResponse('"id":1,"result":{"supportedVersions":[],"capabilities":{}}');
  expect(serverInfoIn(response)).toBeUndefined();
  expect(serverInfoIn(initializeFromDiscover(response, '2025-11-25'))?.toString()).toBe(
    '{"name":"unknown","version":"0"}',
  );
  expect(serverInfoIn(discoverFromInitialize(response))).toBeUndefined();
});

test('errors pass', () => {
  const failed = readResponse('"id":1,"error":{"code":1,"message":""}');
  expect(discoverFromInitialize(failed)).toBe(failed);
  expect(initializeFromDiscover(failed, '2025-11-25')).toBe(failed);
});
