import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { withHelp } from '../scripts/cli-page.js';
import { withReference } from '../scripts/library-page.js';
import { optionTable, specOf } from '../src/expose/option-table.ts';
import { longOf } from '../src/expose/option-spec.ts';
import { legacyRevisions, modernRevisions } from '../src/mcp/revisions.ts';
import { childEnvironment } from '../src/platform/process/environment.ts';

const root = new URL('..', import.meta.url).pathname;
const readme = readFileSync(join(root, 'README.md'), 'utf8');

const pages = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
  (path) => path.endsWith('.md') && !path.includes('node_modules'),
);

describe('the README', () => {
  test('begins with the one command and what it shows', () => {
    const [, screen = ''] = readme.split('```');
    expect(readme.indexOf('npx mcp-expose --stdio')).toBeLessThan(readme.indexOf(screen));
    for (const label of [
      'Public:',
      'Local:',
      'Token:',
      'Exposes:',
      'Paste into your client:',
      'press Ctrl+C to stop',
    ]) {
      expect(screen).toContain(label);
    }
  });
});

test('the README names the revisions that are served, and no others', () => {
  const [, sentence = ''] = /serves the revisions ([^.]*?), over\s/.exec(readme) ?? [];
  expect(sentence.match(/\b\d{4}-\d\d-\d\d\b/g)).toEqual([...modernRevisions, ...legacyRevisions]);
});

test('docs/cli.md shows the help that the commands print; `npm run docs` writes it', () => {
  const page = readFileSync(join(root, 'docs/cli.md'), 'utf8');
  expect(page).toContain('--max-body <size>');
  expect(page).toBe(withHelp(page));
});

test('docs/library.md has the reference that the docstrings give; `npm run docs` writes it', () => {
  const page = readFileSync(join(root, 'docs/library.md'), 'utf8');
  for (const key of Object.keys(optionTable)) expect(page).toContain(`| \`${key}\` |`);
  expect(page).toBe(withReference(page));
});

test('every option that the README names exists', () => {
  const help = readFileSync(join(root, 'docs/cli.md'), 'utf8');
  // Of other programs.
  const foreign = new Set(['--transport', '--header', '--url', '--bearer-token-env-var']);
  const named = new Set(readme.match(/(?<![\w-])--[a-z][a-z-]+/g));
  expect([...named].filter((option) => !foreign.has(option) && !help.includes(option))).toEqual([]);
});

test('the README describes options as the table of options does', () => {
  const rows = readme.match(/^\| `--.*\|$/gm) ?? [];
  expect(rows.length).toBeGreaterThan(5);
  for (const row of rows) {
    const spec = specOf(longOf({ flag: row.slice('| `'.length, row.lastIndexOf('`')), description: '' }));
    expect(row).toBe(`| \`${spec?.flag}\` | ${spec?.description} |`);
  }
});

test.each([
  ['Linux and macOS', 'linux'],
  ['Windows', 'win32'],
] as const)('docs/environment.md lists what a server gets on %s', (system, platform) => {
  const page = readFileSync(join(root, 'docs/environment.md'), 'utf8');
  const namesAfter = (start: string): string[] => {
    const from = page.indexOf(start);
    const item = page.slice(from, page.slice(from).search(/\n(?:\n|- )/) + from);
    return [...item.matchAll(/`([A-Z_]+)(?:=1)?`/g)].map(([, name = '']) => name);
  };
  const everyName = [...namesAfter('- on Linux'), ...namesAfter('- on Windows'), ...namesAfter('- everywhere')];
  const own = Object.fromEntries([...everyName, 'GITHUB_TOKEN'].map((name) => [name, 'x']));
  const passed = Object.keys(childEnvironment({ own, inherit: false, extra: new Map(), platform }));
  expect(passed.toSorted()).toEqual([...namesAfter(`- on ${system}`), ...namesAfter('- everywhere')].toSorted());
});

describe('the docs', () => {
  test.each(pages)('%s links to nothing that is not there', (page) => {
    const links = [...readFileSync(join(root, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)];
    const missing = links.map((link) => link[1] ?? '').filter((link) => !existsSync(join(root, dirname(page), link)));
    expect(missing).toEqual([]);
  });
});
