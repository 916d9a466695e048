import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ExposeError, messageOf, type ErrorCode } from '../src/errors.ts';
import { projectRoot } from './harness/program.ts';

const read = (...file: string[]): string => readFileSync(path.join(projectRoot, ...file), 'utf8');

/** The members of the union, which does not exist any more when the test runs. */
const union = /export type ErrorCode =([^;]*);/.exec(read('src', 'errors.ts'))?.[1] ?? '';
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- read from where the type is made
const codes = Array.from(union.matchAll(/'(\w+)'/g), ([, code]) => code as ErrorCode);
const documented = [...read('docs', 'errors.md').matchAll(/^## `(\w+)`$/gm)].map(([, code = '']) => code);

describe('every code', () => {
  test('was found in the source', () => {
    expect(codes.length).toBeGreaterThan(10);
    expect(codes).toContain('usage');
    expect(codes).toContain('internal');
  });

  test.each(codes)('%s has an exit code of the contract', (code) => {
    expect([1, 2, 3, 4]).toContain(new ExposeError(code, 'x').exitCode);
  });

  test('is documented once, and nothing else is', () => {
    expect(new Set(documented)).toEqual(new Set<string>(codes));
    expect(documented).toHaveLength(codes.length);
  });

  test('is documented with its exit code', () => {
    const page = read('docs', 'errors.md');
    for (const code of codes) {
      const section = page.split(`## \`${code}\`\n`)[1]?.split('\n## ')[0] ?? '';
      expect([code, section]).toEqual([
        code,
        expect.stringContaining(`Exit code ${new ExposeError(code, 'x').exitCode}`),
      ]);
    }
  });
});

describe('an error', () => {
  test('carries message, code, hints and cause', () => {
    const cause = new Error('below');
    const error = new ExposeError('usage', 'it is wrong', { hints: ['do this', 'or that'], cause });
    expect(error).toBeInstanceOf(Error);
    expect([error.name, error.message, error.code, error.hints, error.cause]).toEqual([
      'ExposeError',
      'it is wrong',
      'usage',
      ['do this', 'or that'],
      cause,
    ]);
  });

  test('without hints and cause has none', () => {
    const error = new ExposeError('internal', 'x');
    expect(error.hints).toEqual([]);
    expect(error).not.toHaveProperty('cause');
  });
});

test.each([
  [new TypeError('broken'), 'broken'],
  ['text', 'text'],
  [undefined, 'undefined'],
  [null, 'null'],
  [7, '7'],
])('the message of %s is %j', (thrown, message) => {
  expect(messageOf(thrown)).toBe(message);
});

/** age's voice: lower case, no full stop. */
describe('messages in the sources', () => {
  const sources = [
    'src/expose.ts',
    'src/auth/token.ts',
    'src/http/listener.ts',
    'src/http/addresses.ts',
    'src/bridge/describe.ts',
  ];

  test.each(sources)('of %s begin in lower case and end without a full stop', (file) => {
    const messages = [...read(file).matchAll(/new ExposeError\(\s*'\w+',\s*(['`])((?:(?!\1).)*)\1/g)].map(
      ([, , text]) => text ?? '',
    );
    for (const message of messages) {
      expect(message).not.toMatch(/^[A-Z]/);
      expect(message).not.toMatch(/\.$/);
    }
  });
});
