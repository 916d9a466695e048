import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  exitCodes,
  ExposeError,
  isOutOfFiles,
  messageOf,
  messageOfServer,
  openFilesHint,
  type ErrorCode,
} from '../src/errors.ts';
import { rpcCode } from '../src/mcp/json-rpc.ts';
import { relayErrorCodes } from '../src/tunnel/relay/server/error-responses.ts';
import { projectRoot } from './harness/program.ts';

const read = (...file: string[]): string => readFileSync(path.join(projectRoot, ...file), 'utf8');

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys are those of the type
const codes = Object.keys(exitCodes) as ErrorCode[];
const documented = [...read('docs', 'errors.md').matchAll(/^## `(\w+)`$/gm)].map(([, code = '']) => code);

describe('every code', () => {
  test.each(codes)('%s has an exit code of the contract', (code) => {
    expect([1, 2, 3, 4]).toContain(new ExposeError(code, 'x').exitCode);
  });

  test('is documented once, and nothing else is', () => {
    expect(new Set(documented)).toEqual(new Set<string>(codes));
    expect(documented).toHaveLength(codes.length);
  });

  test('is described in the source', () => {
    const described = [...read('src', 'errors.ts').matchAll(/^ {2}\/\*\* .+ \*\/\n {2}(\w+): \d,$/gm)];
    expect(described.map(([, code]) => code)).toEqual(codes);
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

describe('too many open files', () => {
  const cause = Object.assign(new Error('open'), { code: 'EMFILE' });

  test.each([
    [cause, true],
    [Object.assign(new Error('open'), { code: 'ENFILE' }), true],
    [new Error('outer', { cause }), true],
    [new AggregateError([cause]), true],
    [Object.assign(new Error('open'), { code: 'ENOENT' }), false],
    [new Error('none'), false],
    ['EMFILE', false],
  ])('%s: %s', (thrown, expected) => {
    expect(isOutOfFiles(thrown)).toBe(expected);
  });

  test('whatever failed for it, the hint says how to raise the limit', () => {
    const error = new ExposeError('config_unusable', 'cannot read the file', { hints: ['check the file'], cause });
    expect(error.hints).toEqual([openFilesHint]);
  });
});

test('one of several servers is named once', () => {
  expect(messageOfServer('files', new Error('it did not start'))).toBe('files: it did not start');
  expect(messageOfServer('files', new Error('server "files": it has no command'))).toBe(
    'server "files": it has no command',
  );
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

describe('docs/errors.md lists what clients receive:', () => {
  const told = read('docs', 'errors.md').split('# Errors that clients receive')[1] ?? '';
  const folders = ['auth', 'bridge', 'http', 'mcp', 'expose/servers'];
  const sources = folders
    .flatMap((folder) =>
      readdirSync(path.join(projectRoot, 'src', folder), { recursive: true, encoding: 'utf8' }).map((file) =>
        path.join('src', folder, file),
      ),
    )
    // The errors of OAuth and OpenID Connect are those of their specifications.
    .filter((file) => file.endsWith('.ts') && !/oauth|oidc/.test(file))
    .map((file) => read(file))
    .join('\n');
  const found = (pattern: RegExp): string[] => [
    ...new Set(Array.from(sources.matchAll(pattern), ([, each = '']) => each)),
  ];
  /** Of errors that end the start, and no reason for a client. */
  const local = new Set([
    'address_unavailable',
    'token_unusable',
    'child_process',
    'invalid_token',
    'tool_error',
    'input_required',
  ]);

  test.each(found(/'([a-z]+(?:_[a-z]+)+)'/g).filter((word) => !local.has(word)))('the reason %s', (reason) => {
    expect(told).toContain(`\`${reason}\``);
  });

  test.each(Object.values(rpcCode).filter((code) => code !== rpcCode.methodNotFound))('the code %i', (code) => {
    expect(told).toMatch(new RegExp(`^\\| [45\\d, ]+ \\| ${code} \\|`, 'm'));
  });

  test.each(found(/\bstatus: ([45]\d\d)\b/g))('the status %s', (status) => {
    expect(told).toMatch(new RegExp(`^\\| (?:\\d+, )*${status}\\b`, 'm'));
  });

  test.each(Object.values(relayErrorCodes))('the code %i of a relay', (code) => {
    expect(told).toMatch(new RegExp(`^\\| .+ \\| ${code} \\|`, 'm'));
  });
});
