import { homedir } from 'node:os';
import path from 'node:path';

import { ExposeError } from '../../errors.ts';
import type { Variables } from './expand.ts';
import { isJsonObject, jsonMember, jsonTypeOf, parseJsonWithComments } from './json-with-comments.ts';
import type { JsonObject, JsonValue } from './json-with-comments.ts';
import { digestOf, readTextFile } from './read-file.ts';
import { claimNames, quoted, servedName, type ClaimedName } from './server-name.ts';
import { readServerSpec, type ServerSpec } from './server-spec.ts';

export interface Config {
  /** By the name under which each is served, in the order of the file. */
  readonly servers: ReadonlyMap<string, ServerSpec>;
  /** Servers that cannot be used. */
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly string[];
  /** Identifies the content of the file, for `watchConfig`. */
  readonly digest: string;
}

export interface ConfigProblem {
  /** Its name in the file. */
  readonly server: string;
  /** The name under which it would be served; undefined if an earlier entry has the same name in the file. */
  readonly served: string | undefined;
  readonly error: ExposeError;
}

type Entry = JsonObject['members'][number];

export interface ReadConfigOptions {
  /** The environment of this process, for the variables in the file. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Only these servers, by their names in the file or those under which they are served. Default, and empty: all. */
  readonly only?: readonly string[] | undefined;
}

/** Most names that a message lists. */
const maxListed = 20;

/** Folders in which editors keep settings: the workspace of a file in one of them is its parent folder. */
const settingsFolders: ReadonlySet<string> = new Set(['.vscode', '.cursor']);

/**
 * Reads the servers of a configuration file: `mcpServers` as Claude Desktop, Claude Code, Cursor, Windsurf, Cline and
 * Gemini CLI write it, `servers` as VS Code does, on its own or below `mcp` in its settings, `context_servers` as Zed does, or
 * `mcp` as opencode does. Comments and trailing commas are allowed.
 * @throws ExposeError `config_unusable` if the file cannot be read or has no servers that can be used.
 */
export async function readConfig(file: string, options: ReadConfigOptions): Promise<Config> {
  const { env, only = [] } = options;
  const text = await readTextFile(file, `the config file ${file}`);
  const { where, section, warnings } = findServers(file, await parseJsonWithComments(text, `the config file ${file}`));
  // Before entries are read and selected: fixing or selecting a server must not change the name of another one.
  const names = namesOf(section.members);
  const entries = selectServers(file, section.members, only, names);
  const variables: Variables = {
    env,
    workspaceFolder: workspaceFolderOf(file),
    userHome: userHome(),
    hasBareBraces: where === 'mcp',
  };

  const servers = new Map<string, ServerSpec>();
  const problems: ConfigProblem[] = [];
  for (const entry of entries) {
    const [name, value] = entry;
    if (isDisabled(value)) continue;
    const { served, why } = names.get(entry) ?? {};
    try {
      if (served === undefined) throw unusable(`server ${quoted(name)}: it is named twice`, [renameHint]);
      // oxlint-disable-next-line no-await-in-loop -- few entries have a file to read, and warnings keep the order of the file
      const spec = await readServerSpec(name, value, variables);
      const reason = why === undefined ? '' : `, since ${why}`;
      if (served !== name) warnings.push(`the server ${quoted(name)} is served as ${served}${reason}`);
      servers.set(served, spec);
    } catch (error) {
      if (!(error instanceof ExposeError)) throw error;
      problems.push({ server: name, served, error });
    }
  }
  if (servers.size === 0) throw nothingLeft(file, entries.length, problems);
  return { servers, problems, warnings, digest: digestOf(text) };
}

/** The part of the file with the servers, in the format of any client. */
function findServers(
  file: string,
  root: JsonValue,
): { where: string | undefined; section: JsonObject; warnings: string[] } {
  if (!isJsonObject(root)) throw unusable(`the config file ${file} must hold an object, not ${jsonTypeOf(root)}`);
  const mcp = jsonMember(root, 'mcp');
  const inMcp = isJsonObject(mcp) ? jsonMember(mcp, 'servers') : undefined;
  // Other programs have settings under these names that are not objects.
  const holdsServers = isJsonObject(mcp) && inMcp === undefined && mcp.members.some(([, value]) => isJsonObject(value));
  const sections = [
    ['mcpServers', jsonMember(root, 'mcpServers')],
    ['servers', jsonMember(root, 'servers')],
    ['context_servers', jsonMember(root, 'context_servers')],
    ['mcp.servers', inMcp],
    ['mcp', holdsServers ? mcp : undefined],
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
  return { where, section, warnings };
}

/** The names under which entries that are not disabled are served; undefined for a duplicate name. */
function namesOf(all: readonly Entry[]): ReadonlyMap<Entry, ClaimedName> {
  const first = new Map<string, Entry>();
  for (const entry of all) if (!isDisabled(entry[1]) && !first.has(entry[0])) first.set(entry[0], entry);
  const claimed = claimNames([...first.keys()]);
  return new Map([...first.values()].map((entry, at) => [entry, claimed[at] ?? { served: entry[0] }]));
}

/** The selected entries, in the order of the file. */
function selectServers(
  file: string,
  all: readonly Entry[],
  only: readonly string[],
  names: ReadonlyMap<Entry, ClaimedName>,
): readonly Entry[] {
  if (only.length === 0) return all;
  const selected = new Set<Entry>();
  const servedAs = (entry: Entry): string => names.get(entry)?.served ?? servedName(entry[0]);
  for (const wanted of only) {
    const exact = all.filter(([name]) => name === wanted);
    const matching = exact.length > 0 ? exact : all.filter((entry) => servedAs(entry) === wanted);
    if (matching.length === 0) {
      throw unusable(`the config file ${file} has no server ${quoted(wanted)}`, [
        all.length === 0 ? 'it has no servers at all' : `it has ${listOf(all.map(([name]) => name))}`,
      ]);
    }
    if (matching.every(([, entry]) => isDisabled(entry))) {
      throw unusable(`the server ${quoted(wanted)} is disabled in the config file ${file}`, [
        'remove "disabled" or "enabled" from its entry',
      ]);
    }
    for (const entry of matching) selected.add(entry);
  }
  return all.filter((entry) => selected.has(entry));
}

function isDisabled(entry: JsonValue): boolean {
  return isJsonObject(entry) && (jsonMember(entry, 'disabled') === true || jsonMember(entry, 'enabled') === false);
}

const renameHint = 'rename one of the two in the file';

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
    // In a container, a user without an entry in /etc/passwd has no home.
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
