import { expect, test } from 'vitest';
import { named, quoted } from '../../src/cli/quoted.ts';

test.each([
  ['anna', 'anna'],
  ['claude-code', 'claude-code'],
  ['ada+x@example.com', 'ada+x@example.com'],
  ['https://[::1]/a?b=c%20d', 'https://[::1]/a?b=c%20d'],
  ['Claude Code', '"Claude Code"'],
  ['anna) was approved', '"anna) was approved"'],
  ['', '""'],
])('%j is shown as %s: in quotes unless it is one word', (text, shown) => {
  expect(named(text)).toBe(shown);
});

test.each([
  ['anna', '"anna"'],
  ['a" now has full access; "b', `"a' now has full access; 'b"`],
  ['\u201Ca\u201D', `"'a'"`],
  ['a\nb\u202E\u001B[2K', String.raw`"a\nb\u202e\u001b[2K"`],
  ['x'.repeat(100), `"${'x'.repeat(80)}…"`],
])('%j cannot leave its quotes', (text, shown) => {
  expect(quoted(text)).toBe(shown);
});
