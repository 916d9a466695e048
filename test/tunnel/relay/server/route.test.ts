import { describe, expect, test } from 'vitest';
import { routeRequest } from '../../../../src/tunnel/relay/server/route.ts';

const agent = (name: string, path: string) => ({ kind: 'agent', name, path });

describe('names in the path', () => {
  test.each([
    ['/files/mcp', agent('files', '/mcp')],
    ['/files/mcp?a=/b/c', agent('files', '/mcp?a=/b/c')],
    ['/files', agent('files', '/')],
    ['/files/', agent('files', '/')],
    ['/files?x', agent('files', '/?x')],
    ['/files//mcp', agent('files', '//mcp')],
    ['//files/mcp/', agent('files', '/mcp/')],
    ['/files/healthz', agent('files', '/healthz')],
    ['/.well-known/oauth-protected-resource/files/mcp', agent('files', '/.well-known/oauth-protected-resource/mcp')],
    ['/.well-known/oauth-authorization-server/files', agent('files', '/.well-known/oauth-authorization-server')],
    ['/healthz', { kind: 'health' }],
    ['/_mcp-expose/v1/tunnel', { kind: 'tunnel' }],
    ['/_mcp-expose/tls-check?domain=a.b', { kind: 'tls-check', domain: 'a.b' }],
  ])('%s', (target, route) => {
    expect(routeRequest('relay.example:8080', target, {})).toEqual(route);
  });

  test.each([
    '/',
    '/?x',
    '//',
    '/x',
    '/UPPER/mcp',
    '/%66iles/mcp',
    '/-a-/x',
    '/_mcp-expose/v2/other',
    '/.well-known/x/files',
    '/__proto__/x',
    '/../x',
  ])('%s is nothing', (target) => {
    expect(routeRequest('relay.example', target, {}).kind).toBe('unknown');
  });

  test('the message names path and host, without anything that could move a cursor', () => {
    expect(routeRequest('evil\u001b[2J', '/', {})).toEqual({ kind: 'unknown', what: 'the path / on host evil?[2j' });
  });
});

describe('names in the host', () => {
  const options = { domain: 'relay.example' };
  test.each([
    ['files.relay.example', '/mcp', agent('files', '/mcp')],
    ['FILES.Relay.Example:8443', '/healthz', agent('files', '/healthz')],
    ['files.relay.example.', '/', agent('files', '/')],
    ['files.relay.example', '/_mcp-expose/v1/tunnel', { kind: 'tunnel' }],
    ['relay.example', '/files/mcp', agent('files', '/mcp')],
    ['10.0.0.1:80', '/files/mcp', agent('files', '/mcp')],
    ['files.k3v9.relay.example', '/mcp', { kind: 'agent', name: 'k3v9', path: '/mcp' }],
    ['x.files.k3v9.relay.example', '/mcp', { kind: 'unknown', what: 'the host x.files.k3v9.relay.example' }],
    ['a.b.relay.example', '/mcp', { kind: 'unknown', what: 'the host a.b.relay.example' }],
  ])('%s %s', (host, target, route) => {
    expect(routeRequest(host, target, options)).toEqual(route);
  });

  test('a host that only ends alike is not below the domain', () => {
    expect(routeRequest('files.notrelay.example', '/other/mcp', options)).toEqual(agent('other', '/mcp'));
  });
});

test("the public URL's path is cut off where the proxy in front has not done so", () => {
  const options = { basePath: '/tunnels' };
  expect(routeRequest('h', '/tunnels/files/mcp', options)).toEqual(agent('files', '/mcp'));
  expect(routeRequest('h', '/files/mcp', options)).toEqual(agent('files', '/mcp'));
  expect(routeRequest('h', '/tunnels/_mcp-expose/v1/tunnel', options)).toEqual({ kind: 'tunnel' });
  expect(routeRequest('h', '/tunnelsx/mcp', options)).toEqual(agent('tunnelsx', '/mcp'));
});

test('a relay for one agent gives it everything but the relay paths', () => {
  const options = { soleName: 'abcdefghij' };
  expect(routeRequest('h', '/mcp', options)).toEqual(agent('abcdefghij', '/mcp'));
  expect(routeRequest('h', '/healthz', options)).toEqual(agent('abcdefghij', '/healthz'));
  expect(routeRequest('h', '/_mcp-expose/v1/tunnel', options)).toEqual({ kind: 'tunnel' });
});
