import type { Exposed, ServerReport, TokenReport } from '../expose/options.ts';
import { version } from '../version.ts';
import type { Part } from './output.ts';

export interface SummaryOptions {
  readonly exposed: Exposed;
  /** Where the token comes from, when it is the user's own; undefined when it is new and has to be shown. */
  readonly tokenOrigin: string | undefined;
  readonly startedInMs: number;
}

/** What a user needs to share the server, as lines for a terminal, each in parts. */
export function summaryLines({ exposed, tokenOrigin, startedInMs }: SummaryOptions): Part[][] {
  const { publicUrl, localUrl, notice, servers, tunnel } = exposed;
  return [
    [''],
    ['  ', ['bold', `mcp-expose ${version}`], '  ', ['dim', `ready in ${(startedInMs / 1000).toFixed(1)} s`]],
    [''],
    row('Public:', publicUrl === null ? ['dim', withoutPublicUrl(exposed)] : publicUrlText(publicUrl, tunnel)),
    ...(tunnel?.expiresAt === undefined ? [] : [row('Until:', timeOf(tunnel.expiresAt))]),
    row('Local:', ['cyan', localUrl]),
    row('Token:', tokenText(exposed, tokenOrigin)),
    ...validityRows(exposed),
    ...signInRows(exposed),
    ...exposedRows(servers),
    ...(notice === undefined ? [] : [noticeRow(notice, tunnel)]),
    [''],
    ['  Paste into your client:'],
    ...JSON.stringify(clientConfig(exposed, tokenOrigin), undefined, 2)
      .split('\n')
      .map((line): Part[] => [`    ${line}`]),
    [''],
    ['  ', ['dim', 'press Ctrl+C to stop']],
    [''],
  ];
}

function row(label: string, value: Part): Part[] {
  return ['  ', ['green', '➜'], '  ', ['bold', label.padEnd(9)], ' ', value];
}

/** A URL that could not be checked is marked. */
function publicUrlText(publicUrl: string, tunnel: Exposed['tunnel']): Part {
  if (tunnel === undefined || tunnel.isVerified) return ['cyan', publicUrl];
  const doubt = tunnel.isTrusted ? 'could not be checked from here, see above' : 'leads to another server, see above';
  return ['yellow', `${publicUrl} (${doubt})`];
}

/** Yellow only if the operator can read the traffic. */
function noticeRow(notice: string, tunnel: Exposed['tunnel']): Part[] {
  return tunnel?.readsTraffic === false ? row('Through:', notice) : row('Note:', ['yellow', notice]);
}

/** One line that says why there is no public URL and how to get one. */
export function withoutPublicUrl({ foundNoTunnel, tokens }: Pick<Exposed, 'foundNoTunnel' | 'tokens'>): string {
  if (foundNoTunnel) return 'none, no tunnel could be opened; --relay <url> uses a relay, --tunnel lan this network';
  return tokens === undefined
    ? 'none; without a token, no tunnel is opened'
    : 'none; --tunnel auto looks for a tunnel, --tunnel lan uses this network';
}

/** The time of day, and the minutes until then. */
function timeOf(expiresAt: number): string {
  const minutes = Math.max(0, Math.round((expiresAt - Date.now()) / 60_000));
  const time = new Date(expiresAt).toTimeString().slice(0, 5);
  return `${time}, in ${countOf(minutes, 'minute')}; then the URL changes`;
}

/** One line for each server, with its path if there are several. */
function exposedRows(servers: readonly ServerReport[]): Part[][] {
  const [only] = servers;
  if (servers.length === 1 && only !== undefined) return [row('Exposes:', reportText(only))];
  const width = Math.max(...servers.map(({ path }) => path.length));
  return servers.map((server, at) => {
    const text = `${server.path.padEnd(width)}  ${reportText(server)}`;
    return row(at === 0 ? 'Exposes:' : '', server.error === undefined ? text : ['red', text]);
  });
}

function reportText({ description, translatedFor, error }: ServerReport): string {
  if (description === undefined) return error?.message ?? 'it did not describe itself';
  const { name, version: ownVersion, tools } = description;
  const named = [name, ownVersion].join(' ').trim();
  return `${named} · ${countOf(tools, 'tool')} · ${eraText(description, translatedFor)}`;
}

function eraText(
  { protocolVersion }: NonNullable<ServerReport['description']>,
  translatedFor: ServerReport['translatedFor'],
): string {
  return `MCP ${protocolVersion}${translationText[translatedFor ?? 'none']}`;
}

/** What clients of the other era get. */
const translationText = {
  none: ' only',
  unknown: ', older clients too',
  modern: ', newer clients by translation',
  legacy: ', older clients by translation',
} as const;

/**
 * A short summary: `13 tools`, `2 servers, 15 tools`, or `1 of 2 servers, 13 tools` if one does not work; and the revisions, as in
 * `MCP 2025-11-25, newer clients by translation`.
 */
