import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { OAuthEvent } from '../../../src/auth/oauth/events.ts';
import { createGrants, type GrantRequest, type Grants, type TokenSet } from '../../../src/auth/oauth/grants.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';

const codeVerifier = 'v'.repeat(43);
const request: GrantRequest = {
  clientId: 'client',
  clientName: 'Some App',
  redirectUri: 'https://app.example/',
  codeChallenge: createHash('sha256').update(codeVerifier).digest('base64url'),
  scope: 'mcp',
  resource: undefined,
};
const exchange = { clientId: 'client', redirectUri: undefined, codeVerifier, resource: undefined };
const renewal = { clientId: 'client', scope: 'mcp', resource: undefined } as const;

function create(): { grants: Grants; clock: FakeClock; events: OAuthEvent[] } {
  const clock = createFakeClock();
  const events: OAuthEvent[] = [];
  return { grants: createGrants({ clock, onEvent: (event) => events.push(event) }), clock, events };
}

function tokensOf(result: TokenSet | string): TokenSet {
  if (typeof result === 'string') throw new Error(result);
  return result;
}

function connect(grants: Grants, changes: Partial<GrantRequest> = {}): TokenSet {
  const { code } = grants.approve({ ...request, ...changes });
  return tokensOf(grants.exchangeCode(code, { ...exchange, clientId: changes.clientId ?? 'client' }));
}

test('the owner can revoke a grant, with all that it gave', () => {
  const { grants, events } = create();
  const first = connect(grants);
  const second = tokensOf(grants.refresh(first.refreshToken, renewal));
  expect(grants.hasClient('client')).toBe(true);
  expect(grants.revoke(first.grantId, 'revoked_by_owner')).toBe(true);
  for (const { accessToken } of [first, second]) expect(grants.verify(accessToken)).toBeUndefined();
  expect(grants.refresh(second.refreshToken, renewal)).toBe('invalid_grant');
  expect(grants.hasClient('client')).toBe(false);
  expect(grants.revoke(first.grantId, 'revoked_by_owner')).toBe(false);
  expect(events).toEqual([
    { kind: 'grant_revoked', clientName: 'Some App', grantId: first.grantId, reason: 'revoked_by_owner' },
  ]);
});

test('revoking one grant leaves another of the same client', () => {
  const { grants } = create();
  const [first, second] = [connect(grants), connect(grants)];
  grants.revoke(first.grantId, 'revoked_by_owner');
  expect(grants.verify(second.accessToken)).toMatchObject({ id: second.grantId });
});

test('a grant can be revoked between approval and exchange', () => {
  const { grants } = create();
  const { grantId, code } = grants.approve(request);
  expect(grants.revoke(grantId, 'revoked_by_owner')).toBe(true);
  expect(grants.exchangeCode(code, exchange)).toBe('invalid_grant');
});

test.each([
  '',
  'mcpa_',
  'mcpr_',
  `mcpa_${'x'.repeat(43)}`,
  'x'.repeat(100_000),
  'mcpa_\u0000',
  '__proto__',
  'constructor',
])('strange access token %#: no grant', (token) => {
  const { grants } = create();
  connect(grants);
  expect(grants.verify(token)).toBeUndefined();
});

test('neither a refresh token nor a code is an access token, nor the other way round', () => {
  const { grants } = create();
  const { code } = grants.approve(request);
  expect(grants.verify(code)).toBeUndefined();
  const tokens = tokensOf(grants.exchangeCode(code, exchange));
  expect(grants.verify(tokens.refreshToken)).toBeUndefined();
  expect(grants.refresh(tokens.accessToken, renewal)).toBe('invalid_grant');
  expect(grants.exchangeCode(tokens.refreshToken, exchange)).toBe('invalid_grant');
  expect(grants.verify(tokens.accessToken)).toBeDefined();
});

