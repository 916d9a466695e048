import type { ApprovalCall, ApprovalReport } from '../expose/options.ts';

/** Longest name and longest arguments that are shown, in characters. Of longer arguments, both ends are. */
const maxNameLength = 80;
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
  const program = name === '' ? [] : [named(`${name} ${version}`.trim())];
  const details = [...program, ...(client === undefined ? [] : [`from ${client}`])];
  return details.length === 0 ? named(caller) : `${named(caller)} (${details.join(', ')})`;
}

function toolOf({ tool, server }: Pick<ApprovalCall, 'tool' | 'server'>): string {
  return server === undefined ? named(tool) : `${named(tool)} at ${server}`;
}

/** In quotes where the text could be taken for something else. */
function named(text: string): string {
  const shown = text.length > maxNameLength ? `${text.slice(0, maxNameLength)}…` : text;
  return /^[\w./:@-][\w./:@ -]*$/.test(shown) ? shown : visible(JSON.stringify(shown));
}

function shownArguments(json: string): string {
  // Many blanks would push what follows them out of sight.
  const text = visible(json).replaceAll(/ {9,}/g, (blanks) => `[${blanks.length} blanks]`);
  if (text.length <= maxArgumentsLength) return text;
  const hidden = text.length - maxArgumentsLength;
  const head = text.slice(0, maxArgumentsLength - tailLength);
  return `${head} … ${hidden} more characters … ${text.slice(-tailLength)}`;
}

/**
 * What a terminal does not show, or shows as a blank though it is none: controls, formats, separators, fillers such as U+3164 and
 * variation selectors (Unicode, UAX #44, Default_Ignorable_Code_Point), and the empty Braille pattern.
 */
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;

/** With what is invisible as an escape of JSON: whoever decides should see that it is there. */
function visible(json: string): string {
  return json.replaceAll(invisible, (character) =>
    Array.from({ length: character.length }, (_, at) => escaped(character.charCodeAt(at))).join(''),
  );
}

function escaped(unit: number): string {
  return String.raw`\u${unit.toString(16).padStart(4, '0')}`;
}
