import { describe, expect, test } from 'vitest';
import type { StoredToken } from '../../src/auth/token-store.ts';
import type { Caller, CallerRules } from '../../src/auth/caller.ts';
import { checkReplica, knowsAddresses, policiesOfCallers, RunTokens } from '../../src/expose/access.ts';
import type { AccessOptions, ListenOptions, TunnelOptions } from '../../src/expose/options.ts';
import { createPolicy, openPolicy, type PolicyRules } from '../../src/policy/policy.ts';
import type { TunnelProvider } from '../../src/tunnel/provider.ts';
import { createFrontProvider } from '../../src/tunnel/providers/front.ts';

const callerWith = (rules?: CallerRules): Caller => ({ id: 'anna#1', label: 'anna', rules });
const tools = new Map([
  ['look', { isReadOnly: true, isDestructive: false }],
  ['change', { isReadOnly: false, isDestructive: false }],
  ['other', { isReadOnly: false, isDestructive: false }],
]);

/** Which tools can be called, and are listed. */
function allowed(run: PolicyRules, own?: CallerRules): string[] {
  const policy = policiesOfCallers(createPolicy(run))(callerWith(own));
  const listed = [...tools].map(([name, { isReadOnly }]) => ({ name, annotations: { readOnlyHint: isReadOnly } }));
  const called = [...tools.keys()].filter(
    (name) => policy.decide({ method: 'tools/call', params: { name } }, tools) === undefined,
  );
  const left = policy.trim('tools/list', { tools: listed });
  expect(left).toMatchObject({ tools: called.map((name) => ({ name })) });
  return called;
}

describe('the rules of a caller', () => {
  test.each<[PolicyRules, CallerRules | undefined, string[]]>([
    [{}, undefined, ['look', 'change', 'other']],
    [{}, { allowTools: ['l*'] }, ['look']],
    [{}, { allowTools: [] }, []],
    [{}, { denyTools: ['l*'] }, ['change', 'other']],
    [{}, { readOnly: true }, ['look']],
    [{}, { readOnly: true, allowTools: ['change', 'o*'] }, ['change']],
    // They never widen those of the run.
    [{ denyTools: ['look'] }, { allowTools: ['look', 'change'] }, ['change']],
    [{ allowTools: ['look'] }, { allowTools: ['*'] }, ['look']],
    [{ readOnly: true }, { allowTools: ['change'] }, []],
    [{ readOnly: true }, { readOnly: true, allowTools: ['change', 'look'] }, ['look']],
    [{ readOnly: true, allowTools: ['change', '*'] }, { readOnly: true }, ['look']],
    [{ readOnly: true, allowTools: ['change', '*'] }, undefined, ['look', 'change']],
  ])('%j and %j allow %j', (run, own, names) => {
    expect(allowed(run, own)).toEqual(names);
  });

  test('narrow resources and prompts as well', () => {
    const policyOf = policiesOfCallers(createPolicy({ allowResources: ['file:///a/*'], denyPrompts: ['x'] }));
    const policy = policyOf(callerWith({ denyResources: ['*.env'], allowPrompts: ['x', 'y'] }));
    const isAllowed = (method: string, params: object) => policy.decide({ method, params }, tools) === undefined;
    const resources = ['file:///a/b', 'file:///a/.env', 'file:///c'];
    expect(resources.map((uri) => isAllowed('resources/read', { uri }))).toEqual([true, false, false]);
    expect(['x', 'y', 'z'].map((name) => isAllowed('prompts/get', { name }))).toEqual([false, true, false]);
  });

  test('one policy is made of them, and none for callers without any', () => {
    const policyOf = policiesOfCallers(openPolicy);
    const rules = { allowTools: ['a'] };
    // The guard copies callers to add their address.
    expect(policyOf(callerWith(rules))).toBe(policyOf({ ...callerWith(rules), address: '203.0.113.1' }));
    expect(policyOf(callerWith(rules))).not.toBe(policyOf(callerWith({ ...rules })));
    expect(policyOf(callerWith())).toBe(openPolicy);
  });
});

const ownToken = 'mcpx_the-first-token-of-a-run';

interface Given {
  /** Signed in with OAuth. */
  readonly clients?: readonly string[];
  readonly token?: string | undefined;
  readonly stored?: readonly StoredToken[];
}

function tokensOf(access: AccessOptions = {}, areKnown = true, given: Given = {}) {
  const { clients = [], token, stored } = { token: ownToken, ...given };
  const warnings: string[] = [];
  const tokens = new RunTokens(token, access, {
    signIn: {
      list: () => clients.map((name) => ({ name, state: 'valid', createdAt: 0, calls: 0 })),
      revoke: () => false,
    },
    file: stored && { entries: stored, save: async () => true, async close() {} },
    onEnd() {},
    onChange() {},
    areAddressesKnown: () => areKnown,
    onWarning: (message) => warnings.push(message),
  });
  return { tokens, warnings };
}

const front = createFrontProvider('https://mcp.example');

test.each<[boolean, ListenOptions, TunnelProvider | undefined]>([
  [true, {}, undefined],
  [true, {}, { ...front, capabilities: { ...front.capabilities, clientAddressHeader: 'x-forwarded-for' } }],
  [false, {}, front],
  [false, { domain: 'mcp.example' }, undefined],
])('whether addresses are known: %s with %j, %j', (areKnown, listen, tunnel) => {
  expect(knowsAddresses({ server: { stdio: 'x' }, listen }, tunnel)).toBe(areKnown);
});

