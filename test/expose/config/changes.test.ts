import { expect, test } from 'vitest';
import { changesBetween } from '../../../src/expose/config/changes.ts';
import type { ServerSpec } from '../../../src/expose/config/server-spec.ts';

const files: ServerSpec = {
  kind: 'stdio',
  command: { file: 'npx', args: ['-y', 'files'] },
  env: new Map([
    ['A', '1'],
    ['B', '2'],
  ]),
};
const remote: ServerSpec = { kind: 'http', url: 'https://x.example/mcp', headers: new Map([['X-Key', 'k']]) };
const none = { added: [], removed: [], changed: [] };

test('nothing has changed between two readings of the same', () => {
  const again = new Map<string, ServerSpec>([
    [
      'files',
      {
        env: new Map([
          ['B', '2'],
          ['A', '1'],
        ]),
        command: { args: ['-y', 'files'], file: 'npx' },
        kind: 'stdio',
      },
    ],
  ]);
  expect(changesBetween(new Map([['files', files]]), again)).toEqual(none);
  expect(changesBetween(new Map(), new Map())).toEqual(none);
});

test('servers come and go', () => {
  const before = new Map<string, ServerSpec>([
    ['a', files],
    ['b', remote],
  ]);
  const after = new Map<string, ServerSpec>([
    ['c', remote],
    ['b', remote],
    ['__proto__', files],
  ]);
  expect(changesBetween(before, after)).toEqual({ added: ['c', '__proto__'], removed: ['a'], changed: [] });
});

test.each<[string, ServerSpec, ServerSpec]>([
  ['the program', files, { ...files, command: { file: 'npm', args: ['-y', 'files'] } }],
  ['the order of arguments', files, { ...files, command: { file: 'npx', args: ['files', '-y'] } }],
  ['a folder that is new', files, { ...files, cwd: '/' }],
  ['the value of a variable', files, { ...files, env: new Map([...files.env, ['A', '3']]) }],
  ['a variable that is gone', files, { ...files, env: new Map([['A', '1']]) }],
  ['the kind', remote, { ...remote, kind: 'sse' }],
  ['the URL', remote, { ...remote, url: 'https://x.example/mcp/' }],
  ['a header', remote, { ...remote, headers: new Map([['X-Key', 'l']]) }],
  ['everything', files, remote],
])('a server has changed with %s', (_what, before, after) => {
  expect(changesBetween(new Map([['x', before]]), new Map([['x', after]]))).toEqual({ ...none, changed: ['x'] });
});
