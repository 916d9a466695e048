import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { presentedToken } from '../../src/auth/credentials.ts';
import { callersOf } from '../harness/callers.ts';
import { projectRoot } from '../harness/program.ts';

const token = 'mcpx_abcdefghijklmnopqrstuvwxyz0123456789-_.~+/=';
const callers = callersOf(token);

function check(authorization: readonly string[], apiKey: readonly string[] = []): string {
  const presented = presentedToken({ authorization, apiKey });
  if (typeof presented === 'string') return presented === 'unusable' ? 'wrong' : presented;
  return callers?.find(presented.token, '/mcp') === undefined ? 'wrong' : 'accepted';
}

describe('the token is accepted', () => {
  test.each([
    ['as RFC 6750 writes it', `Bearer ${token}`],
    ['with a scheme in lower case', `bearer ${token}`],
    ['with a scheme in upper case', `BEARER ${token}`],
    ['behind several spaces', `Bearer    ${token}`],
    ['before trailing spaces', `Bearer ${token}  `],
  ])('%s', (_how, header) => {
    expect(check([header])).toBe('accepted');
  });
});

describe('X-API-Key', () => {
  test('holds the token alone', () => {
    expect(check([], [token])).toBe('accepted');
    expect(check([], [`Bearer ${token}`])).toBe('wrong');
    expect(check([], [`${token}x`])).toBe('wrong');
    expect(check([], [''])).toBe('wrong');
  });

  test('never stands beside another credential', () => {
    expect(check([`Bearer ${token}`], [token])).toBe('malformed');
    expect(check(['Basic x'], [token])).toBe('malformed');
    expect(check([], [token, token])).toBe('malformed');
  });
});

describe('everything else is not', () => {
  test('no header at all is an absent credential', () => {
    expect(check([])).toBe('absent');
  });

  test.each([
    ['an empty header', ''],
    ['the scheme alone', 'Bearer'],
    ['the scheme and a space', 'Bearer '],
    ['the token alone', token],
    ['a prefix of the token', `Bearer ${token.slice(0, -1)}`],
    ['a suffix of the token', `Bearer ${token.slice(1)}`],
    ['the token and more', `Bearer ${token}x`],
    ['the token without its padding', `Bearer ${token.replace(/=+$/, '')}`],
    ['the token with more padding', `Bearer ${token}=`],
    ['the token in upper case', `Bearer ${token.toUpperCase()}`],
    ['the token twice', `Bearer ${token} ${token}`],
    ['two tokens with a comma', `Bearer ${token}, Bearer ${token}`],
    ['the token in quotes', `Bearer "${token}"`],
    ['a parameter', `Bearer token=${token}`],
    ['a tab behind the scheme', `Bearer\t${token}`],
    ['a tab behind the token', `Bearer ${token}\t`],
    ['a line break behind the token', `Bearer ${token}\n`],
    ['no space behind the scheme', `Bearer${token}`],
    ['a space before the scheme', ` Bearer ${token}`],
    ['another scheme', `Basic ${Buffer.from(`user:${token}`).toString('base64')}`],
    ['another scheme with the token', `Token ${token}`],
    ['a scheme that looks like it', `Bearer- ${token}`],
    ['a scheme in full-width letters', `Ｂｅａｒｅｒ ${token}`],
    ['a long s where case folding might find an s', `Bearer ${token}`.replace('s', 'ſ')],
    ['a zero byte', `Bearer ${token}\0`],
    ['letters beyond ASCII', 'Bearer tökén'],
    ['an emoji', 'Bearer 🔑🔑'],
    ['half a surrogate pair', 'Bearer \uD800'],
    ['a member of every object', 'Bearer __proto__'],
    ['a megabyte', `Bearer ${'a'.repeat(1024 * 1024)}`],
    ['a megabyte of padding', `Bearer a${'='.repeat(1024 * 1024)}!`],
    ['a megabyte of spaces', `Bearer${' '.repeat(1024 * 1024)}!`],
  ])('%s', (_what, header) => {
    expect(check([header])).toBe('wrong');
  });

  test('two headers are malformed, even with the same right token twice', () => {
    expect(check([`Bearer ${token}`, `Bearer ${token}`])).toBe('malformed');
    expect(check(['', `Bearer ${token}`])).toBe('malformed');
    expect(check(['a', 'b', 'c'])).toBe('malformed');
  });
});

/** Comparing a secret byte by byte tells by its duration how much of it was right. */
describe('no source file compares a secret with an operator', () => {
  const secretName = String.raw`\b(?:token|secret|presented|expected|credential|password|bearer)\b(?:\(\))?`;
  // What says nothing about the content of the secret: whether there is one.
  const presence = String.raw`(?:undefined|null|false|true|'')`;
  const comparison = new RegExp(
    String.raw`${secretName}\s*[!=]==?(?!=)(?!\s*${presence}(?![\w.]))|(?<!(?:undefined|null|false|true|''))\s[!=]==?(?!=)\s*${secretName}`,
    'i',
  );

  test.each([
    'if (token === presented) return true;',
    'return expected !== actual;',
    'if (given == token) {',
    'if (digest.toString() === expected) {',
    'if (options.token != other) {',
  ])('the check would catch %s', (line) => {
    expect(line).toMatch(comparison);
  });

  test.each(['if (token === undefined) {', "if (token === '') throw", 'return null !== token;', 'tokenOrigin === x'])(
    'the check lets pass %s',
    (line) => {
      expect(line).not.toMatch(comparison);
    },
  );

  const root = path.join(projectRoot, 'src');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));

  test.each(files)('%s', (file) => {
    const found = readFileSync(path.join(root, file), 'utf8')
      .split('\n')
      .filter((line) => comparison.test(line));
    expect(found).toEqual([]);
  });
});
