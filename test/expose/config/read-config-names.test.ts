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

  test.each([
    ['mcp', 'mcp-2'],
    ['SSE', 'SSE-2'],
    ['messages', 'messages-2'],
    ['healthz', 'healthz-2'],
    ['readyz', 'readyz-2'],
    [' mcp ', 'mcp-2'],
  ])('that are paths of ours get a number: %j', async (name, served) => {
    const { servers, problems, warnings } = await readContent({ servers: { [name]: good, ok: good } });
    expect([[...servers.keys()], problems]).toEqual([[served, 'ok'], []]);
    const taken = served.slice(0, -2);
    expect(warnings).toEqual([
      `the server ${JSON.stringify(name)} is served as ${served}, since /${taken} is a path of mcp-expose itself`,
    ]);
  });

  test.each([
    [
      ['Files', 'files'],
      ['Files', 'files-2'],
    ],
    [
      ['my files', 'My/Files', 'MY FILES'],
      ['my-files', 'my-files-2', 'my-files-3'],
    ],
    [
      ['a-b', 'a b'],
      ['a-b', 'a-b-2'],
    ],
    [
      ['A b', 'a-b'],
      ['a-b-2', 'a-b'],
    ],
    [
      ['A b', 'a-b-2', 'a-b'],
      ['a-b-3', 'a-b-2', 'a-b'],
    ],
    [
      ['x'.repeat(70), 'x'.repeat(71)],
      ['x'.repeat(63), `${'x'.repeat(61)}-2`],
    ],
    [
      ['constructor', '__proto__', 'Constructor'],
      ['constructor', '__proto__', 'Constructor-2'],
    ],
  ])('that are one name in the end: every server is served, with a warning: %j', async (names, served) => {
    const entries = names.map((name) => `${JSON.stringify(name)}: {"command": ${JSON.stringify(name)}}`);
    const { servers, problems, warnings } = await readContent(`{"servers": {${entries.join(', ')}}}`);
    expect(problems).toEqual([]);
    expect([...servers].map(([name, spec]) => [name, spec.kind === 'stdio' && spec.command.file])).toEqual(
      served.map((name, index) => [name, names[index]]),
    );
    const changed = names.filter((name, index) => name !== served[index]);
    expect(warnings.map((warning) => /^the server (".*?") is served as/.exec(warning)?.[1])).toEqual(
      changed.map((name) => JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name)),
    );
  });

  test('that stand there twice are a problem of the second, which has none to be served under', async () => {
    const { servers, problems } = await readContent('{"servers": {"a": {"command": "1"}, "a": {"command": "2"}}}');
    expect(servers.get('a')).toMatchObject({ command: { file: '1' } });
    expect(problems.map(({ served, error }) => [served, error.message])).toEqual([
      [undefined, 'server "a": it is named twice'],
    ]);
  });

  test('of a broken server stay its own, those of a disabled one are free', async () => {
    const content = { servers: { a: {}, A: good, B: { ...good, disabled: true }, b: good } };
    const { servers, problems } = await readContent(content);
    expect([...servers.keys()]).toEqual(['A-2', 'b']);
    expect(problems.map(({ server, served }) => [server, served])).toEqual([['a', 'a']]);
  });

  test.each([
    ['a-b', 'a-b', 'a-b'],
    ['A b', 'a-b-2', 'A b'],
    ['a-b-2', 'a-b-2', 'A b'],
    ['A/B', 'a-b-3', 'A/B'],
    ['a-b-3', 'a-b-3', 'A/B'],
  ])('do not depend on which of them are chosen: %s', async (wanted, served, file) => {
    const content = { servers: { 'A b': { command: 'A b' }, 'A/B': { command: 'A/B' }, 'a-b': { command: 'a-b' } } };
    const { servers } = await readContent(content, { only: [wanted] });
    expect([...servers].map(([name, spec]) => [name, spec.kind === 'stdio' && spec.command.file])).toEqual([
      [served, file],
    ]);
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
