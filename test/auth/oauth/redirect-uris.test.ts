import { describe, expect, test } from 'vitest';
import {
  isRegisteredUri,
  redirectHost,
  redirectKind,
  redirectUriProblem,
  withParameters,
} from '../../../src/auth/oauth/redirect-uris.ts';

describe('A7 redirect URIs', () => {
  test.each([
    ['https://claude.ai/api/mcp/auth_callback', 'web', 'claude.ai'],
    ['https://app.example:8443/cb?x=1', 'web', 'app.example:8443'],
    ['https://bücher.example/'.replace('ü', '%C3%BC'), 'web', 'xn--bcher-kva.example'],
    ['http://localhost:3334/oauth/callback', 'loopback', 'localhost:3334'],
    ['http://127.0.0.1/callback', 'loopback', '127.0.0.1'],
    ['http://[::1]:5000/', 'loopback', '[::1]:5000'],
    ['cursor://anysphere.cursor-mcp/oauth/callback', 'app', 'cursor://anysphere.cursor-mcp'],
    ['com.example.app:/oauth', 'app', 'com.example.app://'],
  ])('%s is allowed', (uri, kind, host) => {
    expect(redirectUriProblem(uri)).toBeUndefined();
    expect(redirectKind(uri)).toBe(kind);
    expect(redirectHost(uri)).toBe(host);
  });

  test.each([
    'javascript:alert(1)',
    'JavaScript://app.example/%0aalert(1)',
    ' javascript:alert(1)',
    'java\tscript:alert(1)',
    'java\nscript://x/',
    'data:text/html,x',
    'DATA://text/html,x',
    'vbscript:x',
    'file:///etc/passwd',
    'blob:https://app.example/1',
    'view-source://x/',
    'ms-msdt:/id',
    'ms-officecmd://x/',
    'search-ms:/query',
    'intent://x/#Intent',
    'ftp://app.example/',
    'mailto:a@b.example',
    'cursor:opaque',
  ])('%j is refused for its scheme', (uri) => {
    expect(redirectUriProblem(uri)).toBeTypeOf('string');
    expect(isRegisteredUri([uri], uri)).toBe(false);
  });

  test.each([
    'http://app.example/callback',
    'http://localhost.evil.example/callback',
    'http://127.0.0.1.evil.example/',
    'http://127.0.0.2/',
    'http://0.0.0.0/',
    'http://2130706433/',
    'http://LOCALHOST/',
    'http://localhost:99999/',
    'http://localhost@evil.example/',
    'http://localhost:80@evil.example/',
    'http://localhost\\@evil.example/',
    'https://good.example\\@evil.example/',
    'https://good.example@evil.example/',
    'https://@evil.example/',
    'https://user:pass@app.example/',
    'https:app.example',
    'https:///app.example',
    'https://app.example/#fragment',
    'https://app.example/#',
    'https://app.example/\u202Ecilbup',
    'https://app.example/a b',
    '/callback',
    '//app.example/callback',
    'app.example/callback',
    '',
    `https://app.example/${'x'.repeat(1024)}`,
  ])('%.60j is refused', (uri) => {
    expect(redirectUriProblem(uri)).toBeTypeOf('string');
  });
});

describe('A5 a redirect URI matches', () => {
  test.each([
    ['https://app.example/callback', 'https://app.example/callback'],
    ['http://localhost/callback', 'http://localhost:52163/callback'],
    ['http://localhost:8080/callback', 'http://localhost/callback'],
    ['http://127.0.0.1/callback', 'http://127.0.0.1:52163/callback'],
    ['http://[::1]/callback', 'http://[::1]:1/callback'],
    // VS Code leaves the slash away at times.
    ['http://127.0.0.1:33418/', 'http://127.0.0.1:50000'],
  ])('%s by %s', (registered, uri) => {
    expect(isRegisteredUri(['https://other.example/', registered], uri)).toBe(true);
  });

  test.each([
    ['https://app.example/callback', 'https://app.example/callback/'],
    ['https://app.example/callback', 'https://app.example/callback?x=1'],
    ['https://app.example/callback', 'https://APP.example/callback'],
    ['https://app.example/callback', 'https://app.example:443/callback'],
    ['https://app.example/callback', 'https://app.example:8443/callback'],
    ['https://app.example/callback', 'https://app.example/x/../callback'],
    ['https://app.example/callback', 'https://app.example.evil.example/callback'],
    ['http://localhost/callback', 'http://127.0.0.1:5000/callback'],
    ['http://127.0.0.1/callback', 'http://localhost:5000/callback'],
    ['http://127.0.0.1/callback', 'http://[::1]:5000/callback'],
    ['http://localhost/callback', 'http://localhost:5000/other'],
    ['http://localhost/callback', 'http://localhost:5000/callback?x=1'],
    ['http://localhost/callback', 'https://localhost:5000/callback'],
    ['http://localhost/callback', 'http://localhost:5000/callback@evil.example:80/#'],
    ['cursor://anysphere.cursor-mcp/a', 'cursor://anysphere.cursor-mcp/b'],
    ['cursor://host/a', 'cursor://host:1/a'],
  ])('%s not by %s', (registered, uri) => {
    expect(isRegisteredUri([registered], uri)).toBe(false);
  });
});

test('parameters are added to the query, which is otherwise untouched', () => {
  const added = { code: 'a b', state: undefined, iss: 'https://x' };
  expect(withParameters('https://a.example/cb', added)).toBe('https://a.example/cb?code=a+b&iss=https%3A%2F%2Fx');
  expect(withParameters('https://a.example/?Q=%7e', added)).toBe(
    'https://a.example/?Q=%7e&code=a+b&iss=https%3A%2F%2Fx',
  );
});
