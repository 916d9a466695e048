import { beforeEach, describe, expect, test } from 'vitest';
import { Alerts, usualRequestsPerMinute, type Alert } from '../../src/expose/alerts.ts';
import type { RequestReport } from '../../src/http/responses/call-report.ts';
import { createFakeClock, type FakeClock } from '../harness/fake-clock.ts';

let clock: FakeClock;
let alerts: Alerts;
let found: Alert[];

function start(hasCredentials = true): void {
  clock = createFakeClock();
  found = [];
  alerts = new Alerts({ hasCredentials, ownCaller: 'mcp-expose', onAlert: (alert) => found.push(alert), clock });
}

beforeEach(() => start());

const report = (more: Partial<RequestReport>): RequestReport => ({
  method: 'initialize',
  caller: 'anna',
  client: undefined,
  outcome: 'ok',
  durationMs: 1,
  requestBytes: 1,
  responseBytes: 1,
  ...more,
});

const connect = (client: string | undefined, name = 'app', caller = 'anna'): void =>
  alerts.ended(report({ client, caller, clientInfo: { name, version: '1' } }));

const refuse = (caller: string, reason = 'not_allowed'): void =>
  alerts.ended(report({ method: 'tools/call', tool: 'write', caller, outcome: 'denied', reason }));

describe('an address', () => {
  test('is reported when a token is used from it for the first time, but not the first one', () => {
    connect('198.51.100.7');
    connect('198.51.100.7');
    expect(found).toEqual([]);
    connect('203.0.113.9');
    connect('203.0.113.9');
    connect('198.51.100.7');
    expect(found).toEqual([{ kind: 'new_address', caller: 'anna', client: '203.0.113.9' }]);
  });

  test('of another token is not one of this token', () => {
    connect('198.51.100.7');
    connect('203.0.113.9', 'app', 'ben');
    expect(found).toEqual([]);
    connect('203.0.113.9');
    expect(found).toHaveLength(1);
  });

  test('in the same IPv6 /64, or in the range of a hosted client, is not new', () => {
    connect('2001:db8::1');
    connect('2001:db8::2:3');
    expect(found).toEqual([]);
    connect('160.79.104.10');
    connect('160.79.105.1');
    expect(found).toEqual([{ kind: 'new_address', caller: 'anna', client: '160.79.104.10' }]);
  });

  test('that is not known is never reported', () => {
    connect(undefined);
    connect('198.51.100.7');
    connect(undefined);
    expect(found).toEqual([]);
  });

  test('is reported when a session is opened, by others than mcp-expose itself', () => {
    connect('198.51.100.7');
    alerts.ended(report({ method: 'tools/call', client: '203.0.113.9', session: '5f2a9c01' }));
    for (const address of ['198.51.100.7', '203.0.113.9']) connect(address, address, 'mcp-expose');
    expect(found).toEqual([]);
  });
});

test('a modern client, which opens no session, is new with any request', () => {
  connect('198.51.100.7', 'one');
  const call = { method: 'tools/call', clientInfo: { name: 'two', version: '1' } } as const;
  alerts.ended(report({ ...call, client: '203.0.113.9' }));
  alerts.ended(report({ method: 'tools/list', client: '203.0.113.9' }));
  expect(found.map(({ kind }) => kind)).toEqual(['new_address', 'new_client']);
});

test('a client is reported by its name, and not for another version', () => {
  connect(undefined, 'one');
  alerts.ended(report({ clientInfo: { name: 'one', version: '2' } }));
  expect(found).toEqual([]);
  connect(undefined, 'two');
  expect(found).toEqual([{ kind: 'new_client', caller: 'anna', clientInfo: { name: 'two', version: '1' } }]);
});

test('a client whose session was refused, such as the second one of --once, is not reported', () => {
  connect('198.51.100.7', 'one');
  const refused = { outcome: 'denied', reason: 'token_already_used', client: '203.0.113.9' } as const;
  alerts.ended(report({ ...refused, clientInfo: { name: 'two', version: '1' } }));
  expect(found).toEqual([]);
});

test('without credentials, nobody is new', () => {
  start(false);
  for (const at of [1, 2]) connect(`198.51.100.${at}`, `app ${at}`, 'anonymous');
  expect(found).toEqual([]);
});

