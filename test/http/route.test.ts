import { describe, expect, test } from 'vitest';
import { routeOf } from '../../src/http/route.ts';

describe('a path', () => {
  test.each([
    ['/mcp', { kind: 'endpoint', endpoint: 'mcp' }],
    ['/mcp?a=/b/mcp#c', { kind: 'endpoint', endpoint: 'mcp' }],
    ['/sse', { kind: 'endpoint', endpoint: 'sse' }],
    ['/messages?sessionId=x', { kind: 'endpoint', endpoint: 'messages' }],
    ['/readyz', { kind: 'endpoint', endpoint: 'readiness' }],
    ['/files/mcp', { kind: 'endpoint', endpoint: 'mcp', server: 'files' }],
    ['/files/messages?sessionId=x', { kind: 'endpoint', endpoint: 'messages', server: 'files' }],
    ['/__proto__/mcp', { kind: 'endpoint', endpoint: 'mcp', server: '__proto__' }],
    ['/mcp/mcp', { kind: 'endpoint', endpoint: 'mcp', server: 'mcp' }],
    ['/healthz', { kind: 'health' }],
  ])('%s leads to %j', (url, route) => {
    expect(routeOf(url)).toEqual(route);
  });

  test.each([
    '/',
    '',
    '/mc',
    '/mcp/',
    '/a/b/mcp',
    '/files',
    '/files/',
    '/files/healthz',
    '//evil',
    '//mcp',
    '*',
    '/constructor',
  ])('%s leads nowhere', (url) => {
    expect(routeOf(url)).toEqual({ kind: 'nothing' });
  });
});
