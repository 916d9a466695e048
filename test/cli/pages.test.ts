// What the pages say of things that have no code of their own to be derived from.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { projectRoot } from '../harness/program.ts';

const page = (...file: string[]): string => readFileSync(path.join(projectRoot, ...file), 'utf8');

test.each([
  [400, -32_000, /not valid HTTP\/1\.1/],
  [400, -32_000, /`MCP-Protocol-Version` that is not served/],
  [400, -32_022, /every revision from 2026-07-28 on/],
  [408, -32_000, /took too long to arrive/],
  [431, -32_000, /header is larger/],
])('the page of errors has %i with %i: %s', (status, code, text) => {
  const rows = page('docs', 'errors.md').match(new RegExp(`^\\| ${status} \\| ${code} \\| .*$`, 'gm')) ?? [];
  expect(rows.join('\n')).toMatch(text);
});
