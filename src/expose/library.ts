import { ExposeError } from '../errors.ts';
import { expose as run } from './expose.ts';
import { longOf, optionEntries, optionTable, type OptionKey } from './option-table.ts';
import type { Exposed, ExposeOptions } from './options.ts';

/**
 * Exposes MCP servers over Streamable HTTP at `/mcp`, or each at `/<name>/mcp`, and over the older HTTP+SSE transport at
 * `/sse`: starts or calls them, guards them, and opens the tunnel. Resolves when clients can use them. If it throws, nothing
 * is left running. Messages and hints name options by their path, such as `listen.port`.
 * @throws ExposeError with any code of `ErrorCode`, `usage` also for an unknown option, or the signal's reason.
 */
export async function expose(options: ExposeOptions): Promise<Exposed> {
  rejectUnknownOptions(options);
  const { onEvent } = options.output ?? {};
  const output: ExposeOptions['output'] = {
    ...options.output,
    onEvent:
      onEvent &&
      ((event) => onEvent(event.type === 'warning' ? { ...event, message: withOptionNames(event.message) } : event)),
  };
  try {
    return await run({ ...options, output });
  } catch (error) {
    if (!(error instanceof ExposeError)) throw error;
    throw new ExposeError(error.code, withOptionNames(error.message), {
      hints: error.hints.map(withOptionNames),
      cause: error.cause ?? error,
    });
  }
}

const keys = Object.keys(optionTable);
const groups: ReadonlySet<string> = new Set(keys.map((key) => key.split('.', 1)[0] ?? ''));
const keyOfFlag: ReadonlyMap<string, OptionKey> = new Map([
  ...optionEntries().map(([key, spec]) => [longOf(spec), key] as const),
  // Both show what a server prints.
  ['--verbose', 'output.onEvent'],
]);

/** What messages quote, so that no flag in it is one of ours: values, server output, URLs, and what to do at a relay. */
const quotation = /(?<!\w)'[^']*'(?!\w)|"[^"]*"|\bit printed: [^]*|https?:\/\/\S+|if this is your relay.*/;
const flagOrQuotation = new RegExp(`${quotation.source}|(?<![\\w-])--[a-z][a-z-]*`, 'g');

/** Flags of the command line become options: `--port` is `listen.port`, `--no-auth` is `access.token: false`. */
function withOptionNames(text: string): string {
  return text.replaceAll(flagOrQuotation, (found) => {
    const key = keyOfFlag.get(found);
    return key === undefined ? found : found.startsWith('--no-') ? `${key}: false` : key;
  });
}

function rejectUnknownOptions(options: ExposeOptions): void {
  if (typeof options?.server !== 'object' || options.server === null) {
    throw new ExposeError('usage', 'no server specified', {
      hints: ['pass an object such as { server: { stdio: "npx -y @modelcontextprotocol/server-filesystem ." } }'],
    });
  }
  for (const [group, members] of Object.entries(options)) {
    if (group === 'signal') continue;
    if (!groups.has(group)) throw unknownOption(group);
    for (const name of Object.keys(members ?? {})) {
      if (!keys.includes(`${group}.${name}`)) throw unknownOption(`${group}.${name}`);
    }
  }
}

function unknownOption(given: string): ExposeError {
  const distances = [...keys, ...groups].map(
    (key) => [key, unlikeness(given.toLowerCase(), key.toLowerCase())] as const,
  );
  const least = Math.min(...distances.map(([, distance]) => distance));
  const nearest = distances.filter(([, distance]) => distance === least).map(([key]) => key);
  const isNear = least <= Math.max(2, given.length / 4);
  return new ExposeError('usage', `unknown option ${given}`, {
    hints: [isNear ? `did you mean ${nearest.join(' or ')}?` : 'docs/library.md lists the options'],
  });
}

/** Of two paths of options. One in the wrong group, or without its unit, is near. */
function unlikeness(given: string, key: string): number {
  const [givenName = '', keyName = ''] = [given, key].map((path) => path.split('.').at(-1));
  const ofNames = keyName.startsWith(givenName) ? Number(keyName !== givenName) : distanceOf(givenName, keyName);
  return Math.min(distanceOf(given, key), ofNames + 0.5);
}

/** Levenshtein distance. */
function distanceOf(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [line, letter] of from.split('').entries()) {
    const next = [line + 1];
    for (const [at, other] of to.split('').entries()) {
      const replaced = (row[at] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
