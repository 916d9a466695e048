// What clients and scripts depend on, frozen. Change a literal here only together with a line in CHANGELOG.md.
import { expect, test } from 'vitest';
import { createGuard } from '../../src/auth/guard.ts';
import { callersOf } from '../harness/callers.ts';
import { createHostList } from '../../src/auth/hosts.ts';
import { generateToken, tokenPrefix, weakTokenLength } from '../../src/auth/token.ts';
import { defaultMaxSessions } from '../../src/bridge/session/sessions.ts';
import { defaultMaxMessageBytes } from '../../src/bridge/limits.ts';
import { defaultWriteWindowBytes } from '../../src/bridge/upstream/stdio/write-window.ts';
import { ExposeError } from '../../src/errors.ts';
import { defaultStartTimeoutMs } from '../../src/expose/servers/exposed-server.ts';
import { defaultMaxBodyBytes } from '../../src/http/body.ts';
import { mcpPath } from '../../src/http/route.ts';
import { methodHeader, nameHeader, paramHeaderPrefix, revisionHeader, sessionHeader } from '../../src/mcp/headers.ts';
import { errorResponse, maxJsonDepth, rpcCode } from '../../src/mcp/json-rpc.ts';
import {
  batchRevision,
  firstModernRevision,
  legacyRevisions,
  modernRevisions,
  preferredRevision,
} from '../../src/mcp/revisions.ts';
import { encodeComment, encodeEvent, eventStreamType } from '../../src/mcp/sse.ts';

test('JSON-RPC error codes', () => {
  expect(rpcCode).toEqual({
    parseError: -32700,
    methodNotFound: -32601,
    invalidParams: -32602,
    invalidRequest: -32600,
    internalError: -32603,
    badRequest: -32000,
    sessionNotFound: -32001,
    headerMismatch: -32020,
    missingClientCapability: -32021,
    unsupportedProtocolVersion: -32022,
  });
});

test('the order of members in an error response', () => {
  expect(errorResponse({ id: 1, code: -32603, message: 'm', data: { a: 1 } }).toString()).toBe(
    '{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"m","data":{"a":1}}}',
  );
});

test('names of headers and the path', () => {
  expect([sessionHeader, revisionHeader, mcpPath]).toEqual(['mcp-session-id', 'mcp-protocol-version', '/mcp']);
  expect([methodHeader, nameHeader, paramHeaderPrefix]).toEqual(['mcp-method', 'mcp-name', 'mcp-param-']);
});

test('revisions', () => {
  expect(legacyRevisions).toEqual(['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05', '2024-10-07']);
  expect([preferredRevision, firstModernRevision, batchRevision]).toEqual(['2025-11-25', '2026-07-28', '2025-03-26']);
  expect(modernRevisions).toEqual(['2026-07-28']);
});

test('bytes of server-sent events', () => {
  expect(encodeEvent(Buffer.from('{"é":1}'))).toEqual(
    Buffer.from([
      101, 118, 101, 110, 116, 58, 32, 109, 101, 115, 115, 97, 103, 101, 10, 100, 97, 116, 97, 58, 32, 123, 34, 195,
      169, 34, 58, 49, 125, 10, 10,
    ]),
  );
  expect(encodeComment('keep-alive')).toBe(': keep-alive\n\n');
  expect(eventStreamType).toBe('text/event-stream');
});

test('the form of a token', () => {
  expect([tokenPrefix, weakTokenLength]).toEqual(['mcpx_', 22]);
  expect(generateToken()).toHaveLength(48);
  expect(generateToken()).toMatch(/^mcpx_[A-Za-z0-9_-]{43}$/);
});

const source = { peerAddress: '127.0.0.1', valuesOf: () => [] };

test('challenges of a 401', () => {
  const { admit } = createGuard({ hosts: createHostList(), callers: callersOf('right') });
  const challenge = (...authorization: string[]): unknown =>
    admit({ host: 'localhost', endpoint: '/mcp', origin: undefined, authorization, source });
  expect(challenge()).toMatchObject({ denial: { status: 401, challenge: 'Bearer' } });
  expect(challenge('Bearer wrong')).toMatchObject({
    denial: { status: 401, challenge: 'Bearer error="invalid_token"' },
  });
  expect(challenge('a', 'b')).toMatchObject({ denial: { status: 400, challenge: 'Bearer error="invalid_request"' } });
});

test('names of callers, to which sessions are bound', () => {
  const open = createGuard({ hosts: createHostList(), callers: undefined });
  const closed = createGuard({ hosts: createHostList(), callers: callersOf('right') });
  const head = { host: 'localhost', endpoint: '/mcp', origin: undefined, authorization: ['Bearer right'], source };
  expect([open.admit(head), closed.admit(head)]).toEqual([
    { caller: { id: 'anonymous', label: 'anonymous' }, host: { basePath: '' } },
    { caller: { id: 'test#1', label: 'test' }, host: { basePath: '' } },
  ]);
});

test('limits', () => {
  expect({
    maxJsonDepth,
    defaultMaxBodyBytes,
    defaultMaxSessions,
    defaultMaxMessageBytes,
    defaultWriteWindowBytes,
  }).toEqual({
    maxJsonDepth: 512,
    defaultMaxBodyBytes: 16_777_216,
    defaultMaxSessions: 32,
    defaultMaxMessageBytes: 67_108_864,
    defaultWriteWindowBytes: 67_108_864,
  });
  expect(defaultStartTimeoutMs).toBe(60_000);
});

test.each([
  ['usage', 2],
  ['token_unusable', 2],
  ['state_unusable', 2],
  ['unauthenticated_public', 2],
  ['address_in_use', 1],
  ['address_unavailable', 1],
  ['upstream_not_started', 3],
  ['upstream_exited', 3],
  ['upstream_silent', 3],
  ['upstream_refused', 3],
  ['tunnel_unreachable', 4],
  ['tunnel_not_a_relay', 4],
  ['tunnel_version', 4],
  ['tunnel_rejected', 4],
  ['tunnel_unavailable', 4],
  ['tunnel_not_installed', 4],
  ['tunnel_unguarded', 4],
  ['internal', 1],
] as const)('the exit code of %s is %i', (code, exitCode) => {
  expect(new ExposeError(code, 'x').exitCode).toBe(exitCode);
});
