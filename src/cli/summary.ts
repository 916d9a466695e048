import type { Exposed } from '../expose.ts';
import { version } from '../version.ts';
import type { Part } from './output.ts';

export interface SummaryOptions {
  readonly exposed: Exposed;
  /** Where the token comes from, when it is the user's own; undefined when it is new and has to be shown. */
  readonly tokenOrigin: string | undefined;
  readonly startedInMs: number;
}

/** What a person needs to hand the server on, as lines for a terminal, each in parts. */
export function summaryLines({ exposed, tokenOrigin, startedInMs }: SummaryOptions): Part[][] {
  const { publicUrl, localUrl, notice, server } = exposed;
  return [
    [''],
    ['  ', ['bold', `mcp-expose ${version}`], '  ', ['dim', `ready in ${(startedInMs / 1000).toFixed(1)} s`]],
    [''],
    row('Public:', publicUrl === null ? ['dim', howToGetPublicUrl] : ['cyan', publicUrl]),
    row('Local:', ['cyan', localUrl]),
    row('Token:', tokenText(exposed, tokenOrigin)),
    row('Exposes:', `${[server.name, server.version].join(' ').trim()} · ${countOf(server.tools, 'tool')}`),
    ...(notice === undefined ? [] : [row('Careful:', ['yellow', notice])]),
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

/** In one line what to do for a URL that others can reach. */
export const howToGetPublicUrl = 'none; --relay <url> gives one through a relay, --tunnel lan one for this network';

/** The settings that most clients understand (Cursor, Claude Code, Windsurf and others). */
function clientConfig({ publicUrl, localUrl, token, server }: Exposed, tokenOrigin: string | undefined): object {
  const headers =
    token === null
      ? {}
      : { headers: { Authorization: `Bearer ${tokenOrigin === undefined ? token : '<your token>'}` } };
  const name = server.name.replaceAll(/[^\w.-]+/g, '-') || 'server';
  return { mcpServers: { [name]: { type: 'http', url: publicUrl ?? localUrl, ...headers } } };
}

function tokenText({ token }: Exposed, tokenOrigin: string | undefined): string {
  if (token === null) return 'none, everybody who can connect can use the server';
  return tokenOrigin === undefined ? token : `the one from ${tokenOrigin}`;
}

export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
