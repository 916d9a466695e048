import { describe, expect, test } from 'vitest';
import { alertWords } from '../../src/cli/alert-words.ts';
import type { Alert } from '../../src/expose/options.ts';
import { showEvent } from '../../src/cli/expose-command.ts';
import { createTerminal } from './terminal.ts';

const clientInfo = (name: string): { name: string; version: string } => ({ name, version: '1' });
const none = { added: [], removed: [], changed: [] };
const refusals = { kind: 'refusals', caller: 'anna', count: 5, reason: 'not_allowed' } as const;

test.each<[Alert, string]>([
  [
    { kind: 'guessing', network: '198.51.100.7', count: 11 },
    'wrong tokens from 198.51.100.7: 11 in a minute; right ones still work',
  ],
  [
    { kind: 'guessing', network: undefined, count: 11 },
    'wrong tokens from unknown addresses: 11 in a minute; right ones still work',
  ],
  [
    { kind: 'new_address', caller: 'anna', client: '198.51.100.7' },
    'anna was used from a new address, 198.51.100.7; if you do not expect that: mcp-expose token revoke anna',
  ],
  [
    { kind: 'new_client', caller: 'Claude Code', clientInfo: clientInfo('evil') },
    `"Claude Code" was used by a new client, "evil"; if you do not expect that: mcp-expose token revoke 'Claude Code'`,
  ],
  [
    { kind: 'burst', caller: 'anna', count: 300 },
    'anna made more than 300 requests within a minute; --rate-limit limits them',
  ],
  [{ kind: 'rate_limited', caller: 'anna', client: '::1' }, 'anna makes more requests than --rate-limit allows'],
  [{ kind: 'rate_limited', caller: undefined, client: '::1' }, '::1 makes more requests than --rate-limit allows'],
  [
    { kind: 'rate_limited', caller: undefined, client: undefined },
    'a client makes more requests than --rate-limit allows',
  ],
  [
    { ...refusals, tool: 'write' },
    'anna was refused 5 calls within a minute, the last of "write" (not_allowed); if you do not expect that: mcp-expose token revoke anna',
  ],
  [
    { ...refusals, caller: undefined, tool: 'write' },
    'rules refused 5 calls within a minute, the last of "write" (not_allowed)',
  ],
  [
    { kind: 'tools_changed', server: undefined, ...none, added: ['a', 'b'], changed: ['c'] },
    'the tools of the server changed during a session: added "a", "b"; changed "c"; check that the rules still fit',
  ],
  [
    { kind: 'tools_changed', server: 'git', ...none, removed: ['1', '2', '3', '4', '5', '6'] },
    'the tools of git changed during a session: removed "1", "2", "3", "4", "5" …; check that the rules still fit',
  ],
])('%j', (alert, words) => {
  expect(alertWords(alert)).toBe(words);
});

test('an alert is a line on the screen, which --quiet leaves out, and an event', () => {
  const alert: Alert = { kind: 'burst', caller: 'anna', count: 300 };
  const [plain, quiet] = [createTerminal({ json: true, color: false }), createTerminal({ json: true, quiet: true })];
  for (const { output } of [plain, quiet]) {
    output.event({ event: 'ready' });
    showEvent(output, { type: 'alert', alert });
  }
  const event = '{"event":"ready"}\n{"event":"alert","kind":"burst","caller":"anna","count":300}\n';
  expect([plain.stdout(), quiet.stdout()]).toEqual([event, event]);
  expect(plain.stderr()).toBe(
    'mcp-expose: alert: anna made more than 300 requests within a minute; --rate-limit limits them\n',
  );
  expect(quiet.stderr()).toBe('');
});

describe('names that others have chosen', () => {
  const hostile = `\u001B[2J"; rm -rf ~ #\n\u202E$(reboot)${'x'.repeat(500)}`;

  test.each<Alert>([
    { kind: 'new_client', caller: hostile, clientInfo: clientInfo(hostile) },
    { kind: 'new_address', caller: hostile, client: '::1' },
    { ...refusals, caller: hostile, tool: hostile },
    { kind: 'tools_changed', server: undefined, ...none, changed: [hostile] },
  ])('control neither the terminal nor the shell: %#', (alert) => {
    const words = alertWords(alert);
    expect(words).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(words).toMatch(/(?:: mcp-expose token revoke '[^']*'|check that the rules still fit)$/);
  });
});
