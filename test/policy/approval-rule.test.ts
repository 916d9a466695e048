import { expect, test } from 'vitest';
import { ApprovalRule, globsIn, probableWord } from '../../src/policy/approval-rule.ts';
import type { ToolFacts } from '../../src/policy/policy.ts';

const facts = new Map<string, ToolFacts>([
  ['read', { isReadOnly: true, isDestructive: false }],
  ['append', { isReadOnly: false, isDestructive: false }],
  ['remove', { isReadOnly: false, isDestructive: true }],
]);

const call = (approve: readonly string[], name: unknown, tools: ReadonlyMap<string, ToolFacts> | undefined = facts) =>
  new ApprovalRule(approve).decide({ method: 'tools/call', params: { name } }, tools);

test('all: every tool, also one that cannot be read', () => {
  for (const name of ['read', 'remove', 'unknown', '', 7, undefined]) expect(call(['all'], name)).toBe('needed');
});

test('globs: the tools that they match', () => {
  expect(call(['write_*', 'rm'], 'write_file')).toBe('needed');
  expect(call(['write_*', 'rm'], 'rm')).toBe('needed');
  expect(call(['write_*', 'rm'], 'rmdir')).toBe('unneeded');
  expect(call([], 'rm')).toBe('unneeded');
});

test('what is not quite a word is no glob', () => {
  expect(['All', ' all', 'ALL '].map(probableWord)).toEqual(['all', 'all', 'all']);
  const mistyped = ['Destructive', 'destructve', 'destrutive', 'destructive ', 'desctructive', 'destructives'];
  expect(new Set(mistyped.map(probableWord))).toEqual(new Set(['destructive']));
  const meant = ['all', 'destructive', 'al', 'call', 'ls', 'destroy', 'destructive_*', 'all_*', '*'];
  expect(new Set(meant.map(probableWord))).toEqual(new Set([undefined]));
});

test.each([
  [
    ['write_*', 'destructive', 'rm'],
    ['write_*', 'rm'],
  ],
  [['all', 'rm'], []],
])('of %j, the globs that make a difference are %j', (approve, globs) => {
  expect(globsIn(approve)).toEqual(globs);
});

test('destructive: all but those that the server says are harmless', () => {
  expect(['read', 'append', 'remove', 'unknown', 'constructor'].map((name) => call(['destructive'], name))).toEqual([
    'unneeded',
    'unneeded',
    'needed',
    'needed',
    'needed',
  ]);
});

test('destructive: unknown as long as the tools are, unless a glob decides', () => {
  const rule = new ApprovalRule(['destructive', 'read']);
  const decide = (name: string) => rule.decide({ method: 'tools/call', params: { name } }, undefined);
  expect(decide('append')).toBe('unknown');
  expect(decide('read')).toBe('needed');
});

test.each(['tools/call', 'tools/someday'])('a request without a readable name needs it: %s', (method) => {
  const rule = new ApprovalRule(['rm']);
  for (const params of [undefined, null, {}, { name: null }, { name: ['rm'] }, { name: 'a'.repeat(8193) }])
    expect(rule.decide({ method, params }, facts)).toBe('needed');
});

test.each(['tools/list', 'resources/read', 'prompts/get', 'ping', 'initialize', 'toolsx/call', 'tasks/result'])(
  '%s never does',
  (method) => {
    const rule = new ApprovalRule(['all', 'destructive', '*']);
    expect(rule.decide({ method, params: { name: 'rm' } }, facts)).toBe('unneeded');
  },
);
