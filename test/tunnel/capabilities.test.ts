import { expect, test } from 'vitest';
import { capabilities, limitsOf, maxSilenceMs, trustNotice, type Capabilities } from '../../src/tunnel/capabilities.ts';
import { tunnelKinds } from '../../src/tunnel/kinds.ts';

const rows: readonly Capabilities[] = Object.values(capabilities);
const mebibyte = 1024 * 1024;

test('there is a row for each kind of tunnel, and for nothing else', () => {
  expect([...new Set(rows.map(({ name }) => name))].toSorted()).toEqual([...tunnelKinds].toSorted());
});

test('rows with one name say which of them they are', () => {
  const named = rows.map(({ name, variant }) => `${name} ${variant ?? ''}`);
  expect(new Set(named).size).toBe(rows.length);
});

test('a header that is compared is in lower case', () => {
  const headers = rows.map(({ clientAddressHeader }) => clientAddressHeader ?? '');
  expect(headers).toEqual(headers.map((header) => header.toLowerCase()));
});

test('known traps: quick tunnels of Cloudflare hold GET streams back, Tailscale cannot read what it carries', () => {
  expect(capabilities.cloudflared).toMatchObject({ getStreams: false, postStreams: true, urlStable: false });
  expect(capabilities.cloudflaredNamed).toMatchObject({ getStreams: true, account: 'needed' });
  expect(capabilities.tailscale.readsTraffic).toBe(false);
  expect(capabilities.pinggy.expiresAfterMs).toBe(3_600_000);
});

test('the looks of a month leave ngrok’s free plan more than half of its 20,000 requests', () => {
  const { probeEveryMs = 0 } = capabilities.ngrok;
  const monthMs = 31 * 24 * 3_600_000;
  expect((2 * monthMs) / probeEveryMs).toBeLessThan(10_000);
  expect(rows.filter((row) => row.probeEveryMs !== undefined)).toEqual([capabilities.ngrok]);
});

test.each<[Partial<Capabilities>, number]>([
  [{}, 15_000],
  [{ maxIdleMs: 100_000 }, 15_000],
  [{ maxIdleMs: 20_000 }, 10_000],
  [{ maxIdleMs: 5000 }, 2500],
])('%j: silence lasts %d ms at most', (way, silenceMs) => {
  expect(maxSilenceMs(way)).toBe(silenceMs);
});

const way = { ...capabilities.relay, name: 'x', maxConcurrent: 1000 };

test.each<[string, Partial<Capabilities>, string[]]>([
  ['enough', {}, []],
  ['no streams', { postStreams: false }, ['x holds event streams back until they end: progress comes late']],
  ['small requests', { maxBodyBytes: 4 * mebibyte - 1 }, ['x takes no request of more than 3 MiB']],
  ['requests as large as we take', { maxBodyBytes: 4 * mebibyte }, []],
  ['few requests', { maxConcurrent: 10 }, ['x has room for 10 requests at a time, open streams among them']],
  ['requests enough', { maxConcurrent: 32 }, []],
])('what is less than one may count on: %s', (_what, more, limits) => {
  expect(limitsOf({ ...way, ...more }, 4 * mebibyte)).toEqual(limits);
});

test('who can read the traffic', () => {
  expect(trustNotice({ operator: 'Somebody', readsTraffic: true })).toBe(
    'Somebody can read the traffic, including the token',
  );
  expect(trustNotice({ operator: 'Somebody', readsTraffic: false })).toBe(
    'Somebody carries the traffic and cannot read it: it is encrypted as far as this machine',
  );
});
