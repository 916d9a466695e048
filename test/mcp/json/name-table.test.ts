import { expect, test } from 'vitest';

import { NameTable, unclear } from '../../../src/mcp/json/name-table.ts';

const table = new NameTable(
  new Map([
    ['id', 1],
    ['_meta', 2],
    ['jsonrpc', 3],
    ['a/b', 4],
    ['schlüssel', 5],
  ]),
);

function find(name: string): unknown {
  const text = Buffer.from(`{"${name}":0}`);
  return table.find(text, 1, text.length - 3);
}

function read(name: string): unknown {
  const text = Buffer.from(`{"${name}":0}`);
  return table.read(text, 1, text.length - 3);
}

test.each([
  ['id', 1],
  ['jsonrpc', 3],
  ['a/b', 4],
  ['schlüssel', 5],
])('%s is found as it is', (name, value) => {
  expect(find(name)).toBe(value);
  expect(read(name)).toBe(value);
});

test.each(['', 'i', 'ids', 'xd', 'meta_', 'jsonrpd', 'x'.repeat(10_000)])('it certainly has no %s', (name) => {
  expect(find(name)).toBeUndefined();
  expect(read(name)).toBeUndefined();
});

test.each(['ID', 'iD', '_META', 'JsonRPC', 'param\u017F', String.raw`\u0049d`, String.raw`x\n`])(
  '%s may be one of it in another notation, and is none',
  (name) => {
    expect(find(name)).toBe(unclear);
    expect(read(name)).toBeUndefined();
  },
);

test.each([
  [String.raw`\u0069d`, 1],
  [String.raw`a\/b`, 4],
  [String.raw`schl\u00fcssel`, 5],
])('%s is one of it with escapes', (name, value) => {
  expect(find(name)).toBe(unclear);
  expect(read(name)).toBe(value);
});