describe('the tokens of a run', () => {
  test('a token that makes exceptions from its --read-only is reported', () => {
    const { tokens, warnings } = tokensOf();
    tokens.add('anna', { readOnly: true, allowTools: ['change', 'l*', 'rm'], denyTools: ['rm'] });
    tokens.add('ben', { readOnly: true, allowTools: ['*'] });
    tokens.add('cleo', { allowTools: ['change'] });
    expect(warnings).toEqual(['the read-only token anna allows these tools, whatever they change: change']);
  });

  test('it makes none from that of the run', () => {
    const { tokens, warnings } = tokensOf({ readOnly: true });
    tokens.add('anna', { readOnly: true, allowTools: ['change'] });
    expect(warnings).toEqual([]);
  });

  test('none has the name of a client that has signed in, or of mcp-expose itself', () => {
    const { tokens } = tokensOf({}, true, { clients: ['Claude', 'mcp-expose 2'] });
    expect(() => tokens.add('Claude')).toThrow('a client that has signed in has the name Claude');
    expect(() => tokens.add('mcp-expose')).toThrow('there is a token with the name mcp-expose already');
    expect(tokens.add('Claude 2')).toMatch(/^mcpx_/);
    expect(() => tokensOf({ tokenName: 'mcp-expose' })).toThrow('there is a token with the name mcp-expose already');
    const names = ['mcp-expose', 'default', 'Claude', 'Claude 2', 'mcp-expose 2', 'Claude 3'];
    expect(names.map((name) => tokens.isTaken(name))).toEqual([true, true, true, true, true, false]);
  });

  test('none is for some addresses if those of the clients are not known', () => {
    const limits = { allowIps: ['203.0.113.7'] };
    expect(() => tokensOf({}, false).tokens.add('anna', limits)).toThrow('a token cannot be for some addresses');
    expect(tokensOf({}, false).tokens.add('anna', {})).toMatch(/^mcpx_/);
    expect(tokensOf().tokens.add('anna', limits)).toMatch(/^mcpx_/);
  });

  test('a stored token keeps its limits, and says so to whoever gives others', () => {
    const stored = tokensOf({ maxCalls: 3, tokenName: 'anna' })
      .tokens.store.stored()
      .filter(({ name }) => name === 'anna');
    const limits: AccessOptions = { maxCalls: 9, once: true, expiresInMs: 1000, tokenName: 'anna' };
    // Whether it is known by its digest only, or given again.
    for (const token of [undefined, ownToken]) {
      const { tokens, warnings } = tokensOf(limits, true, { token, stored });
      expect(tokens.list()).toMatchObject([{ name: 'anna', maxCalls: 3, once: undefined, expiresAt: undefined }]);
      expect(warnings).toEqual([
        'the stored token anna keeps its limits, not those of --expires, --once, --max-calls; to change them, revoke it and start again: mcp-expose token revoke "anna"',
      ]);
    }
    expect(tokensOf({ tokenName: 'anna' }, true, { stored }).warnings).toEqual([]);
    const other = tokensOf(limits, true, { token: 'mcpx_another-token-that-replaces-it', stored });
    expect(other.tokens.list()).toMatchObject([{ maxCalls: 9 }]);
    expect(other.warnings).toEqual([]);
  });

  test('rules are the same for all requests with a token', () => {
    const { tokens } = tokensOf();
    const token = tokens.add('anna', { denyTools: ['x'] });
    const [one, other] = [tokens.store.find(token), tokens.store.find(token)];
    expect(one).toMatchObject({ rules: { denyTools: ['x'] } });
    expect(one).toBe(other);
  });
});

describe('a replica', () => {
  const relay = 'https://relay.example';
  const shared: TunnelOptions = { relay, relayKey: 'relay.key', replica: true };
  const check = (access: AccessOptions, tunnel: TunnelOptions = shared): void =>
    checkReplica({ server: { stdio: 'x' }, access, tunnel });

  test.each<[string, AccessOptions, TunnelOptions]>([
    ['--replica needs the key that the replicas share', { token: 'x'.repeat(43) }, { relay, replica: true }],
    ['--replica needs the token that the replicas share', {}, shared],
    ['--replica needs the token that the replicas share', { stateFile: 'tokens.json' }, shared],
    ['--replica cannot be used with --oauth: each', { tokenFile: 'token', oauth: true }, shared],
    [
      '--replica cannot be used with --once, --max-calls: each',
      { tokenFile: 'token', once: true, maxCalls: 3 },
      shared,
    ],
    ['--replica needs the key', { tokenFile: 'token' }, { kind: 'relay', replica: true }],
  ])('%s', (message, access, tunnel) => {
    expect(() => check(access, tunnel)).toThrow(message);
  });

  test.each<[AccessOptions, TunnelOptions]>([
    [{ tokenFile: 'token' }, shared],
    [{ token: 'x'.repeat(43) }, { ...shared, kind: 'relay' }],
    [{ token: false }, shared],
    [{}, { relay, relayKey: 'relay.key' }],
    // From the environment, for other runs.
    [{}, { kind: 'cloudflared', replica: true }],
    [{}, { replica: true }],
  ])('%j with %j is accepted', (access, tunnel) => {
    expect(() => check(access, tunnel)).not.toThrow();
  });
});
