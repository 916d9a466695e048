import { describe, expect, test } from 'vitest';
import { clientAddress } from '../../src/auth/client-address.ts';

const forwarded = 'x-forwarded-for';

/** A request over a connection from 127.0.0.1, as from a tunnel's program. */
function through(
  values: readonly string[],
  hopHeader: string | null | undefined,
  peerAddress = '127.0.0.1',
): string | undefined {
  const valuesOf = (name: string): readonly string[] => (name === forwarded ? values : []);
  return clientAddress({ peerAddress, valuesOf }, hopHeader);
}

describe('where clients connect themselves', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8::7', '2001:db8::7'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['not an address', undefined],
  ])('the connection tells: %s', (peer, address) => {
    expect(through([], undefined, peer)).toBe(address);
  });

  test('and no header does', () => {
    expect(through(['198.51.100.1'], undefined)).toBe('127.0.0.1');
    expect(clientAddress({ peerAddress: undefined, valuesOf: () => ['198.51.100.1'] }, undefined)).toBeUndefined();
  });
});

describe('behind a hop', () => {
  test.each<[string[], string | undefined]>([
    [['198.51.100.1'], '198.51.100.1'],
    [['203.0.113.66, 198.51.100.1'], '198.51.100.1'],
    [['203.0.113.66', '203.0.113.67, 198.51.100.1'], '198.51.100.1'],
    [['203.0.113.66,198.51.100.1 '], '198.51.100.1'],
    [['198.51.100.1:51234'], '198.51.100.1'],
    [['[2001:db8::7]:443'], '2001:db8::7'],
    [['[2001:db8::7]'], '2001:db8::7'],
    [['2001:db8::7'], '2001:db8::7'],
    [['::ffff:198.51.100.1'], '198.51.100.1'],
    [['198.51.100.1, unknown'], undefined],
    [['198.51.100.1,'], undefined],
    [[''], undefined],
    [['198.51.100.1:x'], undefined],
    [[], undefined],
  ])('what it has written last tells, and nothing before: %j', (values, address) => {
    expect(through(values, forwarded)).toBe(address);
  });

  test('the header is its own, and its connection tells nothing', () => {
    expect(through(['198.51.100.1'], 'cf-connecting-ip')).toBeUndefined();
  });
});

test('a hop that says nothing of its clients is no client itself', () => {
  expect(clientAddress({ peerAddress: '127.0.0.1', valuesOf: () => ['203.0.113.9'] }, null)).toBeUndefined();
});
