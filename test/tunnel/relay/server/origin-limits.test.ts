import { expect, test } from 'vitest';
import { clientAddress, clientNetwork } from '../../../../src/tunnel/relay/server/origin-limits.ts';

test.each([
  ['192.0.2.1', undefined, '192.0.2.1'],
  ['::ffff:192.0.2.1', undefined, '192.0.2.1'],
  // Anybody but a proxy on this machine can say what they like.
  ['192.0.2.1', '6.6.6.6', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', undefined, '2001:db8:1:2::/64'],
  ['2001:db8:1:2::6', undefined, '2001:db8:1:2::/64'],
  ['2001:0db8::1', undefined, '2001:db8:0:0::/64'],
  ['127.0.0.1', '6.6.6.6, 192.0.2.1', '192.0.2.1'],
  ['127.0.0.1', ['6.6.6.6', '192.0.2.1'], '192.0.2.1'],
  ['::1', '2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['127.0.0.1', 'unknown', '127.0.0.1'],
  ['127.0.0.1', undefined, '127.0.0.1'],
])('%s forwarded for %j counts as %s', (peer, forwardedFor, origin) => {
  expect(clientNetwork(peer, forwardedFor)).toBe(origin);
});

test.each([
  ['127.0.0.1', undefined, ''],
  ['127.0.0.1', 'unknown', ''],
  ['::1', '192.0.2.1', '192.0.2.1'],
  ['10.1.2.3', '192.0.2.1', '192.0.2.1'],
  ['::ffff:172.31.0.1', '192.0.2.1', '192.0.2.1'],
  ['192.168.1.1', undefined, ''],
  ['fd00::1', '2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['172.32.0.1', '6.6.6.6', '172.32.0.1'],
  ['192.0.2.1', '6.6.6.6', '192.0.2.1'],
])('behind a proxy, %s forwarded for %j counts as %j', (peer, forwardedFor, origin) => {
  expect(clientNetwork(peer, forwardedFor, true)).toBe(origin);
});

test.each([
  // Without a proxy, the connection counts, whatever is on this machine.
  ['127.0.0.1', '192.0.2.1', false, '127.0.0.1'],
  ['10.1.2.3', '192.0.2.1', false, '10.1.2.3'],
  ['::ffff:192.0.2.1', '6.6.6.6', false, '192.0.2.1'],
  ['2001:db8::7', undefined, false, '2001:db8::7'],
  ['127.0.0.1', '6.6.6.6, 192.0.2.1', true, '192.0.2.1'],
  ['::ffff:172.31.0.1', ['6.6.6.6', '2001:db8::7'], true, '2001:db8::7'],
  ['127.0.0.1', undefined, true, undefined],
  ['127.0.0.1', '192.0.2.1, unknown', true, undefined],
  ['203.0.113.9', '6.6.6.6', true, '203.0.113.9'],
])('to the agent, %s forwarded for %j (proxy: %s) is %s', (peer, forwardedFor, hasProxy, address) => {
  expect(clientAddress(peer, forwardedFor, hasProxy)).toBe(address);
});
