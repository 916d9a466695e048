import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { readServerSources } from '../../../src/expose/servers/server-sources.ts';
import { ExposeError } from '../../../src/errors.ts';
import { writeConfig } from '../config/config-file.ts';
import { temporaryDirectory } from '../../harness/program.ts';

async function sourcesOf(content: unknown, options: { cwd?: string } = {}) {
  const warnings: string[] = [];
  const sources = await readServerSources({ config: writeConfig(content), ...options }, (message) =>
    warnings.push(message),
  );
  return { sources: sources.current(), warnings };
}

async function commandOf(entry: object, options: { cwd?: string } = {}): Promise<unknown> {
  const { sources } = await sourcesOf({ mcpServers: { x: entry } }, options);
  const source = sources.get('x');
  return source === undefined || source instanceof ExposeError || source.kind !== 'stdio' ? source : source.command;
}

describe('a whole command in "command"', () => {
  test.each([
    ['npx -y @scope/server /tmp', [], ['npx', '-y', '@scope/server', '/tmp']],
    [`npx -y "two words"`, [], ['npx', '-y', 'two words']],
    ['uv run', ['server.py', 'a b'], ['uv', 'run', 'server.py', 'a b']],
    ['npx', ['a b'], ['npx', 'a b']],
  ])('%s, with the arguments %j', async (command, args, [file, ...rest]) => {
    expect(await commandOf({ command, args })).toEqual({ kind: 'argv', file, args: rest });
  });

  test('is none where a program has that name, blanks and all', async () => {
    const folder = temporaryDirectory();
    mkdirSync(path.join(folder, 'My Server'));
    const program = path.join(folder, 'My Server', 'run it');
    writeFileSync(program, '#!/bin/sh\n');
    chmodSync(program, 0o755);
    expect(await commandOf({ command: program })).toEqual({ kind: 'argv', file: program, args: [] });
    const relative = { command: './My Server/run it', args: ['x'] };
    expect(await commandOf({ ...relative, cwd: folder })).toEqual({
      kind: 'argv',
      file: relative.command,
      args: ['x'],
    });
    expect(await commandOf(relative, { cwd: folder })).toEqual({ kind: 'argv', file: relative.command, args: ['x'] });
  });

  test('that cannot be split is an error of that server, which does not show it', async () => {
    const { sources } = await sourcesOf({ mcpServers: { x: { command: 'npx "secret' }, ok: { command: 'ok' } } });
    const error = sources.get('x');
    expect(error).toMatchObject({
      code: 'config_unusable',
      message: 'server "x": "command" cannot be split into words',
    });
    expect(JSON.stringify(error)).not.toContain('secret');
    expect(sources.get('ok')).toMatchObject({ kind: 'stdio' });
  });
});

test('every entry of a configuration is served or reported, whatever their names become', async () => {
  const good = { command: 'good' };
  const { sources, warnings } = await sourcesOf({
    mcpServers: { 'A b': good, 'a-b': {}, 'a b': {}, 天気: {}, mcp: good },
  });
  expect([...sources].map(([name, source]) => [name, source instanceof ExposeError])).toEqual([
    ['a-b', true],
    ['a-b-3', true],
    [expect.stringMatching(/^server-/), true],
    ['a-b-2', false],
    ['mcp-2', false],
  ]);
  expect(warnings).toEqual([
    'the server "A b" is served as a-b-2, since another one is served as a-b',
    'the server "mcp" is served as mcp-2, since /mcp is a path of mcp-expose itself',
  ]);
});

test('an entry that stands there twice is reported', async () => {
  const { sources, warnings } = await sourcesOf('{"mcpServers": {"a": {"command": "1"}, "a": {"command": "2"}}}');
  expect([...sources.keys()]).toEqual(['a']);
  expect(warnings).toEqual(['server "a": it is named twice; rename one of the two in the file']);
});
