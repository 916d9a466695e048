import { describe, expect, test } from 'vitest';
import {
  both,
  createPolicy,
  openPolicy,
  readOnlyExceptions,
  type Policy,
  type PolicyRules,
  type ToolFacts,
} from '../../src/policy/policy.ts';

const facts = new Map<string, ToolFacts>([
  ['read', { isReadOnly: true, isDestructive: false }],
  ['write', { isReadOnly: false, isDestructive: true }],
]);

function verdict(rules: PolicyRules | Policy, method: string, params: unknown, tools = facts): string {
  const policy = 'decide' in rules ? rules : createPolicy(rules);
  const denied = policy.decide({ method, params }, tools);
  return denied === undefined ? 'passes' : `${denied.what} ${denied.name}: ${denied.reason}`;
}

const call = (rules: PolicyRules | Policy, name: unknown): string => verdict(rules, 'tools/call', { name });

describe('an open policy', () => {
  test.each([
    {},
    { denyTools: [], denyResources: [], denyPrompts: [] },
    { readOnly: false, allowTools: undefined },
  ] satisfies PolicyRules[])('is one that restricts nothing: %j', (rules) => {
    const policy = createPolicy(rules);
    expect(policy).toBe(openPolicy);
    expect(policy.isOpen).toBe(true);
    expect(policy.needsAnnotations).toBe(false);
    expect(call(policy, 'x')).toBe('passes');
    const result = { tools: [{}] };
    expect(policy.trim('tools/list', result)).toBe(result);
  });

  test.each([
    { allowTools: [] },
    { allowPrompts: [] },
    { denyResources: ['x'] },
    { readOnly: true },
  ] satisfies PolicyRules[])('is no other: %j', (rules) => {
    expect(createPolicy(rules).isOpen).toBe(false);
  });
});

describe('tools', () => {
  test('that are allowed, and no others', () => {
    const rules = { allowTools: ['read_*', 'stat'] };
    expect(['read_file', 'stat', 'write_file', ''].map((name) => call(rules, name))).toEqual([
      'passes',
      'passes',
      'tool write_file: not_allowed',
      'tool : not_allowed',
    ]);
  });

  test('that are denied, even if they are allowed', () => {
    const rules = { allowTools: ['*'], denyTools: ['rm*'] };
    expect(call(rules, 'rmdir')).toBe('tool rmdir: not_allowed');
    expect(call(rules, 'ls')).toBe('passes');
  });

  test('none where the list is empty', () => {
    expect(call({ allowTools: [] }, 'x')).toBe('tool x: not_allowed');
  });

  test.each([undefined, null, 7, ['read'], { toString: 'read' }])(
    'a name that is not a string is refused: %j',
    (name) => {
      expect(call({ denyTools: ['x'] }, name)).toBe('tool : not_allowed');
    },
  );

  test('named by any method of theirs', () => {
    const rules = { denyTools: ['x'] };
    expect(verdict(rules, 'tools/call', { name: 'x', task: { ttl: 1 } })).toBe('tool x: not_allowed');
    expect(verdict(rules, 'tools/someday', { name: 'x' })).toBe('tool x: not_allowed');
    expect(verdict(rules, 'tools/list', {})).toBe('passes');
  });

  test('a name that takes long to compare is not allowed', () => {
    expect(call({ denyTools: ['x'] }, 'a'.repeat(8192))).toBe('passes');
    expect(call({ denyTools: ['x'] }, 'a'.repeat(8193))).toBe('tool : not_allowed');
  });

  test('a name that Object.prototype has is not taken for known', () => {
    expect(call({ readOnly: true }, 'constructor')).toBe('tool constructor: not_read_only');
  });
});

