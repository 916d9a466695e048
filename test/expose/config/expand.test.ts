import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { expand, expandTilde, type Variables } from '../../../src/expose/config/expand.ts';

const secret = 'sk-very-secret';
const variables: Variables = {
  env: { KEY: secret, EMPTY: '', HOST: 'api.example', NESTED: '${KEY}', GONE: undefined, 'ProgramFiles(x86)': 'pf' },
  workspaceFolder: path.resolve('/projects/shop'),
  userHome: path.resolve('/home/ada'),
};

describe('replaced', () => {
  test.each([
    ['${env:KEY}', secret],
    ['Bearer ${env:KEY}', `Bearer ${secret}`],
    ['${KEY}', secret],
    ['${KEY}${HOST}', `${secret}api.example`],
    ['${env:ProgramFiles(x86)}', 'pf'],
    ['${EMPTY}', ''],
    // Claude Code: the default counts when the variable is not set.
    ['${EMPTY:-default}', ''],
    ['${NONE:-default}', 'default'],
    ['${NONE:-}', ''],
    ['${GONE:-default}', 'default'],
    ['${NONE:-https://x.example:8080/a:-b}', 'https://x.example:8080/a:-b'],
    ['${env:NONE:-default}', 'default'],
    ['https://${HOST:-other}/mcp', 'https://api.example/mcp'],
    // Once: what a variable holds is not a template.
    ['${NESTED}', '${KEY}'],
    ['${workspaceFolder}/.env', `${variables.workspaceFolder}/.env`],
    ['${workspaceFolderBasename}', 'shop'],
    ['${userHome}/x', `${variables.userHome}/x`],
    ['a${pathSeparator}b${/}c', ['a', 'b', 'c'].join(path.sep)],
  ])('%s', (text, expected) => {
    expect(expand(text, variables)).toEqual({ text: expected });
  });
});

describe('left as it is', () => {
  test.each([
    '',
    'plain',
    '$',
    '$KEY',
    '$$',
    '${',
    '${}',
    '${KEY',
    '${ KEY }',
    '${1}',
    '${env:}',
    '${KEY-x}',
    '${KEY:x',
    '{env:KEY}',
    '%KEY%',
    '~',
    'price: 5$ {x}',
  ])('%j', (text) => {
    expect(expand(text, variables)).toEqual({ text });
  });
});

describe('what the server has in its own environment', () => {
  const names = new Set(['AUTH_HEADER', 'KEY']);

  test('is left for it to replace, as mcp-remote does', () => {
    expect(expand('Authorization:${AUTH_HEADER}', variables, names)).toEqual({ text: 'Authorization:${AUTH_HEADER}' });
  });

  test('unless ours has it too, as in Claude Code', () => {
    expect(expand('${KEY}', variables, names)).toEqual({ text: secret });
  });

  test('or a default says what it is', () => {
    expect(expand('${AUTH_HEADER:-none}', variables, names)).toEqual({ text: 'none' });
  });

  test('or it is asked for by kind, which only a client can replace', () => {
    expect(expand('${env:AUTH_HEADER}', variables, names)).toHaveProperty('problem');
  });
});

describe('cannot be replaced', () => {
  test.each([
    ['${env:NONE}', 'uses ${env:NONE}, but NONE is not set', 'set NONE in the environment'],
    ['${NONE}', 'uses ${NONE}, but NONE is not set', 'set NONE in the environment'],
    ['${GONE}', 'uses ${GONE}, but GONE is not set', 'set GONE in the environment'],
    // On every object, but not in the environment.
    ['${constructor}', 'uses ${constructor}, but constructor is not set', 'set constructor in the environment'],
    ['${__proto__}', 'uses ${__proto__}, but __proto__ is not set', 'set __proto__ in the environment'],
    [
      '${input:api-key}',
      'uses ${input:api-key}, which only an editor can ask for',
      'use an environment variable instead: ${env:NAME}',
    ],
    [
      '${command:pick.secret}',
      'uses ${command:…}, which only an editor can resolve',
      'write the value itself, or ${env:NAME}',
    ],
    ['${file:/x}', 'uses ${file:…}, which only an editor can resolve', 'write the value itself, or ${env:NAME}'],
    [
      '${KEY:-${HOST}}',
      'has a brace inside of the default of KEY',
      'a default takes plain text only, no other variable',
    ],
    ['${A:-{"b":1}}', 'has a brace inside of the default of A', 'a default takes plain text only, no other variable'],
  ])('%s', (text, problem, hint) => {
    expect(expand(text, variables)).toEqual({ problem, hint });
    expect(expand(`${text} \${env:KEY} \${ALSO_NONE}`, variables)).toEqual({ problem, hint });
  });

  test('the home of a user who has none', () => {
    expect(expand('${userHome}', { ...variables, userHome: undefined })).toEqual({
      problem: 'uses ${userHome}, but this user has no home folder',
      hint: 'set HOME',
    });
  });
});

test.each([
  ['~', '/home/ada'],
  ['~/x', '/home/ada/x'],
  ['~other/x', '~other/x'],
  ['a~/x', 'a~/x'],
  ['', ''],
])('a leading ~ is the home: %j', (text, expected) => {
  expect(expandTilde(text, '/home/ada')).toBe(expected);
  expect(expandTilde(text, undefined)).toBe(text);
});

test('a home with $ in its name is taken as it is', () => {
  expect(expandTilde('~/x', "/home/$&$'")).toBe("/home/$&$'/x");
});
