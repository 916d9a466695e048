import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { describe, expect, test } from 'vitest';

import { legacyRevisions } from '../src/mcp/revisions.ts';

const root = new URL('..', import.meta.url).pathname;
const readme = readFileSync(join(root, 'README.md'), 'utf8');

const pages = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
  (path) => path.endsWith('.md') && !path.includes('node_modules'),
);

describe('the README', () => {
  test('shows the help that the command prints', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'bin/mcp-expose.js'), '--help']);
    expect(readme).toContain(`\`\`\`\n${stdout.trimEnd()}\n\`\`\``);
  });

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
  const [, sentence = ''] = /The revisions ([^.]*?), over\s/.exec(readme) ?? [];
  expect(sentence.match(/\b\d{4}-\d\d-\d\d\b/g)).toEqual(legacyRevisions);
});

describe('the docs', () => {
  test.each(pages)('%s links to nothing that is not there', (page) => {
    const links = [...readFileSync(join(root, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)];
    const missing = links.map((link) => link[1] ?? '').filter((link) => !existsSync(join(root, dirname(page), link)));
    expect(missing).toEqual([]);
  });
});
