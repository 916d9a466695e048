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
    ['/mcp/', { kind: 'endpoint', endpoint: 'mcp' }],
    ['//mcp', { kind: 'endpoint', endpoint: 'mcp' }],
    ['///mcp//?a=b', { kind: 'endpoint', endpoint: 'mcp' }],
    ['/sse/', { kind: 'endpoint', endpoint: 'sse' }],
    ['//messages?sessionId=x', { kind: 'endpoint', endpoint: 'messages' }],
    ['/files//mcp/', { kind: 'endpoint', endpoint: 'mcp', server: 'files' }],
    ['//files/sse', { kind: 'endpoint', endpoint: 'sse', server: 'files' }],
    ['/', { kind: 'root' }],
    ['//', { kind: 'root' }],
    ['/?a=b', { kind: 'root' }],
    ['/files', { kind: 'root', server: 'files' }],
    ['/files/', { kind: 'root', server: 'files' }],
    ['//evil', { kind: 'root', server: 'evil' }],
    ['//healthz', { kind: 'root', server: 'healthz' }],
    ['/healthz', { kind: 'health' }],
  ])('%s leads to %j', (url, route) => {
    expect(routeOf(url)).toEqual(route);
  });

  test.each(['', '/a/b/mcp', '/files/healthz', '/mcp/../mcp', '/files/mcp/x', '*', '*mcp'])(
    '%s leads nowhere',
    (url) => {
      expect(routeOf(url)).toEqual({ kind: 'nothing' });
    },
  );
});
