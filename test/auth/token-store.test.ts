import { describe, expect, test } from 'vitest';
import { TokenStore, type TokenStoreOptions } from '../../src/auth/token-store.ts';
import { ExposeError } from '../../src/errors.ts';
import { createFakeClock, type FakeClock } from '../harness/fake-clock.ts';

function storeWith(options: Partial<TokenStoreOptions> = {}) {
  const clock = createFakeClock();
  const ended: string[] = [];
  let changes = 0;
  const store = new TokenStore({
    clock,
    onEnd: (id) => ended.push(id),
    onChange: () => changes++,
    ...options,
  });
  return { store, clock, ended, changes: () => changes };
}

const expired = { reason: 'the bearer token has expired', code: 'token_expired' };
const revoked = { reason: 'the bearer token was revoked', code: 'token_revoked' };

describe('a token', () => {
  test('is found by itself alone, and its caller has its name', () => {
    const { store } = storeWith();
    const [anna, ben] = [store.add('anna'), store.add('ben')];
    expect(anna).toMatch(/^mcpx_[\w-]{43}$/);
    expect(store.find(anna)).toEqual({ id: 'anna#1', label: 'anna' });
    expect(store.find(ben)).toEqual({ id: 'ben#2', label: 'ben' });
    for (const other of [`${anna}x`, anna.slice(0, -1), anna.toUpperCase(), '', '__proto__'])
      expect(store.find(other)).toBeUndefined();
  });

  test('is neither listed nor stored', () => {
    const { store } = storeWith();
    const token = store.add('anna', { expiresInMs: 1000, once: true, maxCalls: 3 });
    expect(JSON.stringify([store.list(), store.stored()])).not.toContain(token.slice(5));
    expect(store.list()).toEqual([
      { name: 'anna', state: 'valid', createdAt: 1_000_000, expiresAt: 1_001_000, once: true, maxCalls: 3, calls: 0 },
    ]);
  });

  test('has its own rules, and the next one of its name has not', () => {
    const { store } = storeWith();
    const [anna, ben] = [store.add('anna', { denyTools: ['x'] }), store.add('ben')];
    expect(store.find(anna)).toMatchObject({ rules: { denyTools: ['x'] } });
    expect(store.find(ben)).toMatchObject({ rules: undefined });
    store.revoke('anna');
    expect(store.find(store.add('anna'))).toMatchObject({ rules: undefined });
    expect(store.list()).toEqual([
      { name: 'anna', state: 'valid', createdAt: 1_000_000, calls: 0 },
      { name: 'ben', state: 'valid', createdAt: 1_000_000, calls: 0 },
    ]);
  });

  test('is for some addresses, also in a later run', () => {
    const { store } = storeWith();
    const token = store.add('anna', { allowIps: ['192.0.2.0/24'] });
    for (const run of [store, storeWith({ stored: store.stored() }).store]) {
      const caller = run.find(token);
      if (caller === undefined || !('id' in caller)) throw new Error('no caller');
      const addresses = ['192.0.2.9', '203.0.113.9', undefined];
      expect(addresses.map((address) => caller.admitsAddress?.(address))).toEqual([true, false, false]);
    }
  });

  test('is not added with limits that are not valid', () => {
    const { store } = storeWith();
    expect(() => store.add('anna', { expiresInMs: Number.NaN })).toThrow('the limit expiresInMs');
    expect(() => store.add('anna', { denyTools: ['x'.repeat(10_000)] })).toThrow('longer than 8 KiB');
    expect(store.list()).toEqual([]);
  });

  test.each(['', ' a', 'a ', 'a\n', 'x'.repeat(65), '-a', '\u202Ea'])('cannot have the name %j', (name) => {
    expect(() => storeWith().store.add(name)).toThrow(ExposeError);
  });

  test('cannot have the name of a valid one, but that of one that ended', () => {
    const { store } = storeWith();
    store.add('anna');
    expect(() => store.add('anna')).toThrow('there is a token with the name anna already');
    store.revoke('anna');
    expect(store.find(store.add('anna'))).toMatchObject({ id: 'anna#2' });
    expect(store.list()).toHaveLength(1);
  });
});

