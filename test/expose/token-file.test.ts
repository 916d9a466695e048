import { readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { TokenStore } from '../../src/auth/token-store.ts';
import { openTokenFile } from '../../src/expose/token-file.ts';
import { parseJson } from '../harness/parse-json.ts';
import { temporaryDirectory } from '../harness/program.ts';

const entry = { name: 'anna', digest: `${'A'.repeat(43)}=`, state: 'valid', createdAt: 1_000_000, calls: 0 };

function written(content: object): string {
  const file = path.join(temporaryDirectory(), 'tokens.json');
  writeFileSync(file, JSON.stringify(content), { mode: 0o600 });
  return file;
}

async function entriesOf(file: string) {
  const { entries, close } = await openTokenFile(file, () => {});
  await close();
  return entries;
}

test('a token is there again with its rules', async () => {
  const file = path.join(temporaryDirectory(), 'tokens.json');
  const store = new TokenStore();
  const token = store.add('anna', { readOnly: true, allowTools: ['read_*'], denyResources: ['*"\u2028'], maxCalls: 3 });
  const state = await openTokenFile(file, () => {});
  await state.save(() => store.stored());
  await state.close();
  const later = new TokenStore({ stored: await entriesOf(file) });
  expect(later.list()).toEqual(store.list());
  expect(later.find(token)).toMatchObject({
    rules: { readOnly: true, allowTools: ['read_*'], denyResources: ['*"\u2028'] },
  });
});

describe('a file of version 1', () => {
  test('is read: the scope of its read-only tokens becomes their rule', async () => {
    const rest = { expiresAt: 2_000_000, once: true, client: 'x 1 y', maxCalls: 2 };
    const file = written({
      version: 1,
      tokens: [entry, { ...entry, name: 'ben', scope: 'mcp:read' }, { ...entry, name: 'cleo', scope: 'mcp', ...rest }],
    });
    const read = [entry, { ...entry, name: 'ben', readOnly: true }, { ...entry, name: 'cleo', ...rest }];
    expect(await entriesOf(file)).toEqual(read);
    // Earlier versions of mcp-expose would ignore the rules of tokens, so they must not accept what is written now.
    expect(parseJson(readFileSync(file, 'utf8'))).toEqual({ version: 2, tokens: read });
  });
});

test.each<[string, object]>([
  ['a list that is no list', { denyTools: '*' }],
  ['a list with something else', { allowPrompts: ['a', null] }],
  ['an empty value', { allowTools: null }],
  ['a switch that is none', { readOnly: 'true' }],
  ['a member that is not known', { denyTool: ['a'] }],
  ['a scope that is not known', { scope: 'mcp:write' }],
  ['an address that is none', { allowIps: ['somewhere'] }],
  ['rules that are too long', { denyTools: ['x'.repeat(9000)] }],
  ['a name that a token cannot have', { name: 'def/ault' }],
  ['the name of another valid token', { name: 'anna' }],
  ['a number of calls below 0', { calls: -4 }],
  ['a part of a call', { calls: 0.5 }],
  ['a limit below 0', { maxCalls: -1 }],
])('an entry with %s is damaged, and the file stays as it is', async (_what, change) => {
  const content = { version: 2, tokens: [entry, { ...entry, name: 'ben', ...change }] };
  const file = written(content);
  await expect(openTokenFile(file, () => {})).rejects.toMatchObject({
    code: 'state_unusable',
    message: `the state of the tokens ${file} is damaged`,
  });
  expect(parseJson(readFileSync(file, 'utf8'))).toEqual(content);
});

test('a file of a later version is left alone', async () => {
  const file = written({ version: 3, tokens: [entry] });
  await expect(openTokenFile(file, () => {})).rejects.toThrow(
    `the state of the tokens ${file} was written by a newer mcp-expose`,
  );
  expect(parseJson(readFileSync(file, 'utf8'))).toEqual({ version: 3, tokens: [entry] });
});

test('tokens of one name are fine if one of them is valid', async () => {
  const tokens = [{ ...entry, state: 'revoked' }, { ...entry, state: 'expired' }, entry];
  expect(await entriesOf(written({ version: 2, tokens }))).toHaveLength(3);
});

test('one process at a time can use the file, and the next one after it', async () => {
  const file = path.join(temporaryDirectory(), 'tokens.json');
  const first = await openTokenFile(file, () => {});
  await expect(openTokenFile(file, () => {})).rejects.toMatchObject({
    code: 'state_unusable',
    message: `another mcp-expose (pid ${process.pid}) uses ${realpathSync(file)}`,
    hints: ['give each run a --state of its own', expect.stringContaining('.lock')],
  });
  await first.close();
  await entriesOf(file);
  expect(readdirSync(path.dirname(file))).toEqual(['tokens.json']);
});

test('a file that cannot be used is not locked', async () => {
  const file = written({ version: 9, tokens: [] });
  await expect(openTokenFile(file, () => {})).rejects.toThrow('newer');
  await expect(openTokenFile(file, () => {})).rejects.toThrow('newer');
  const nowhere = path.join(temporaryDirectory(), 'none', 'tokens.json');
  await expect(openTokenFile(nowhere, () => {})).rejects.toThrow(`cannot write the state of the tokens to ${nowhere}`);
});

test.each([0, '2', null, undefined])('version %j is damaged', async (version) => {
  await expect(openTokenFile(written({ version, tokens: [] }), () => {})).rejects.toThrow('is damaged');
});

test('a thousand tokens with the longest rules can be read again', async () => {
  const store = new TokenStore();
  const denyTools = ['€'.repeat(2700)];
  for (let count = 0; count < 1000; count++) store.add(`t${count}`, { denyTools });
  const file = path.join(temporaryDirectory(), 'tokens.json');
  const state = await openTokenFile(file, () => {});
  await state.save(() => store.stored());
  await state.close();
  expect(await entriesOf(file)).toHaveLength(1000);
});
