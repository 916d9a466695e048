import { expect, test } from 'vitest';
import { isDestructiveTool, isReadOnlyTool, itemsIn, listMemberOf } from '../../src/mcp/lists.ts';

test('the lists of a server, and where their results have them', () => {
  const methods = [
    'tools/list',
    'resources/list',
    'resources/templates/list',
    'prompts/list',
    'tasks/list',
    'tools/call',
  ];
  expect(methods.map(listMemberOf)).toEqual([
    'tools',
    'resources',
    'resourceTemplates',
    'prompts',
    undefined,
    undefined,
  ]);
});

test('the items of a result', () => {
  const prompts = [{ name: 'p' }];
  expect(itemsIn('prompts/list', { prompts })).toBe(prompts);
  expect(itemsIn('tools/list', { prompts })).toBeUndefined();
  expect(itemsIn('tools/list', { tools: {} })).toBeUndefined();
  expect(itemsIn('tools/list', null)).toBeUndefined();
  expect(itemsIn('tools/call', { tools: [] })).toBeUndefined();
});

test('a tool is read-only only if the server says so', () => {
  expect(isReadOnlyTool({ annotations: { readOnlyHint: true } })).toBe(true);
  const others: unknown[] = [
    { readOnlyHint: true },
    { annotations: { readOnlyHint: 'true' } },
    { annotations: [] },
    null,
  ];
  for (const tool of others) expect(isReadOnlyTool(tool)).toBe(false);
});

test.each([
  [{ readOnlyHint: true }, false],
  [{ readOnlyHint: true, destructiveHint: true }, false],
  [{ destructiveHint: false }, false],
  [{ readOnlyHint: false, destructiveHint: false }, false],
  [{ readOnlyHint: false }, true],
  [{ destructiveHint: true }, true],
  [{ readOnlyHint: 'true', destructiveHint: 'false' }, true],
  [{ destructiveHint: 0 }, true],
  [{}, true],
  [null, true],
  [undefined, true],
])('a tool with the annotations %j may destroy something: %s', (annotations, isDestructive) => {
  expect(isDestructiveTool({ name: 'x', annotations })).toBe(isDestructive);
});