test('of the access tokens that a client piles up, the newest five are valid', () => {
  const { grants } = create();
  const all = [connect(grants)];
  for (let times = 0; times < 20; times += 1) {
    all.push(tokensOf(grants.refresh(all.at(-1)?.refreshToken ?? '', renewal)));
  }
  expect(all.map(({ accessToken }) => grants.verify(accessToken) !== undefined)).toEqual([
    ...Array.from({ length: 16 }, () => false),
    ...Array.from({ length: 5 }, () => true),
  ]);
});

test('after 10,000 renewals, a recent refresh token still revokes the family, a very old one is only refused', () => {
  const { grants, clock } = create();
  const all = [connect(grants)];
  for (let times = 0; times < 10_000; times += 1) {
    clock.advance(3_600_000);
    all.push(tokensOf(grants.refresh(all.at(-1)?.refreshToken ?? '', renewal)));
  }
  expect(grants.refresh(all[0]?.refreshToken ?? '', renewal)).toBe('invalid_grant');
  const newest = all.at(-1);
  expect(grants.verify(newest?.accessToken ?? '')).toBeDefined();
  expect(grants.refresh(all.at(-99)?.refreshToken ?? '', renewal)).toBe('invalid_grant');
  expect(grants.verify(newest?.accessToken ?? '')).toBeUndefined();
});

test('of 10,000 grants, the 100 that were renewed last are kept', () => {
  const { grants, events } = create();
  let old = connect(grants, { clientId: 'old' });
  const others: TokenSet[] = [];
  for (let at = 0; at < 10_000; at += 1) {
    others.push(connect(grants, { clientId: `client ${at}` }));
    if (at % 50 === 0) old = tokensOf(grants.refresh(old.refreshToken, { ...renewal, clientId: 'old' }));
  }
  expect(grants.verify(old.accessToken)).toBeDefined();
  const valid = others.filter(({ accessToken }) => grants.verify(accessToken) !== undefined);
  expect(valid).toEqual(others.slice(-99));
  expect(events).toHaveLength(10_001 - 100);
  expect(events[0]).toMatchObject({ kind: 'grant_revoked', reason: 'too_many_grants' });
});

test('an approval ends with its code, and the owner is told', () => {
  const { grants, clock, events } = create();
  const tokens = connect(grants);
  const { grantId, code } = grants.approve({ ...request, clientId: 'silent' });
  clock.advance(59_999);
  expect(grants.hasClient('silent')).toBe(true);
  clock.advance(1);
  expect(grants.hasClient('silent')).toBe(false);
  const ended = { kind: 'grant_revoked', clientName: 'Some App', grantId, reason: 'not_exchanged' };
  expect(events).toEqual([ended]);
  expect(grants.exchangeCode(code, exchange)).toBe('invalid_grant');
  expect(grants.verify(tokens.accessToken)).toBeDefined();
});

test('an approval whose code comes with another verifier ends at once, and the owner is told', () => {
  const { grants, events } = create();
  const { grantId, code } = grants.approve(request);
  expect(grants.exchangeCode(code, { ...exchange, codeVerifier: 'w'.repeat(43) })).toBe('invalid_grant');
  expect(events).toMatchObject([{ grantId, reason: 'not_exchanged' }]);
  expect(grants.hasClient('client')).toBe(false);
});

test('a code that expired while the machine slept is not accepted, although the timer is late', () => {
  const clock = createFakeClock();
  const grants = createGrants({ clock: { ...clock, after: () => () => {} }, onEvent: () => {} });
  const { code } = grants.approve(request);
  clock.jump(60_000);
  expect(grants.exchangeCode(code, exchange)).toBe('invalid_grant');
});

test('an exchanged grant lives on; no timer is left after close', () => {
  const { grants, clock } = create();
  const tokens = connect(grants);
  clock.advance(120_000);
  expect(grants.verify(tokens.accessToken)).toBeDefined();
  expect(clock.pending).toBe(0);
  grants.approve(request);
  expect(clock.pending).toBe(1);
  grants.close();
  expect(clock.pending).toBe(0);
});
