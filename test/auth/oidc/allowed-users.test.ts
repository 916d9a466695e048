import { expect, test } from 'vitest';
import { createAllowedUsers } from '../../../src/auth/oidc/allowed-users.ts';

test.each([
  ['ada@example.com', 'ada@example.com'],
  ['ada@example.com', 'ada@EXAMPLE.com'],
  ['ada@Example.COM', 'ada@example.com'],
  ['*@example.com', 'anybody.at+all@example.com'],
  ['*@example.com', 'Ada@EXAMPLE.COM'],
  ['*@eng.example.com', 'ada@eng.example.com'],
])('%s allows %s', (user, email) => {
  expect(createAllowedUsers([user])(email)).toBe(true);
});

test.each([
  ['ada@example.com', 'ADA@example.com'],
  ['ada@example.com', 'ada@example.com.evil.org'],
  ['ada@example.com', 'ada@evil.org'],
  ['ada@example.com', 'ada@exampleXcom'],
  ['ada@example.com', 'ada@example.com.'],
  ['ada@example.com', ' ada@example.com'],
  ['ada@example.com', 'ada@example.com\n'],
  ['ada@example.com', 'bob@example.com'],
  ['ada@example.com', ''],
  ['*@example.com', 'ada@eng.example.com'],
  ['*@example.com', 'ada@notexample.com'],
  ['*@example.com', 'example.com'],
  ['*@example.com', '@example.com'],
  ['*@example.com', '*@example.com'],
  ['*@example.com', 'ada@evil.org@example.com'],
  ['*@example.com', '"ada@evil.org"@example.com'],
  ['*@example.com', 'a\u202Eb@example.com'],
  ['*@example.com', 'a\u0000b@example.com'],
  ['*@example.com', 'a b@example.com'],
  ['*@example.com', 'ada@example.com, bob@example.com'],
  ['*@example.com', `${'a'.repeat(250)}@example.com`],
  // U+212A, the sign of kelvin, which is k without case.
  ['*@kelvin.example', 'ada@\u212Aelvin.example'],
])('%s does not allow %j', (user, email) => {
  expect(createAllowedUsers([user])(email)).toBe(false);
});

test('each of several is allowed', () => {
  const allows = createAllowedUsers(['ada@example.com', '*@example.org']);
  expect(['ada@example.com', 'bob@example.org', 'bob@example.com'].map(allows)).toEqual([true, true, false]);
});

test('nobody is an error, and not everybody', () => {
  expect(() => createAllowedUsers([])).toThrow('--oidc-issuer needs --allow-user');
});

test.each([
  '',
  '*',
  '@',
  'ada',
  'example.com',
  '*example.com',
  '*@',
  'ada@',
  '@example.com',
  '*@*',
  '*@*.com',
  'a*@example.com',
])('%j is an error', (user) => {
  expect(() => createAllowedUsers([user])).toThrow('is neither an e-mail address nor');
});
