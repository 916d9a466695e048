import type { ApprovalCall, ApprovalReport } from '../expose/options.ts';
import { named, visible } from './quoted.ts';

/** Longest arguments that are shown, in characters. Of longer ones, both ends are. */
const maxArgumentsLength = 2000;
const tailLength = 500;

/** The question about a call, line by line. */
export function approvalQuestion(call: ApprovalCall): readonly string[] {
  const given = call.argumentsJson === undefined ? 'no arguments' : shownArguments(call.argumentsJson);
  return [`${callerOf(call)} wants to call ${toolOf(call)}:`, `  ${given}`, 'Allow it? [y/N] '];
}

/** What became of a call. */
export function approvalWords(report: ApprovalReport): string {
  const call = `${toolOf(report)}, called by ${named(report.caller)}`;
  if (report.outcome === 'approved') return `approved: ${call}`;
  if (report.outcome === 'cancelled') return `no longer waiting: ${call}`;
  const why = reasons.get(report.reason ?? '') ?? report.reason;
  return `refused: ${call}${why === '' ? '' : ` (${why})`}`;
}

const reasons: ReadonlyMap<string, string> = new Map([
  ['not_approved', ''],
  ['approval_timed_out', 'nobody answered in time'],
  ['approval_failed', 'it could not be decided'],
  ['approval_ended', 'mcp-expose is shutting down'],
]);

function callerOf({ caller, client, clientInfo: { name, version } }: ApprovalReport | ApprovalCall): string {
  const program = [name, version].filter((text) => text !== '').map(named);
  const details = [
    ...(program.length === 0 ? [] : [program.join(' ')]),
    ...(client === undefined ? [] : [`from ${client}`]),
  ];
  return details.length === 0 ? named(caller) : `${named(caller)} (${details.join(', ')})`;
}

function toolOf({ tool, server }: Pick<ApprovalCall, 'tool' | 'server'>): string {
  return server === undefined ? named(tool) : `${named(tool)} at ${server}`;
}

function shownArguments(json: string): string {
  // Many blanks would push what follows them out of sight.
  const text = visible(json).replaceAll(/ {9,}/g, (blanks) => `[${blanks.length} blanks]`);
  if (text.length <= maxArgumentsLength) return text;
  const hidden = text.length - maxArgumentsLength;
  const head = text.slice(0, maxArgumentsLength - tailLength);
  return `${head} … ${hidden} more characters … ${text.slice(-tailLength)}`;
}