describe('read-only', () => {
  test('allows what the server says is read-only', () => {
    expect(createPolicy({ readOnly: true }).needsAnnotations).toBe(true);
    expect(['read', 'write', 'unknown'].map((name) => call({ readOnly: true }, name))).toEqual([
      'passes',
      'tool write: not_read_only',
      'tool unknown: not_read_only',
    ]);
  });

  test('and allowed tools: both must hold', () => {
    const rules = { readOnly: true, allowTools: ['w*', 'r*'], denyTools: ['ra*'] };
    expect(call(rules, 'write')).toBe('tool write: not_read_only');
    expect(call(rules, 'read')).toBe('passes');
    expect(call(rules, 'rat')).toBe('tool rat: not_allowed');
    expect(call({ readOnly: true, allowTools: ['x'] }, 'read')).toBe('tool read: not_allowed');
  });

  test('except tools that are named without a wildcard', () => {
    const rules = { readOnly: true, allowTools: ['write', 'r*', 'drop'], denyTools: ['d*'] };
    expect(call(rules, 'write')).toBe('passes');
    expect(call(rules, 'drop')).toBe('tool drop: not_allowed');
    expect(readOnlyExceptions(rules)).toEqual(['write']);
    expect(readOnlyExceptions({ ...rules, readOnly: false })).toEqual([]);
  });

  test('leaves resources and prompts alone', () => {
    expect(verdict({ readOnly: true }, 'resources/read', { uri: 'x:y' })).toBe('passes');
    expect(verdict({ readOnly: true }, 'prompts/get', { name: 'x' })).toBe('passes');
  });
});

describe('resources', () => {
  const rules = { allowResources: ['file:///srv/*'], denyResources: ['*.key'] };

  test.each(['resources/read', 'resources/subscribe', 'resources/unsubscribe'])('%s', (method) => {
    expect(verdict(rules, method, { uri: 'file:///srv/a' })).toBe('passes');
    expect(verdict(rules, method, { uri: 'file:///etc/a' })).toBe('resource file:///etc/a: not_allowed');
    expect(verdict(rules, method, { uri: 'file:///srv/a.key' })).toBe('resource file:///srv/a.key: not_allowed');
    expect(verdict(rules, method, {})).toBe('resource : not_allowed');
  });

  test.each([
    'file:///srv/../etc/a',
    'file:///srv/%2e%2E/etc/a',
    'file:///srv/.%2e/etc/a',
    'file:///srv%2f..%2fetc/a',
    String.raw`file:///srv/..\etc`,
    'file:///srv/..',
    'file:///srv/..?x',
  ])('a URI that a server may take for another one is refused: %s', (uri) => {
    expect(verdict(rules, 'resources/read', { uri })).toBe(`resource ${uri}: not_allowed`);
  });

  test('two dots in a name are no parent', () => {
    for (const uri of ['file:///srv/a..b', 'file:///srv/..a', 'file:///srv/a../b', 'file:///srv/.../b'])
      expect(verdict(rules, 'resources/read', { uri })).toBe('passes');
  });

  test('do not concern other methods', () => {
    expect(call(rules, 'x')).toBe('passes');
    expect(verdict(rules, 'resources/list', {})).toBe('passes');
    expect(verdict(rules, 'resources/templates/list', {})).toBe('passes');
  });
});

describe('prompts', () => {
  test('by name', () => {
    expect(verdict({ denyPrompts: ['secret'] }, 'prompts/get', { name: 'secret' })).toBe('prompt secret: not_allowed');
    expect(verdict({ denyPrompts: ['secret'] }, 'prompts/get', { name: 'other' })).toBe('passes');
    expect(verdict({ denyPrompts: ['secret'] }, 'prompts/list', {})).toBe('passes');
  });
});

describe('completion', () => {
  const rules = { denyPrompts: ['p'], denyResources: ['r*'] };
  const complete = (ref: unknown): string => verdict(rules, 'completion/complete', { ref });

  test('of what is refused is refused', () => {
    expect(complete({ type: 'ref/prompt', name: 'p' })).toBe('prompt p: not_allowed');
    expect(complete({ type: 'ref/resource', uri: 'r://{x}' })).toBe('resource r://{x}: not_allowed');
    expect(complete({ type: 'ref/prompt', name: 'q' })).toBe('passes');
    expect(complete({ type: 'ref/resource', uri: 's:' })).toBe('passes');
  });

  test('whatever the type says', () => {
    expect(complete({ type: 'ref/prompt', name: 'q', uri: 'r:' })).toBe('resource r:: not_allowed');
    expect(complete({ name: 7 })).toBe('prompt : not_allowed');
  });
});