test('each kind comes at most once a minute for each caller, also if the clock is set back', () => {
  for (const caller of ['anna', 'ben']) {
    for (const at of [1, 2, 3]) connect(`198.51.100.${at}`, `app ${at}`, caller);
  }
  const all = [
    ['new_address', 'anna'],
    ['new_client', 'anna'],
    ['new_address', 'ben'],
    ['new_client', 'ben'],
  ];
  expect(found.map((alert) => [alert.kind, 'caller' in alert && alert.caller])).toEqual(all);
  clock.advance(59_999);
  connect('198.51.100.4');
  expect(found).toHaveLength(4);
  clock.advance(1);
  connect('198.51.100.5');
  expect(found[4]).toMatchObject({ kind: 'new_address', client: '198.51.100.5' });
  clock.jump(-3_600_000);
  connect('198.51.100.6');
  expect(found).toHaveLength(6);
});

const request = (times: number): void => {
  for (let count = 0; count < times; count++) alerts.began('anna');
};

test('many requests are reported, and again when there are twice as many', () => {
  request(usualRequestsPerMinute);
  clock.advance(60_000);
  request(usualRequestsPerMinute);
  // Others have their own count.
  for (let count = 0; count < usualRequestsPerMinute; count++) alerts.began('ben');
  expect(found).toEqual([]);
  request(1);
  expect(found).toEqual([{ kind: 'burst', caller: 'anna', count: usualRequestsPerMinute }]);
  request(2 * usualRequestsPerMinute);
  expect(found).toHaveLength(1);
  clock.advance(60_000);
  request(2 * usualRequestsPerMinute);
  expect(found).toHaveLength(1);
  request(1);
  expect(found[1]).toEqual({ kind: 'burst', caller: 'anna', count: 2 * usualRequestsPerMinute });
});

test('requests beyond the rate limit are reported, of a caller or of an address', () => {
  const denial = { status: 429, reason: 'too many requests', data: { reason: 'too_many_requests' } };
  alerts.denied({ ...denial, caller: 'anna' }, '198.51.100.7');
  alerts.denied({ ...denial, caller: 'anna' }, '198.51.100.7');
  alerts.denied(denial, '198.51.100.8');
  alerts.denied({ status: 401, reason: 'not valid' }, '198.51.100.9');
  alerts.denied({ status: 429, reason: 'too many wrong tokens', data: { reason: 'too_many_wrong_tokens' } }, undefined);
  expect(found).toEqual([
    { kind: 'rate_limited', caller: 'anna', client: '198.51.100.7' },
    { kind: 'rate_limited', caller: undefined, client: '198.51.100.8' },
  ]);
});

test('five calls that rules refuse within a minute are reported; the end of a token and the owner himself do not count', () => {
  for (let count = 0; count < 4; count++) refuse('anna');
  for (const reason of ['token_exhausted', 'not_approved', 'approval_timed_out', 'too_many_approvals']) {
    for (let count = 0; count < 5; count++) refuse('anna', reason);
  }
  clock.advance(60_000);
  for (let count = 0; count < 4; count++) refuse('anna');
  expect(found).toEqual([]);
  refuse('anna', 'not_read_only');
  const last = { caller: 'anna', tool: 'write', resource: undefined, prompt: undefined, reason: 'not_read_only' };
  expect(found).toEqual([{ kind: 'refusals', count: 5, ...last }]);
});

test('without credentials, refusals have no caller whose token could be revoked', () => {
  start(false);
  for (let count = 0; count < 5; count++) refuse('anonymous');
  expect(found).toMatchObject([{ kind: 'refusals', caller: undefined, count: 5, reason: 'not_allowed' }]);
});

test('guessing and changes of tools are passed on, the latter once a minute for each server', () => {
  const change = { added: ['a'], removed: [], changed: [] };
  alerts.guessing({ network: '198.51.100.7', count: 11 });
  for (const server of ['files', 'files', 'git', undefined]) alerts.toolsChanged(change, server);
  expect(found).toEqual([
    { kind: 'guessing', network: '198.51.100.7', count: 11 },
    ...['files', 'git', undefined].map((server) => ({ kind: 'tools_changed', server, ...change })),
  ]);
});

test('the tables are bounded: who is forgotten is new again', () => {
  connect('203.0.113.1', 'first');
  for (let at = 0; at < 1000; at++) connect('198.51.100.7', 'app', `caller ${at}`);
  connect('203.0.113.2', 'second');
  expect(found).toEqual([]);
  for (let at = 0; at < 100; at++) connect(`10.0.0.${at}`);
  clock.advance(60_000);
  found = [];
  connect('203.0.113.2');
  expect(found).toMatchObject([{ kind: 'new_address', client: '203.0.113.2' }]);
});
