import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

import { ExposeError, messageOf } from '../errors.ts';
import { isObject } from '../mcp/rpc-message.ts';
import { Globs } from '../policy/glob.ts';

/** A line of an audit file. Its members may be anything: others can write to the file too. */
export type AuditEntry = Readonly<Record<string, unknown>>;

export interface AuditLine {
  readonly text: string;
  /** Undefined for a line that is damaged. */
  readonly entry: AuditEntry | undefined;
}

export interface AuditFilter {
  readonly caller?: string | undefined;
  /** A glob. */
  readonly tool?: string | undefined;
  readonly outcome?: string | undefined;
  /** In milliseconds. */
  readonly since?: number | undefined;
}

/** Reads the lines of an audit file, one at a time. @throws ExposeError `usage` if it cannot be read. */
export async function* readAudit(path: string): AsyncGenerator<AuditLine> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  try {
    for await (const text of lines) if (text !== '') yield { text, entry: entryIn(text) };
  } catch (cause) {
    throw new ExposeError('usage', `cannot read the audit file ${path}: ${messageOf(cause)}`, { cause });
  }
}

function entryIn(text: string): AuditEntry | undefined {
  try {
    const entry: unknown = JSON.parse(text);
    return isObject(entry) && typeof entry['event'] === 'string' && Number.isFinite(timeOf(entry)) ? entry : undefined;
  } catch {
    return undefined;
  }
}

/** Whether an entry is to be shown. */
export function auditFilter(
  { caller, tool, outcome, since }: AuditFilter,
  now: number,
): (entry: AuditEntry) => boolean {
  const globs = tool === undefined ? undefined : new Globs([tool]);
  return (entry) =>
    (caller === undefined || entry['caller'] === caller) &&
    (globs === undefined || (typeof entry['tool'] === 'string' && globs.match(entry['tool']))) &&
    (outcome === undefined || entry['outcome'] === outcome) &&
    (since === undefined || timeOf(entry) >= now - since);
}

function timeOf({ time }: AuditEntry): number {
  return typeof time === 'string' ? Date.parse(time) : Number.NaN;
}

export interface AuditSum {
  /** Empty for requests that were not let in. */
  readonly caller: string;
  /** The tool; the method of another call. */
  readonly name: string;
  calls: number;
  /** Of them. */
  errors: number;
  denied: number;
}

/** Adds up calls, and requests that were not let in, by caller and tool. */
export class AuditSums {
  readonly #sums = new Map<string, AuditSum>();

  add({ event, caller, tool, method, outcome, reason }: AuditEntry): void {
    if (event !== 'call' && event !== 'admission') return;
    const names = event === 'call' ? [caller, tool ?? method] : ['', reason];
    const [by = '', name = ''] = names.map((text) => (typeof text === 'string' ? text : ''));
    const key = JSON.stringify([by, name]);
    const sum = this.#sums.get(key) ?? { caller: by, name, calls: 0, errors: 0, denied: 0 };
    this.#sums.set(key, sum);
    sum.calls++;
    if (outcome === 'error' || outcome === 'tool_error') sum.errors++;
    if (outcome === 'denied') sum.denied++;
  }

  /** By caller, those with most calls first. */
  list(): AuditSum[] {
    const order = (a: AuditSum, b: AuditSum): number => Number(a.caller > b.caller) - Number(a.caller < b.caller);
    return [...this.#sums.values()].toSorted((a, b) => order(a, b) || b.calls - a.calls);
  }
}
