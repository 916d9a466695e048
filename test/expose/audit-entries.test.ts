import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { auditFilter, AuditSums, readAudit, type AuditEntry, type AuditLine } from '../../src/expose/audit-entries.ts';
import { temporaryDirectory } from '../harness/program.ts';

const now = Date.parse('2026-11-29T12:00:00Z');

const call = (
  caller: string,
  tool: string | undefined,
  outcome: string,
  time = '2026-11-29T11:00:00Z',
): AuditEntry => ({
  time,
  event: 'call',
  caller,
  method: 'tools/call',
  tool,
  outcome,
});

async function read(text: string): Promise<AuditLine[]> {
  const file = path.join(temporaryDirectory('test'), 'audit.jsonl');
  writeFileSync(file, text);
  const lines: AuditLine[] = [];
  for await (const line of readAudit(file)) lines.push(line);
  return lines;
}

test('a line that is not an entry is damaged, and those around it are read', async () => {
  const good = JSON.stringify(call('anna', 'read', 'ok'));
  const damaged = [
    good.slice(0, 20),
    '[]',
    'null',
    '{"event":"call"}',
    '{"time":1,"event":"call"}',
    '{"time":"soon","event":"call"}',
    '{"time":"2026-11-29T11:00:00Z","event":7}',
  ];
  const lines = await read([good, ...damaged, '', good].join('\n'));
  expect(lines.map(({ entry }) => entry !== undefined)).toEqual([true, ...damaged.map(() => false), true]);
  expect(lines[0]?.text).toBe(good);
});

test('a file that is not there is an error', async () => {
  await expect(readAudit('/no/such/file').next()).rejects.toMatchObject({ code: 'usage' });
});

test('filters select by caller, tool, outcome and age, and all of them count', () => {
  const entries = [
    call('anna', 'read_file', 'ok'),
    call('anna', 'write_file', 'denied'),
    call('ben', 'read_file', 'tool_error', '2026-11-28T11:00:00Z'),
    call('ben', undefined, 'ok'),
  ];
  const chosen = (...filter: Parameters<typeof auditFilter>): number[] =>
    [...entries.keys()].filter((at) => auditFilter(...filter)(entries[at] ?? {}));
  expect(chosen({}, now)).toEqual([0, 1, 2, 3]);
  expect(chosen({ caller: 'ben' }, now)).toEqual([2, 3]);
  expect(chosen({ tool: 'read_*' }, now)).toEqual([0, 2]);
  expect(chosen({ outcome: 'denied' }, now)).toEqual([1]);
  expect(chosen({ since: 2 * 3_600_000 }, now)).toEqual([0, 1, 3]);
  expect(chosen({ caller: 'ben', tool: '*', since: 2 * 3_600_000 }, now)).toEqual([]);
});

test('sums are by caller and tool, also for names that objects have', () => {
  const sums = new AuditSums();
  for (const outcome of ['ok', 'input_required', 'error', 'tool_error', 'denied', 'cancelled'])
    sums.add(call('anna', '__proto__', outcome));
  sums.add(call('anna', undefined, 'ok'));
  sums.add({ time: '', event: 'admission', outcome: 'denied', reason: 'token_unknown' });
  sums.add({ time: '', event: 'session', caller: 'anna' });
  expect(sums.list()).toEqual([
    { caller: '', name: 'token_unknown', calls: 1, errors: 0, denied: 1 },
    { caller: 'anna', name: '__proto__', calls: 6, errors: 2, denied: 1 },
    { caller: 'anna', name: 'tools/call', calls: 1, errors: 0, denied: 0 },
  ]);
});
