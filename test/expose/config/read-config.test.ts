import { execFileSync } from 'node:child_process';
import { mkdirSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../../src/expose/config/read-config.ts';
import { temporaryDirectory } from '../../harness/program.ts';
import { readContent, refusalOf, writeConfig } from './config-file.ts';

const secret = 'sk-very-secret';

describe('a file', () => {
  test('may begin with a byte order mark and end its lines as on Windows', async () => {
    const { servers } = await readContent('\uFEFF{\r\n"mcpServers": {"a": {"command": "x"}}\r\n}\r\n');
    expect([...servers.keys()]).toEqual(['a']);
  });

  test('with the servers of two clients is warned about', async () => {
    const file = writeConfig({ servers: { b: { command: 'b' } }, mcpServers: { a: { command: 'a' } } });
    const { servers, warnings } = await readConfig(file, { env: {} });
    expect([...servers.keys()]).toEqual(['a']);
    expect(warnings).toEqual([`the config file ${file} has "mcpServers" and "servers": only "mcpServers" is used`]);
  });

  test('has a digest that changes with it', async () => {
    const content = '{"servers": {"a": {"command": "x"}}}';
    const [first, again, other] = await Promise.all(
      [content, content, `${content}\n`].map((text) => readContent(text)),
    );
    expect(first?.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(again?.digest).toBe(first?.digest);
    expect(other?.digest).not.toBe(first?.digest);
  });
});

async function refusal(content: unknown, only: string[] = []): Promise<[string, string, readonly string[]]> {
  const file = writeConfig(content);
  const { code, message, hints } = await refusalOf(readConfig(file, { env: {}, only }));
  return [code, message.replace(file, 'FILE'), hints];
}

describe('a file is refused that', () => {
  test('does not exist', async () => {
    const file = path.join(temporaryDirectory(), 'nothing here');
    const { code, message } = await refusalOf(readConfig(file, { env: {} }));
    expect([code, message]).toEqual(['config_unusable', `the config file ${file} does not exist`]);
  });

  test('is a folder', async () => {
    const folder = temporaryDirectory();
    const { code, message } = await refusalOf(readConfig(folder, { env: {} }));
    expect([code, message]).toEqual(['config_unusable', `the config file ${folder} is a folder`]);
  });

  test('is a pipe to which nobody writes', async () => {
    const pipe = path.join(temporaryDirectory(), 'pipe');
    execFileSync('mkfifo', [pipe]);
    const { message } = await refusalOf(readConfig(pipe, { env: {} }));
    expect(message).toBe(`the config file ${pipe} is not a file`);
  });

  test('cannot be read', async () => {
    const folder = temporaryDirectory();
    const file = path.join(writeConfig('{}', 'mcp.json', folder), 'below');
    const { code, message } = await refusalOf(readConfig(file, { env: {} }));
    expect(code).toBe('config_unusable');
    expect(message).toContain(`cannot read the config file ${file}: ENOTDIR`);
  });

  test('is larger than 1 MiB', async () => {
    const content = '{"servers": {"a": {"command": "x"}}}';
    expect((await readContent(content.padEnd(1024 * 1024))).servers.size).toBe(1);
    expect(await refusal(content.padEnd(1024 * 1024 + 1))).toEqual([
      'config_unusable',
      'the config file FILE is larger than 1 MiB',
      [],
    ]);
  });

  test('is so large that no memory would hold it', async () => {
    const file = writeConfig('{}');
    truncateSync(file, 3 * 1024 ** 3);
    expect((await refusalOf(readConfig(file, { env: {} }))).message).toBe(
      `the config file ${file} is larger than 1 MiB`,
    );
  });

  test('is not UTF-8', async () => {
    const content = Buffer.from('\uFEFF{"servers": {}}', 'utf16le');
    expect(await refusal(content)).toEqual(['config_unusable', 'the config file FILE is not UTF-8 text', []]);
  });

  test('is not JSON', async () => {
    expect(await refusal(`{\n  "servers": {"a": ${secret}}\n}`)).toEqual([
      'config_unusable',
      'the config file FILE is not JSON: invalid symbol at line 2, column 20',
      [],
    ]);
  });

  const howTo = 'write it as for Claude, Cursor or Windsurf: {"mcpServers": {"name": {"command": …}}}';

  test.each([
    ['[]', 'the config file FILE must hold an object, not a list', []],
    ['"x"', 'the config file FILE must hold an object, not a string', []],
    ['null', 'the config file FILE must hold an object, not null', []],
    ['{}', 'the config file FILE has neither "mcpServers" nor "servers"', ['it is an empty object', howTo]],
    [
      '{"files": {"command": "x"}, "constructor": {}}',
      'the config file FILE has neither "mcpServers" nor "servers"',
      ['it has "files", "constructor"', howTo],
    ],
    ['{"mcp": {}}', 'the config file FILE has neither "mcpServers" nor "servers"', ['it has "mcp"', howTo]],
    [
      '{"__proto__": {"servers": {"a": {"command": "x"}}}}',
      'the config file FILE has neither "mcpServers" nor "servers"',
      ['it has "__proto__"', howTo],
    ],
    ['{"mcpServers": []}', '"mcpServers" in the config file FILE must be an object, not a list', []],
    ['{"servers": "x"}', '"servers" in the config file FILE must be an object, not a string', []],
    ['{"mcp": {"servers": 1}}', '"mcp.servers" in the config file FILE must be an object, not a number', []],
    ['{"mcpServers": {}}', 'the config file FILE has no servers', []],
    [
      '{"servers": {"a": {"command": "x", "disabled": true}, "b": {"disabled": true}}}',
      'every server in the config file FILE is disabled',
      [],
    ],
    [
      '{"servers": {"a": {}, "b": {"url": "https://x.example", "type": "ws"}, "c": {"disabled": true}}}',
      'no server in the config file FILE can be used',
      [
        'server "a": it has neither a command nor a URL',
        'server "b": its type "ws" is unknown',
        'known are stdio, http, streamable-http and sse',
      ],
    ],
  ])('holds %s', async (content, message, hints) => {
    expect(await refusal(content)).toEqual(['config_unusable', message, hints]);
  });

  test('names of members and of broken servers are listed, but not without end', async () => {
    const many = Object.fromEntries(Array.from({ length: 23 }, (_, index) => [`name${index}`, {}]));
    const [, , [members]] = await refusal(many);
    expect(members).toMatch(/^it has "name0", .*, "name19" and 3 more$/);
    const [, , problems] = await refusal({ servers: many });
    expect(problems).toHaveLength(21);
    expect(problems.at(-1)).toBe('and 3 more');
  });

  describe('lacks the server that is asked for', () => {
    const servers = { 'My Files': { command: 'x' }, off: { command: 'x', disabled: true }, bad: {} };

    test('because there is none of that name', async () => {
      expect(await refusal({ servers }, ['My Files', 'constructor'])).toEqual([
        'config_unusable',
        'the config file FILE has no server "constructor"',
        ['it has "My Files", "off", "bad"'],
      ]);
      expect(await refusal({ servers: {} }, ['a'])).toEqual([
        'config_unusable',
        'the config file FILE has no server "a"',
        ['it has no servers at all'],
      ]);
    });

    test('because it is disabled', async () => {
      expect(await refusal({ servers }, ['My Files', 'off'])).toEqual([
        'config_unusable',
        'the server "off" is disabled in the config file FILE',
        ['remove "disabled" or "enabled" from its entry'],
      ]);
    });

    test('because it cannot be used', async () => {
      expect(await refusal({ servers }, ['bad'])).toEqual([
        'config_unusable',
        'no server in the config file FILE can be used',
        ['server "bad": it has neither a command nor a URL'],
      ]);
    });
  });
});

describe('servers that are asked for', () => {
  const content = {
    servers: {
      b: { command: 'x' },
      'My Files': { command: 'x' },
      a: { command: 'x' },
      bad: {},
      'B d': { command: 'x' },
    },
  };

  test('come alone, in the order of the file, without problems and warnings of others', async () => {
    const { servers, problems, warnings } = await readContent(content, { only: ['a', 'b', 'a'] });
    expect([[...servers.keys()], problems, warnings]).toEqual([['b', 'a'], [], []]);
  });

  test.each(['My Files', 'my-files'])('may be named as in the file or as they are served: %s', async (name) => {
    const { servers, warnings } = await readContent(content, { only: [name] });
    expect([[...servers.keys()], warnings]).toEqual([['my-files'], ['the server "My Files" is served as my-files']]);
  });

  test('and when none is, all come', async () => {
    const { servers, problems } = await readContent(content, { only: [] });
    expect([...servers.keys()]).toEqual(['b', 'my-files', 'a', 'b-d']);
    expect(problems.map(({ server }) => server)).toEqual(['bad']);
  });
});

test('a folder of settings is one by its own name only', async () => {
  const folder = path.join(temporaryDirectory(), 'x.vscode');
  mkdirSync(folder);
  const file = writeConfig({ servers: { a: { command: '${workspaceFolder}' } } }, 'mcp.json', folder);
  expect((await readConfig(file, { env: {} })).servers.get('a')).toMatchObject({ command: { file: folder } });
});
