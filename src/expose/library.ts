import { ExposeError } from '../errors.ts';
import { editDistance } from '../platform/text/edit-distance.ts';
import { expose as run } from './expose.ts';
import { optionEntries, optionTable, type OptionKey } from './option-table.ts';
import { longOf } from './option-spec.ts';
import { parseDuration } from './option-values.ts';
import type { Exposed, ExposeEvent, ExposeOptions } from './options.ts';

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
    onEvent: onEvent && ((event) => onEvent(eventWithOptionNames(event))),
  };
  try {
    return await run({ ...options, output }, errorWithOptionNames);
  } catch (error) {
    throw error instanceof ExposeError ? errorWithOptionNames(error) : error;
  }
}

function errorWithOptionNames(error: ExposeError): ExposeError {
  return new ExposeError(error.code, withOptionNames(error.message), {
    hints: error.hints.map(withOptionNames),
    cause: error.cause ?? error,
  });
}

function eventWithOptionNames(event: ExposeEvent): ExposeEvent {
  switch (event.type) {
    case 'warning':
      return { ...event, message: withOptionNames(event.message) };
    case 'attempt':
    case 'tunnel':
      return event.reason === undefined ? event : { ...event, reason: withOptionNames(event.reason) };
    default:
      return event;
  }
}

const keys = Object.keys(optionTable);
const groups: ReadonlySet<string> = new Set(keys.map((key) => key.split('.', 1)[0] ?? ''));
const keyOfFlag: ReadonlyMap<string, OptionKey> = new Map([
  ...optionEntries().map(([key, spec]) => [longOf(spec), key] as const),
  // Both show what a server prints.
  ['--verbose', 'output.onEvent'],
  ['MCP_EXPOSE_TOKEN', 'access.token'],
  ['MCP_EXPOSE_OIDC_CLIENT_SECRET', 'access.oidcClientSecret'],
]);

/** Quotations in messages, which may contain flags: values, server output, URLs, and hints for the operator of a relay. */
const quotation = /(?<!\w)'[^']*'(?!\w)|"[^"]*"|\bit printed: [^]*|https?:\/\/\S+|if this is your relay.*/;
const flagWithDuration =
  /(?<flag>(?<![\w-])--[a-z][a-z-]*|MCP_EXPOSE_(?:TOKEN|OIDC_CLIENT_SECRET))(?<duration> \d+(?:ms|s|m|h)\b)?/;
const flagOrQuotation = new RegExp(`${quotation.source}|${flagWithDuration.source}`, 'g');

/**
 * Replaces flags of the command line with options: `--port` with `listen.port`, `--no-auth` with `access.token: false`,
 * `--start-timeout 120s` with `server.startTimeoutMs: 120000`.
 */
function withOptionNames(text: string): string {
  return text.replaceAll(flagOrQuotation, (found, ...[flag, duration = '']: readonly (string | undefined)[]) => {
    const key = flag === undefined ? undefined : keyOfFlag.get(flag);
    if (key === undefined) return found;
    if (found.startsWith('--no-')) return `${key}: false`;
    return key.endsWith('Ms') && duration !== '' ? `${key}: ${parseDuration(duration.trim())}` : key + duration;
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

/** How much two paths of options differ; little for the wrong group or a missing unit. */
function unlikeness(given: string, key: string): number {
  const [givenName = '', keyName = ''] = [given, key].map((path) => path.split('.').at(-1));
  const ofNames = keyName.startsWith(givenName) ? Number(keyName !== givenName) : editDistance(givenName, keyName);
  return Math.min(editDistance(given, key), ofNames + 0.5);
}