test('other methods pass', () => {
  const none = { allowTools: [], allowResources: [], allowPrompts: [] };
  for (const method of ['initialize', 'ping', 'tasks/get', 'logging/setLevel', 'x', 'toolsx/call', 'notifications/x'])
    expect(verdict(none, method, { name: 'x', uri: 'y' })).toBe('passes');
});

const named = (...names: string[]): object[] => names.map((name) => ({ name }));
const hint = (name: string, readOnlyHint?: unknown): object => ({ name, annotations: { readOnlyHint } });

describe('lists are trimmed', () => {
  test('tools, and the rest of the result stays', () => {
    const result = { tools: named('a', 'b', 'c'), nextCursor: 'n', _meta: { x: 1 } };
    expect(createPolicy({ denyTools: ['b'] }).trim('tools/list', result)).toEqual({
      tools: named('a', 'c'),
      nextCursor: 'n',
      _meta: { x: 1 },
    });
    expect(result.tools).toHaveLength(3);
  });

  test('by the hint of each tool', () => {
    const tools = [hint('a', true), hint('b', false), hint('c'), hint('d', 'true'), { name: 'e' }, hint('f', 1)];
    expect(createPolicy({ readOnly: true }).trim('tools/list', { tools })).toEqual({ tools: [tools[0]] });
    const policy = createPolicy({ readOnly: true, allowTools: ['e', 'a*', 'b*'] });
    expect(policy.trim('tools/list', { tools })).toEqual({ tools: [tools[0], tools[4]] });
  });

  test('resources, templates and prompts', () => {
    const policy = createPolicy({ allowResources: ['a:*'], denyPrompts: ['p'] });
    const resources = [{ uri: 'a:1' }, { uri: 'b:1' }];
    expect(policy.trim('resources/list', { resources })).toEqual({ resources: [{ uri: 'a:1' }] });
    const resourceTemplates = [{ uriTemplate: 'a:{x}' }, { uriTemplate: 'b:{x}' }];
    expect(policy.trim('resources/templates/list', { resourceTemplates })).toEqual({
      resourceTemplates: [{ uriTemplate: 'a:{x}' }],
    });
    expect(policy.trim('prompts/list', { prompts: named('p', 'q') })).toEqual({ prompts: named('q') });
  });

  test('what has no name that can be read is left out', () => {
    expect(createPolicy({ denyTools: ['x'] }).trim('tools/list', { tools: [null, 1, {}, { name: 2 }] })).toEqual({
      tools: [],
    });
  });

  test('the result is the same object where nothing changes', () => {
    const policy = createPolicy({ denyTools: ['x'] });
    const results: readonly (readonly [string, unknown])[] = [
      ['tools/list', { tools: named('a') }],
      ['tools/list', {}],
      ['tools/list', { tools: 'x' }],
      ['tools/list', undefined],
      ['prompts/list', { prompts: named('x') }],
      ['tools/call', { tools: named('x') }],
    ];
    for (const [method, result] of results) expect(policy.trim(method, result)).toBe(result);
  });
});

describe('both', () => {
  const one = createPolicy({ denyTools: ['a'] });
  const other = createPolicy({ readOnly: true, allowTools: ['a', 'b'] });

  test('is the stricter of two, in either order', () => {
    for (const policy of [both(one, other), both(other, one)]) {
      expect(policy.isOpen).toBe(false);
      expect(policy.needsAnnotations).toBe(true);
      expect(call(policy, 'a')).toBe('tool a: not_allowed');
      expect(call(policy, 'b')).toBe('passes');
      expect(call(policy, 'read')).toBe('tool read: not_allowed');
      const tools = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];
      expect(policy.trim('tools/list', { tools })).toEqual({ tools: [{ name: 'b' }] });
    }
  });

  test('with an open one is the other', () => {
    expect(both(one, openPolicy)).toBe(one);
    expect(both(openPolicy, one)).toBe(one);
    expect(both(openPolicy, openPolicy)).toBe(openPolicy);
  });

  test('an exception of one is none of the other', () => {
    expect(
      call(both(createPolicy({ readOnly: true }), createPolicy({ readOnly: true, allowTools: ['write'] })), 'write'),
    ).toBe('tool write: not_read_only');
  });
});