export function whatIsExposed(servers: readonly ServerReport[]): string {
  const working = servers.filter(({ error }) => error === undefined).length;
  const tools = servers.reduce((sum, { description }) => sum + (description?.tools ?? 0), 0);
  const all = countOf(servers.length, 'server');
  const counted = servers.length === 1 ? [] : [working === servers.length ? all : `${working} of ${all}`];
  const eras = new Set(
    servers.flatMap(({ description, translatedFor }) => (description ? [eraText(description, translatedFor)] : [])),
  );
  return [...counted, countOf(tools, 'tool'), [...eras].join('; ')].join(', ');
}

/** The settings that most clients understand (Cursor, Claude Code, Windsurf and others). */
function clientConfig(
  { publicUrl, localUrl, token, tokens, servers, tunnel }: Exposed,
  tokenOrigin: string | undefined,
): object {
  const all = {
    ...(tokens === undefined ? {} : { Authorization: `Bearer ${tokenOrigin === undefined ? token : '<your token>'}` }),
    // Without these headers, clients may get a page for browsers.
    ...tunnel?.headers,
  };
  const headers = Object.keys(all).length === 0 ? {} : { headers: all };
  // The token must not be sent to another server.
  const base = tunnel?.isTrusted === false ? localUrl : (publicUrl ?? localUrl);
  // A server that could not be started is of no use to a client.
  const working = servers.filter(({ error }) => error === undefined);
  const entries = working.map(({ name, path }): [string, object] => [
    name.replaceAll(/[^\w.-]+/g, '-') || 'server',
    { type: 'http', url: servers.length === 1 ? base : `${base}${path}`, ...headers },
  ]);
  return { mcpServers: Object.fromEntries(entries) };
}

function tokenText({ token, tokens }: Exposed, tokenOrigin: string | undefined): string {
  if (tokens === undefined) return 'none, everybody who can connect can use the server';
  return tokenOrigin === undefined ? (token ?? '') : `the one from ${tokenOrigin}`;
}

/** How clients that use OAuth get in. */
function signInRows({ pairingCode, identityProvider }: Exposed): Part[][] {
  if (identityProvider !== undefined) {
    const { host, redirectUri } = identityProvider;
    return [
      row('Sign in:', `at ${host}, for clients that use OAuth: claude.ai, ChatGPT and others`),
      row('', `register this redirect URI there: ${redirectUri}`),
    ];
  }
  return pairingCode === undefined
    ? []
    : [row('Pairing:', `code ${pairingCode}, for clients that use OAuth: claude.ai, ChatGPT and others`)];
}

/** What limits the token, if anything does. */
function validityRows({ tokens }: Exposed): Part[][] {
  const [first] = tokens?.list() ?? [];
  const limits = first === undefined ? '' : limitsText(first);
  return limits === '' ? [] : [row('Valid:', limits)];
}

/** What limits a token, in words; empty for a token without limits. */
export function limitsText(report: TokenReport): string {
  const { state, expiresAt, once, client, maxCalls, calls, scope, readOnly, allowIps } = report;
  return [
    ...(scope === 'mcp' ? ['full access'] : []),
    ...(scope === 'mcp:read' || readOnly === true ? ['read-only access'] : []),
    ...globsText('tools', report.allowTools, report.denyTools),
    ...globsText('resources', report.allowResources, report.denyResources),
    ...globsText('prompts', report.allowPrompts, report.denyPrompts),
    ...(allowIps === undefined ? [] : [`from ${allowIps.length === 0 ? 'no address' : someOf(allowIps)}`]),
    ...(expiresAt === undefined || state !== 'valid' ? [] : [`until ${timeText(expiresAt)}`]),
    ...(once === undefined
      ? []
      : [client === undefined ? 'for the first client that connects' : `for ${client.replace(/ \S+$/, '')}`]),
    ...(maxCalls === undefined ? [] : [`for ${countOf(maxCalls, 'tool call')}${calls === 0 ? '' : `, ${calls} made`}`]),
  ].join(', ');
}

/** Globs of a kind, and addresses, that are shown of a token; the JSON has all. */
const maxShown = 4;

/** `tools read_* list_* except read_secret`. */
function globsText(what: string, allow: readonly string[] | undefined, deny: readonly string[] = []): string[] {
  if (allow === undefined && deny.length === 0) return [];
  const allowed = allow === undefined ? `all ${what}` : allow.length === 0 ? `no ${what}` : `${what} ${someOf(allow)}`;
  return [deny.length === 0 ? allowed : `${allowed} except ${someOf(deny)}`];
}

function someOf(values: readonly string[]): string {
  const more = values.length - maxShown;
  return values.slice(0, maxShown).join(' ') + (more > 0 ? ` and ${more} more` : '');
}

/** The time of day; with the date if it is not today. */
function timeText(at: number): string {
  const [then, now] = [new Date(at), new Date()];
  const time = then.toTimeString().slice(0, 5);
  if (then.toDateString() === now.toDateString()) return time;
  const date = [then.getFullYear(), then.getMonth() + 1, then.getDate()].map((part) => String(part).padStart(2, '0'));
  return `${date.join('-')} ${time}`;
}

export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