describe('the end of a token', () => {
  test('revoked: it is refused at once, its sessions end, the others stay', () => {
    const { store, ended } = storeWith();
    const [anna, ben] = [store.add('anna'), store.add('ben')];
    expect(store.revoke('anna')).toBe(true);
    expect(ended).toEqual(['anna#1']);
    expect(store.find(anna)).toEqual(revoked);
    expect(store.find(ben)).toMatchObject({ label: 'ben' });
    expect([store.revoke('anna'), store.revoke('nobody')]).toEqual([false, false]);
  });

  test('rotated: the new one has the same limits, the old one ends', () => {
    const changes: string[] = [];
    const { store, clock, ended } = storeWith({ onChange: (name, change) => changes.push(`${name} ${change}`) });
    const rules = { readOnly: true, allowTools: ['a'], denyTools: ['b'], denyResources: ['c'], allowPrompts: [] };
    const old = store.add('anna', { expiresInMs: 60_000, maxCalls: 5, allowIps: ['192.0.2.0/24'], ...rules });
    clock.advance(30_000);
    const next = store.rotate('anna') ?? '';
    expect(store.find(old)).toEqual(revoked);
    expect(store.find(next)).toMatchObject({ id: 'anna#2', rules });
    expect(ended).toEqual(['anna#1']);
    expect(store.list()).toMatchObject([
      { expiresAt: clock.now() + 60_000, maxCalls: 5, calls: 0, allowIps: ['192.0.2.0/24'], ...rules },
    ]);
    expect(changes).toEqual(['anna added', 'anna rotated', 'anna added']);
    expect(store.rotate('nobody')).toBeUndefined();
  });

  test.each([
    ['revoked', (store: TokenStore) => store.revoke('anna')],
    ['expired', (_store: TokenStore, clock: FakeClock) => clock.advance(60_000)],
  ])('%s: it cannot be rotated', (state, end) => {
    const { store, clock } = storeWith();
    store.add('anna', { expiresInMs: 60_000 });
    end(store, clock);
    expect(store.rotate('anna')).toBeUndefined();
    expect(store.list()).toMatchObject([{ name: 'anna', state }]);
  });

  test('expired: its sessions end without any request', () => {
    const { store, clock, ended } = storeWith();
    const token = store.add('anna', { expiresInMs: 60_000 });
    clock.advance(59_999);
    expect([store.find(token), ended]).toMatchObject([{ label: 'anna' }, []]);
    clock.advance(1);
    expect([store.find(token), ended]).toEqual([expired, ['anna#1']]);
    expect(clock.pending).toBe(0);
  });

  test('expired while the machine slept: the first request is refused', () => {
    const { store, clock } = storeWith();
    const token = store.add('anna', { expiresInMs: 60_000 });
    clock.jump(3_600_000);
    expect(store.find(token)).toEqual(expired);
  });

  test('a clock that is set back lengthens no life', () => {
    const { store, clock } = storeWith();
    const token = store.add('anna', { expiresInMs: 60_000 });
    clock.advance(30_000);
    clock.jump(-3_600_000);
    expect(store.find(token)).toMatchObject({ label: 'anna' });
    clock.jump(30_000);
    expect(store.find(token)).toEqual(expired);
  });

  test('exhausted: no more tool calls, but what the last one needs', () => {
    const { store, ended } = storeWith();
    const token = store.add('anna', { maxCalls: 2, expiresInMs: 60_000 });
    const caller = store.find(token);
    if (caller === undefined || !('id' in caller)) throw new Error('no caller');
    expect([caller.spendCall?.(), caller.spendCall?.(), caller.spendCall?.()]).toEqual([true, true, false]);
    expect(store.list()).toMatchObject([{ state: 'exhausted', calls: 2 }]);
    expect(store.find(token)).toBe(caller);
    expect(ended).toEqual([]);
  });

  test.each([
    ['revoked', (store: TokenStore) => store.revoke('anna')],
    ['rotated', (store: TokenStore) => store.rotate('anna')],
    ['expired', (_store: TokenStore, clock: FakeClock) => clock.advance(60_000)],
  ])('exhausted, and then %s: its sessions end', (_what, end) => {
    const { store, clock, ended } = storeWith();
    const caller = store.find(store.add('anna', { maxCalls: 1, expiresInMs: 60_000 }));
    if (caller !== undefined && 'id' in caller) caller.spendCall?.();
    end(store, clock);
    expect(ended).toEqual(['anna#1']);
  });

  test('added after the clock was set back, it has its whole life', () => {
    const { store, clock } = storeWith();
    clock.jump(-3_600_000);
    const token = store.add('anna', { expiresInMs: 60_000 });
    clock.advance(59_999);
    expect(store.find(token)).toMatchObject({ label: 'anna' });
    clock.advance(1);
    expect(store.find(token)).toEqual(expired);
  });
});

test('a token for one client belongs to the first that claims it', () => {
  const { store, changes } = storeWith();
  const caller = store.find(store.add('anna', { once: true }));
  if (caller === undefined || !('id' in caller)) throw new Error('no caller');
  expect([caller.claim?.('a'), caller.claim?.('b'), caller.claim?.('a')]).toEqual([true, false, true]);
  expect(store.list()).toMatchObject([{ client: 'a' }]);
  expect(changes()).toBe(2);
});

describe('a later run', () => {
  test('accepts the tokens of an earlier one, with what is left of them', () => {
    const { store } = storeWith();
    const [anna, ben, gone] = [store.add('anna', { maxCalls: 2 }), store.add('ben', { once: true }), store.add('gone')];
    const callers = [store.find(anna), store.find(ben)];
    for (const caller of callers)
      if (caller !== undefined && 'id' in caller) void [caller.spendCall?.(), caller.claim?.('a')];
    store.revoke('gone');
    const later = storeWith({ stored: store.stored() }).store;
    expect(later.list()).toEqual(store.list());
    expect(later.find(anna)).toMatchObject({ label: 'anna' });
    expect(later.find(gone)).toEqual(revoked);
    const again = later.find(ben);
    expect(again !== undefined && 'id' in again && again.claim?.('b')).toBe(false);
  });

  test('does not accept what expired in between', () => {
    const { store, clock } = storeWith();
    const token = store.add('anna', { expiresInMs: 60_000 });
    clock.jump(60_000);
    expect(storeWith({ stored: store.stored(), clock }).store.find(token)).toEqual(expired);
  });
});

test('a thousand tokens can be valid at the same time, and rotated', () => {
  const { store } = storeWith();
  for (let count = 0; count < 1000; count++) store.add(`t${count}`);
  expect(() => store.add('another')).toThrow('there are 1000 valid tokens already');
  expect(store.find(store.rotate('t0') ?? '')).toMatchObject({ label: 't0' });
  store.revoke('t1');
  expect(store.find(store.add('another'))).toMatchObject({ label: 'another' });
  expect(store.stored()).toHaveLength(1000);
});

test('10,000 tokens that come and go are not kept', () => {
  const { store } = storeWith();
  const first = store.add('first');
  for (let count = 0; count < 10_000; count++) {
    store.add('other');
    store.revoke('other');
  }
  expect(store.stored().length).toBeLessThanOrEqual(1000);
  expect(store.find(first)).toMatchObject({ label: 'first' });
});
