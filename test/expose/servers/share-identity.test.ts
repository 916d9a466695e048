import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { shareIdentity } from '../../../src/expose/servers/share-identity.ts';
import { temporaryDirectory } from '../../harness/program.ts';

type Share = Parameters<typeof shareIdentity>[0];

describe('the same share', () => {
  test.each<[string, Share, Share]>([
    ['a command as a line and as words', { stdio: `node "my server.js" .` }, { stdio: ['node', 'my server.js', '.'] }],
    ['our folder and its name', { stdio: 'node x' }, { stdio: 'node x', cwd: process.cwd() }],
    ['a URL without its path', { http: 'http://127.0.0.1:80' }, { http: 'http://127.0.0.1/' }],
    [
      'a configuration and its servers in another order',
      { config: 'mcp.json', names: ['a', 'b'] },
      { config: path.resolve('mcp.json'), names: ['b', 'a', 'b'] },
    ],
  ])('%s', (_what, one, other) => {
    expect(shareIdentity(one)).toBe(shareIdentity(other));
  });

  test('a folder or file and a link to it', () => {
    const folder = temporaryDirectory();
    mkdirSync(path.join(folder, 'real'));
    writeFileSync(path.join(folder, 'real', 'mcp.json'), '{}');
    symlinkSync(path.join(folder, 'real'), path.join(folder, 'link'));
    const at = (name: string) => [
      shareIdentity({ stdio: 'node x', cwd: path.join(folder, name) }),
      shareIdentity({ config: path.join(folder, name, 'mcp.json') }),
    ];
    expect(at('link')).toEqual(at('real'));
  });
});

test('anything else is another share', () => {
  const shares: Share[] = [
    { stdio: 'node x' },
    { stdio: 'node x y' },
    { stdio: ['node', 'x y'] },
    { stdio: 'node x | tee y' },
    { stdio: 'node x', cwd: '/' },
    { http: 'http://127.0.0.1:3000/mcp' },
    { http: 'http://127.0.0.1:3000/MCP' },
    { sse: 'http://127.0.0.1:3000/mcp' },
    { config: 'a.json' },
    { config: 'b.json' },
    { config: 'a.json', names: ['x'] },
    { config: 'a.json', names: ['x', 'y'] },
  ];
  expect(new Set(shares.map((share) => shareIdentity(share))).size).toBe(shares.length);
});
