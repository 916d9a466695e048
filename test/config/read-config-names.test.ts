import { describe, expect, test } from 'vitest';
import { readContent } from './config-file.ts';

describe('names of servers', () => {
  const good = { command: 'x' };

  test('that cannot stand in a path are changed, with a warning', async () => {
    const { servers, problems, warnings } = await readContent({ servers: { 'My Files': good, 天気: good, ok: good } });
    expect(problems).toEqual([]);
    expect([...servers.keys()]).toEqual(['my-files', expect.stringMatching(/^server-[0-9a-f]{8}$/), 'ok']);
    expect(warnings).toEqual([
      'the server "My Files" is served as my-files',
      expect.stringMatching(/^the server "天気" is served as server-[0-9a-f]{8}$/),
    ]);
  });

  test.each(['mcp', 'SSE', 'messages', 'healthz', 'readyz', '.well-known', ' mcp '])(
    'that are paths of ours are a problem: %j',
    async (name) => {
      const { servers, problems, warnings } = await readContent({ servers: { [name]: good, ok: good } });
      expect([[...servers.keys()], warnings]).toEqual([['ok'], []]);
      expect(problems.map(({ server, error }) => [server, error.code, error.message, error.hints])).toEqual([
        [
          name,
          'config_unusable',
          `server ${JSON.stringify(name)}: a path of mcp-expose itself has this name`,
          ['rename it in the file'],
        ],
      ]);
    },
  );

  test.each([
    [['Files', 'files'], '"Files" is served under the same name, files', 'Files'],
    [['my files', 'My/Files'], '"my files" is served under the same name, my-files', 'my-files'],
    [['a-b', 'a b'], '"a-b" is served under the same name, a-b', 'a-b'],
  ])('that are one name in the end are a problem of the second: %j', async ([first = '', second = ''], why, served) => {
    const { servers, problems } = await readContent({ servers: { [first]: good, [second]: good } });
    expect([...servers.keys()]).toEqual([served]);
    expect(problems.map(({ server, error }) => [server, error.message, error.hints])).toEqual([
      [second, `server ${JSON.stringify(second)}: ${why}`, ['rename one of the two in the file']],
    ]);
  });

  test('that stand there twice are a problem of the second', async () => {
    const { servers, problems } = await readContent('{"servers": {"a": {"command": "1"}, "a": {"command": "2"}}}');
    expect(servers.get('a')).toMatchObject({ command: { file: '1' } });
    expect(problems.map(({ error }) => error.message)).toEqual(['server "a": it is named twice']);
  });

  test('of a broken server stay its own, those of a disabled one are free', async () => {
    const content = { servers: { a: {}, A: good, B: { ...good, disabled: true }, b: good } };
    const { servers, problems } = await readContent(content);
    expect([...servers.keys()]).toEqual(['b']);
    expect(problems.map(({ server }) => server)).toEqual(['a', 'A']);
  });

  test('of what every object has are names like any other', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
    const { servers, problems } = await readContent(
      `{"mcpServers": {${names.map((name) => `"${name}": {"command": "${name}"}`).join(', ')}}}`,
    );
    expect(problems).toEqual([]);
    expect([...servers.keys()]).toEqual(names);
    expect(Object.prototype).not.toHaveProperty('command');
  });
});
