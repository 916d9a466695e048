import { expect, test } from 'vitest';
import { approvalQuestion, approvalWords } from '../../src/cli/approval-words.ts';
import type { ApprovalCall, ApprovalReport } from '../../src/expose/options.ts';

function given(value: object): Pick<ApprovalCall, 'arguments' | 'argumentsJson'> {
  return { arguments: value, argumentsJson: JSON.stringify(value) };
}

const call: ApprovalCall = {
  caller: 'anna',
  client: '203.0.113.9',
  clientInfo: { name: 'claude-code', version: '2.1.0' },
  tool: 'write_file',
  ...given({ path: '/a', content: 'x' }),
};

test('the question says who calls what with which arguments', () => {
  expect(approvalQuestion({ ...call, server: 'files' })).toEqual([
    'anna (claude-code 2.1.0, from 203.0.113.9) wants to call write_file at files:',
    '  {"path":"/a","content":"x"}',
    'Allow it? [y/N] ',
  ]);
  expect(
    approvalQuestion({
      ...call,
      client: undefined,
      clientInfo: { name: '', version: '' },
      arguments: undefined,
      argumentsJson: undefined,
    }).slice(0, 2),
  ).toEqual(['anna wants to call write_file:', '  no arguments']);
});

test('names that could be taken for something else are quoted, and long ones cut', () => {
  const [line] = approvalQuestion({
    ...call,
    caller: 'anna) wants to call "ls":\n  {}',
    clientInfo: { name: 'n'.repeat(200), version: '' },
    tool: '\u202Erm\u001B[2K',
  });
  expect(line).toBe(
    String.raw`"anna) wants to call 'ls':\n  {}" (` +
      `"${'n'.repeat(80)}…", from 203.0.113.9) wants to call ` +
      String.raw`"\u202erm\u001b[2K":`,
  );
});

test('of long arguments, both ends are shown, and how much is not', () => {
  const [, line = ''] = approvalQuestion({ ...call, ...given({ a: 'x'.repeat(10_000), b: 'rm -rf' }) });
  expect(line).toMatch(/^ {2}\{"a":"x{1494} … 8021 more characters … x{485}","b":"rm -rf"\}$/);
});

test('what a terminal would hide is an escape', () => {
  const hidden =
    '\u0007\u0085\u00AD\u200B\u202E\u2028\u2066\uFEFF\u{E0061}\uD800' +
    '\u3164\u115F\u2800\u034F\uFE0F\u{E0100}\u00A0\u3000';
  const [, line = ''] = approvalQuestion({ ...call, ...given({ hidden }) });
  expect(line).toMatch(/^[\u0020-\u007E]+$/);
  expect(JSON.parse(line.trim())).toEqual({ hidden });
});

test('of many blanks the number is shown, so that they push nothing out of sight', () => {
  const [, line = ''] = approvalQuestion({ ...call, ...given({ a: `8${' '.repeat(8)}`, b: `${' '.repeat(300)}rm` }) });
  expect(line).toBe(`  {"a":"8${' '.repeat(8)}","b":"[300 blanks]rm"}`);
});

test('what became of a call', () => {
  const { arguments: _arguments, argumentsJson: _json, ...about } = call;
  const words = (report: Pick<ApprovalReport, 'outcome' | 'reason'>): string =>
    approvalWords({ ...about, ...report, waitedMs: 1 });
  expect(words({ outcome: 'approved' })).toBe('approved: write_file, called by anna');
  expect(words({ outcome: 'cancelled' })).toBe('no longer waiting: write_file, called by anna');
  expect(words({ outcome: 'denied', reason: 'not_approved' })).toBe('refused: write_file, called by anna');
  expect(words({ outcome: 'denied', reason: 'approval_timed_out' })).toBe(
    'refused: write_file, called by anna (nobody answered in time)',
  );
});
