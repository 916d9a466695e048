import { describe, expect, test } from 'vitest';
import { isReservedName, isServerName, quoted, servedName } from '../../../src/expose/config/server-name.ts';

describe('a name that can stand in a path', () => {
  test.each(['a', 'files', 'My_Server-2.0', '-', '0', 'constructor', '__proto__', 'x'.repeat(63)])('%s', (name) => {
    expect(isServerName(name)).toBe(true);
    expect(servedName(name)).toBe(name);
  });
});

describe('one that cannot gets one that can', () => {
  test.each([
    ['My Files', 'my-files'],
    ['a/b', 'a-b'],
    ['../../etc/passwd', 'etc-passwd'],
    ['.hidden', 'hidden'],
    ['..', 'server-5ec1f7e7'],
    ['Café Zürich', 'cafe-zurich'],
    ['io.github.user/weather', 'io.github.user-weather'],
    ['a?b#c%2f', 'a-b-c-2f'],
    [' padded ', 'padded'],
    ['x'.repeat(64), 'x'.repeat(63)],
    [`${'x'.repeat(62)} yy`, 'x'.repeat(62)],
    ['line\nbreak\0', 'line-break'],
  ])('%j', (name, served) => {
    expect(isServerName(name)).toBe(false);
    expect(servedName(name)).toBe(served);
    expect(isServerName(served)).toBe(true);
  });

  test.each(['', '天気', '🚀', '///'])('%j has nothing that could stay, and gets one of its own', (name) => {
    expect(servedName(name)).toMatch(/^server-[0-9a-f]{8}$/);
    expect(servedName(name)).toBe(servedName(name));
  });

  test('and two of those are not the same', () => {
    expect(servedName('天気')).not.toBe(servedName('地図'));
  });
});

test.each([
  'mcp',
  'MCP',
  'sse',
  'messages',
  'healthz',
  'readyz',
  '.well-known',
  'authorize',
  'token',
  'register',
  'revoke',
  'oauth-callback',
])('%s is reserved', (name) => {
  expect(isReservedName(name)).toBe(true);
});

test.each(['mcp2', 'well-known', 'constructor', ''])('%j is not', (name) => {
  expect(isReservedName(name)).toBe(false);
});

test('a foreign text is shown on one line, and not without end', () => {
  expect(quoted('a "b"\n\u001B[31m')).toBe(String.raw`"a \"b\"\n\u001b[31m"`);
  expect(quoted('x'.repeat(81))).toBe(`"${'x'.repeat(80)}…"`);
  expect(quoted('x'.repeat(80))).toBe(`"${'x'.repeat(80)}"`);
});
