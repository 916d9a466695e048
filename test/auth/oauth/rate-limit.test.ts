import { expect, test } from 'vitest';
import { createRateLimit } from '../../../src/auth/oauth/rate-limit.ts';
import { createFakeClock } from '../../harness/fake-clock.ts';

test('a number for each network and hour', () => {
  const clock = createFakeClock();
  const limit = createRateLimit(2, clock);
  expect([1, 2, 3].map(() => limit.take('192.0.2.1'))).toEqual([0, 0, 1800]);
  expect(limit.take('192.0.2.2')).toBe(0);
  clock.advance(1_800_000);
  expect([1, 2].map(() => limit.take('192.0.2.1'))).toEqual([0, 1800]);
});

test('what is given back can be taken again, and no more', () => {
  const limit = createRateLimit(1, createFakeClock());
  for (const address of ['192.0.2.1', undefined]) {
    const most = address === undefined ? 5 : 1;
    limit.giveBack(address);
    expect(Array.from({ length: most + 1 }, () => limit.take(address) > 0).indexOf(true)).toBe(most);
    limit.giveBack(address);
    expect(limit.take(address)).toBe(0);
    expect(limit.take(address)).toBeGreaterThan(0);
  }
});

test('the addresses of an IPv6 /64 share theirs, an IPv4-mapped one is IPv4', () => {
  const limit = createRateLimit(1, createFakeClock());
  expect(limit.take('2001:db8::1')).toBe(0);
  expect(limit.take('2001:db8::ffff:2')).toBe(3600);
  expect(limit.take('2001:db8:0:1::1')).toBe(0);
  expect(limit.take('192.0.2.1')).toBe(0);
  expect(limit.take('::ffff:192.0.2.1')).toBe(3600);
});

test('clients without an address share one that is larger', () => {
  const limit = createRateLimit(2, createFakeClock());
  const refused = Array.from({ length: 12 }, () => limit.take(undefined)).filter((seconds) => seconds > 0);
  expect(refused).toEqual([360, 360]);
});

test('of 10,000 networks, the last 1,000 are remembered', () => {
  const limit = createRateLimit(1, createFakeClock());
  const addresses = Array.from({ length: 10_000 }, (_each, at) => `10.0.${at >> 8}.${at & 255}`);
  for (const address of addresses) expect(limit.take(address)).toBe(0);
  expect(addresses.slice(-1000).every((address) => limit.take(address) > 0)).toBe(true);
  expect(limit.take(addresses[0])).toBe(0);
});
