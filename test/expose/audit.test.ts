import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { OAuthEvent } from '../../src/auth/oauth/events.ts';
import { openAudit, type Audit } from '../../src/expose/audit.ts';
import { parseJson } from '../harness/parse-json.ts';
import { temporaryDirectory } from '../harness/program.ts';

type Line = Record<string, unknown>;

async function linesOf(act: (audit: Audit) => void): Promise<Line[]> {
  const file = path.join(temporaryDirectory('test'), 'audit.jsonl');
  const audit = await openAudit(file, () => {});
  act(audit);
  await audit.close();
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return lines.map((line) => {
    const { time: _time, ...rest } = parseJson<Line>(line);
    return rest;
  });
}

const request = {
  clientName: 'Claude',
  publisher: 'claude.ai',
  redirectHost: 'claude.ai',
  scope: 'mcp',
  resource: 'https://a.example/mcp',
  address: '203.0.113.9',
} as const;

test('OAuth events have no code, and only decisions have a line', async () => {
  const events: OAuthEvent[] = [
    { kind: 'pairing_code_changed', code: '1ERZ-6JH6', reason: 'used' },
    { kind: 'access_requested', request },
    { kind: 'access_approved', request, clientName: 'Claude 2', grantId: 'secret-grant' },
    { kind: 'access_refused', request, reason: 'wrong_codes' },
    { kind: 'token_issued', clientName: 'Claude', grantId: 'secret-grant', scope: 'mcp', isRenewed: false },
    { kind: 'grant_revoked', clientName: 'Claude', grantId: 'secret-grant', reason: 'revoked_by_owner' },
    { kind: 'guessing_locked', until: 1 },
  ];
  const lines = await linesOf((audit) => {
    for (const event of events) audit.event({ type: 'oauth', event, pairingCode: '1ERZ-6JH6' });
  });
  const who = {
    caller: 'Claude',
    publisher: 'claude.ai',
    redirectHost: 'claude.ai',
    scope: 'mcp',
    client: '203.0.113.9',
  };
  expect(lines).toEqual([
    { event: 'oauth', change: 'requested', ...who },
    { event: 'oauth', change: 'approved', ...who, caller: 'Claude 2' },
    { event: 'oauth', change: 'refused', reason: 'wrong_codes', ...who },
    { event: 'oauth', change: 'revoked', reason: 'revoked_by_owner', caller: 'Claude' },
    { event: 'oauth', change: 'locked', reason: 'wrong_codes' },
  ]);
});

test('changes of tokens and alerts have a line, and other events none', async () => {
  const lines = await linesOf((audit) => {
    audit.event({ type: 'warning', message: 'none' });
    audit.event({ type: 'token', name: 'anna', change: 'expired' });
    audit.event({ type: 'alert', alert: { kind: 'new_address', caller: 'anna', client: '198.51.100.7' } });
  });
  expect(lines).toEqual([
    { event: 'token', change: 'expired', caller: 'anna' },
    { event: 'alert', kind: 'new_address', caller: 'anna', client: '198.51.100.7' },
  ]);
});

test('a refusal has its reason for programs, and not the header that caused it', async () => {
  const lines = await linesOf((audit) => {
    audit.denied(
      { status: 403, reason: 'host "secret" …', data: { reason: 'host_not_allowed', host: 'secret' } },
      '::1',
    );
    audit.denied({ status: 400, reason: 'more than one …', challenge: 'Bearer error="invalid_request"' }, undefined);
    audit.denied({ status: 401, reason: 'needs a token', challenge: 'Bearer realm="x"' }, undefined);
    audit.denied({ status: 401, reason: 'not valid', challenge: 'Bearer error="invalid_token"' }, undefined);
  });
  const denied = { event: 'admission', outcome: 'denied' };
  expect(lines).toEqual([
    { ...denied, reason: 'host_not_allowed', client: '::1' },
    { ...denied, reason: 'credential_malformed' },
    { ...denied, reason: 'token_missing' },
    { ...denied, reason: 'token_unknown' },
  ]);
});

test('a flood of refusals does not fill the disk', async () => {
  const lines = await linesOf((audit) => {
    for (let count = 0; count < 10_000; count++) audit.denied({ status: 401, reason: 'not valid' }, '192.0.2.1');
  });
  const refusals = lines.filter(({ event }) => event === 'admission').length;
  expect(refusals).toBeLessThan(200);
  expect(lines.at(-1)).toEqual({ event: 'dropped', count: 10_000 - refusals });
});
