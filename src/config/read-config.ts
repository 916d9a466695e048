import { homedir } from 'node:os';
import path from 'node:path';

import { ExposeError } from '../errors.ts';
import type { Variables } from './expand.ts';
import { isJsonObject, jsonMember, jsonTypeOf, parseJsonWithComments } from './json-with-comments.ts';
import type { JsonObject, JsonValue } from './json-with-comments.ts';
import { digestOf, readTextFile } from './read-file.ts';
import { isReservedName, quoted, servedName } from './server-name.ts';
import { readServerSpec, type ServerSpec } from './server-spec.ts';

export interface Config {
  /** By the name under which each is served, in the order of the file. */
  readonly servers: ReadonlyMap<string, ServerSpec>;
  /** Servers that cannot be used, each by its name in the file. The others can. */
  readonly problems: readonly { readonly server: string; readonly error: ExposeError }[];
  readonly warnings: readonly string[];
  /** Tells this content of the file from another one: for `watchConfig`. */
  readonly digest: string;
}

export interface ReadConfigOptions {
  /** Our environment, for the variables in the file. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Only these servers, by their names in the file or those under which they are served. Default, and empty: all. */
  readonly only?: readonly string[] | undefined;
}

/** As many names are listed in a message. */
const maxListed = 20;

/** Folders in which an editor keeps its settings: a file in one of them is written for the folder around it. */
const settingsFolders: ReadonlySet<string> = new Set(['.vscode', '.cursor']);

/**
 * Reads the servers of a configuration file: `mcpServers` as Claude Desktop, Claude Code, Cursor, Windsurf and Cline
 * write it, or `servers` as VS Code does, on its own or below `mcp` in its settings. Comments and trailing commas may
 * stand in it.
 * @throws ExposeError `config_unusable` when the file cannot be read, names no servers, or none of them can be used.
 */
export async function readConfig(file: string, options: ReadConfigOptions): Promise<Config> {
  const { env, only = [] } = options;
  const text = await readTextFile(file, `the config file ${file}`);
  const { section, warnings } = findServers(file, await parseJsonWithComments(text, `the config file ${file}`));
  const entries = selectServers(file, section.members, only);
  const variables: Variables = { env, workspaceFolder: workspaceFolderOf(file), userHome: userHome() };

  const servers = new Map<string, ServerSpec>();
  const problems: { server: string; error: ExposeError }[] = [];
  /** Names without case, which host names do not have, to the names in the file. */
  const taken = new Map<string, string>();
  for (const [name, entry] of entries) {
    if (isDisabled(entry)) continue;
    try {
      // Before the entry is read: mending one server must not take the name of another.
      const served = claimName(name, taken);
      // oxlint-disable-next-line no-await-in-loop -- few have a file to read, and the order is that of the file
      const spec = await readServerSpec(name, entry, variables);
      if (served !== name) warnings.push(`the server ${quoted(name)} is served as ${served}`);
      servers.set(served, spec);
    } catch (error) {
      if (!(error instanceof ExposeError)) throw error;
      problems.push({ server: name, error });
    }
  }
  if (servers.size === 0) throw nothingLeft(file, entries.length, problems);
  return { servers, problems, warnings, digest: digestOf(text) };
}

/** The part of the file that holds the servers, in whichever client's format. */
function findServers(file: string, root: JsonValue): { section: JsonObject; warnings: string[] } {
  if (!isJsonObject(root)) throw unusable(`the config file ${file} must hold an object, not ${jsonTypeOf(root)}`);
  const mcp = jsonMember(root, 'mcp');
  const sections = [
    ['mcpServers', jsonMember(root, 'mcpServers')],
    ['servers', jsonMember(root, 'servers')],
    ['mcp.servers', isJsonObject(mcp) ? jsonMember(mcp, 'servers') : undefined],
  ] as const;
  const [found, second] = sections.filter(([, value]) => value !== undefined);
  const [where, section] = found ?? [];
  if (section === undefined) {
    const names = root.members.map(([name]) => name);
    throw unusable(`the config file ${file} has neither "mcpServers" nor "servers"`, [
      names.length === 0 ? 'it is an empty object' : `it has ${listOf(names)}`,
      'write it as for Claude, Cursor or Windsurf: {"mcpServers": {"name": {"command": …}}}',
    ]);
  }
  if (!isJsonObject(section)) {
    throw unusable(`"${where}" in the config file ${file} must be an object, not ${jsonTypeOf(section)}`);
  }
  const warnings =
    second === undefined ? [] : [`the config file ${file} has "${where}" and "${second[0]}": only "${where}" is used`];
  return { section, warnings };
}

/** The entries that are asked for, in the order of the file. */
function selectServers(file: string, all: JsonObject['members'], only: readonly string[]): JsonObject['members'] {
  if (only.length === 0) return all;
  const selected = new Set<JsonObject['members'][number]>();
  for (const wanted of only) {
    const exact = all.filter(([name]) => name === wanted);
    const matching = exact.length > 0 ? exact : all.filter(([name]) => servedName(name) === wanted);
    if (matching.length === 0) {
      throw unusable(`the config file ${file} has no server ${quoted(wanted)}`, [
        all.length === 0 ? 'it has no servers at all' : `it has ${listOf(all.map(([name]) => name))}`,
      ]);
    }
    if (matching.every(([, entry]) => isDisabled(entry))) {
      throw unusable(`the server ${quoted(wanted)} is disabled in the config file ${file}`, [
        'remove "disabled" from its entry',
      ]);
    }
    for (const entry of matching) selected.add(entry);
  }
  return all.filter((entry) => selected.has(entry));
}

function isDisabled(entry: JsonValue): boolean {
  return isJsonObject(entry) && jsonMember(entry, 'disabled') === true;
}

/** The name under which a server is served. Names that differ in case only would be one host name. */
function claimName(name: string, taken: Map<string, string>): string {
  const served = servedName(name);
  if (isReservedName(name) || isReservedName(served)) {
    throw unusable(`server ${quoted(name)}: a path of mcp-expose itself has this name`, ['rename it in the file']);
  }
  const other = taken.get(served.toLowerCase());
  if (other !== undefined) {
    const why = other === name ? 'it is named twice' : `${quoted(other)} is served under the same name, ${served}`;
    throw unusable(`server ${quoted(name)}: ${why}`, ['rename one of the two in the file']);
  }
  taken.set(served.toLowerCase(), name);
  return served;
}

function nothingLeft(file: string, count: number, problems: Config['problems']): ExposeError {
  if (count === 0) return unusable(`the config file ${file} has no servers`);
  if (problems.length === 0) return unusable(`every server in the config file ${file} is disabled`);
  const hints = problems.slice(0, maxListed).flatMap(({ error }) => [error.message, ...error.hints]);
  const more = problems.length > maxListed ? [`and ${problems.length - maxListed} more`] : [];
  return unusable(`no server in the config file ${file} can be used`, [...hints, ...more]);
}

function workspaceFolderOf(file: string): string {
  const folder = path.dirname(path.resolve(file));
  return settingsFolders.has(path.basename(folder)) ? path.dirname(folder) : folder;
}

function userHome(): string | undefined {
  try {
    return homedir();
  } catch {
    // In containers, a user without an entry in the system's list has none.
    return undefined;
  }
}

function listOf(names: readonly string[]): string {
  const listed = names.slice(0, maxListed).map(quoted).join(', ');
  return names.length > maxListed ? `${listed} and ${names.length - maxListed} more` : listed;
}

function unusable(message: string, hints: readonly string[] = []): ExposeError {
  return new ExposeError('config_unusable', message, { hints });
}
