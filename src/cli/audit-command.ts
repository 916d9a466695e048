import { auditFilter, AuditSums, readAudit, type AuditEntry, type AuditFilter } from '../expose/audit-entries.ts';
import { excerpt } from '../platform/text/sanitize.ts';
import type { Output } from './output.ts';
import type { OutputFlags } from './program.ts';
import { countOf } from './summary.ts';

export interface AuditFlags extends OutputFlags, AuditFilter {
  readonly summary?: true;
}

/** Longest text of an entry that is shown, in characters. */
const maxShownLength = 200;

/** Lines that are printed before the reader of the output is waited for. */
const linesAtOnce = 500;

/** Prints an audit file. @throws ExposeError `usage` if it cannot be read. */
export async function runAudit(file: string, flags: AuditFlags, output: Output): Promise<void> {
  const fits = auditFilter(flags, Date.now());
  const sums = new AuditSums();
  let damaged = 0;
  let printed = 0;
  for await (const { text, entry } of readAudit(file)) {
    if (entry === undefined) damaged++;
    else if (!fits(entry)) continue;
    else if (flags.summary === true) sums.add(entry);
    else {
      output.result(output.json ? text : lineOf(entry));
      if (++printed % linesAtOnce === 0 && !(await output.written())) return;
    }
  }
  await output.written();
  if (flags.summary === true) for (const line of summaryLines(sums, output.json)) output.result(line);
  if (damaged > 0)
    output.essential(
      `${countOf(damaged, 'line')} of ${file} cannot be read, and ${damaged === 1 ? 'is' : 'are'} left out`,
    );
}

/** As `2026-11-29T10:31:05.120Z  anna  tools/call read_file  ok  3.1 ms  120 B, 4.2 KiB`. */
function lineOf(entry: AuditEntry): string {
  const { time, event, caller, client, server, outcome } = entry;
  const parts = [time, caller ?? client ?? '-'];
  if (event === 'call') {
    const { method, tool, resource, prompt, task, durationMs, requestBytes, responseBytes, code, reason } = entry;
    parts.push(
      [server, method, tool ?? resource ?? prompt, task]
        .map(shown)
        .filter((text) => text !== '')
        .join(' '),
    );
    parts.push(`${shown(outcome)} ${shown(code ?? reason)}`.trim());
    parts.push(`${shown(durationMs)} ms`, `${sizeOf(requestBytes)}, ${sizeOf(responseBytes)}`);
  } else {
    const { tool, change, kind, reason, session, scope, count } = entry;
    const what = kind === undefined ? [tool, change ?? outcome] : [kind];
    const words = [server, event, ...what, reason, session, scope, count, ...alertDetails(entry), signInDetails(entry)];
    parts.push(
      words
        .map(shown)
        .filter((text) => text !== '')
        .join(' '),
    );
  }
  return parts.map(shown).join('  ');
}

/** What is special to an alert; nothing for another entry. */
function alertDetails({ event, kind, client, clientInfo, tool, added, removed, changed }: AuditEntry): unknown[] {
  if (event !== 'alert') return [];
  if (kind === 'new_address') return [client];
  if (kind !== 'new_client') return [tool, added, removed, changed].flat();
  return typeof clientInfo === 'object' && clientInfo !== null && 'name' in clientInfo ? [clientInfo.name] : [];
}

/** Who asked to sign in, from where, and where the browser was to be sent. */
function signInDetails({ event, user, publisher, redirectHost, client }: AuditEntry): string {
  if (event !== 'oauth') return '';
  const details = Object.entries({ user, publisher, 'redirect to': redirectHost, from: client });
  return details.flatMap(([label, value]) => (value === undefined ? [] : [`${label} ${shown(value)}`])).join(', ');
}

/** A text or a number of the file, on one line; others can write to the file too. */
function shown(value: unknown): string {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? excerpt(value, maxShownLength) : '';
}

function sizeOf(bytes: unknown): string {
  if (typeof bytes !== 'number') return '-';
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

function summaryLines(sums: AuditSums, isJson: boolean): string[] {
  const list = sums.list();
  if (isJson) return list.map((sum) => JSON.stringify(sum));
  const heads = ['caller', 'tool', 'calls', 'errors', 'denied'];
  const rows = list.map(({ caller, name, calls, errors, denied }) =>
    [caller === '' ? '-' : caller, name, calls, errors, denied].map(shown),
  );
  const widths = heads.map((head, at) => Math.max(head.length, ...rows.map((row) => row[at]?.length ?? 0)));
  return [heads, ...rows].map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
