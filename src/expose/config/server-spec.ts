import { validateHeaderName, validateHeaderValue } from 'node:http';
import { parseEnv } from 'node:util';

import { messageOf } from '../../errors.ts';
import { createEntryReader, type EntryReader } from './entry-reader.ts';
import type { Variables } from './expand.ts';
import { isJsonObject, jsonTypeOf, type JsonValue } from './json-with-comments.ts';
import { readTextFile } from './read-file.ts';
import { quoted } from './server-name.ts';

/** A server of a configuration, with all variables replaced. */
export type ServerSpec = StdioSpec | RemoteSpec;

interface StdioSpec {
  readonly kind: 'stdio';
  readonly command: { readonly file: string; readonly args: readonly string[] };
  /** Absolute. Default: the working directory of this process. */
  readonly cwd?: string;
  /** In addition to the variables that every server gets. */
  readonly env: ReadonlyMap<string, string>;
}

interface RemoteSpec {
  readonly kind: 'http' | 'sse';
  /** http or https, as written. */
  readonly url: string;
  readonly headers: ReadonlyMap<string, string>;
}

/** The members with the transport: in most formats, in FastMCP's, and in Cline's older one. */
const typeMembers = ['type', 'transport', 'transportType'];

/** The members with the URL: in most formats, in Windsurf's, and in Gemini's, where the name also says the transport. */
const urlMembers = ['url', 'serverUrl', 'httpUrl'] as const;

/** Their names of the transports, without case, `-` and `_`; `local` and `remote` are those of Copilot and opencode. */
const kinds: ReadonlyMap<string, ServerSpec['kind'] | 'remote'> = new Map([
  ['stdio', 'stdio'],
  ['local', 'stdio'],
  ['remote', 'remote'],
  ['http', 'http'],
  ['streamablehttp', 'http'],
  ['sse', 'sse'],
]);

/** Names that are read from an env file, as in VS Code, so that other text is not taken for an assignment. */
const envFileName = /^[\w.-]+$/;

/**
 * Reads one entry of a configuration. Members that its transport does not need are ignored.
 * @param name in the file, for errors.
 * @throws ExposeError `config_unusable`, which names the wrong member and never shows a value.
 */
export async function readServerSpec(name: string, entry: JsonValue, variables: Variables): Promise<ServerSpec> {
  const reader = createEntryReader(name, entry, variables);
  // Any value other than a boolean is an error, so that a server that was to be disabled is not served.
  reader.checkFlag('disabled');
  reader.checkFlag('enabled');

  const command = reader.raw('command');
  const [plainUrl, serverUrl, httpUrl] = urlMembers.map((member) => reader.text(member));
  const url = httpUrl ?? serverUrl ?? plainUrl;
  if (plainUrl !== undefined && serverUrl !== undefined && plainUrl !== serverUrl) {
    throw reader.refuse('it has a "url" and another "serverUrl"');
  }
  if (command !== undefined && url !== undefined) {
    throw reader.refuse('it has a command and a URL', ['a server is either started or called: remove one of the two']);
  }

  const type = typeMembers.map((member) => reader.text(member)).find((value) => value !== undefined);
  const kind = type === undefined ? undefined : kinds.get(type.toLowerCase().replaceAll(/[-_]/g, ''));
  if (type !== undefined && kind === undefined) {
    throw reader.refuse(`its type ${quoted(type)} is unknown`, ['known are stdio, http, streamable-http and sse']);
  }
  if (command !== undefined) {
    if (kind !== undefined && kind !== 'stdio') throw reader.refuse(`its type is ${kind}, but it has a command`);
    // In the older format of Zed, `command` is an object with everything about the process.
    if (isJsonObject(command)) return readStdio(createEntryReader(name, command, variables), 'path');
    return readStdio(reader, 'command');
  }
  if (url === undefined) throw reader.refuse('it has neither a command nor a URL');
  if (kind === 'stdio') throw reader.refuse('its type is stdio, but it has a URL');
  return readRemote(reader, url, httpUrl !== undefined ? 'http' : kind === 'remote' ? undefined : kind);
}

/** @param member with the program or, as in opencode, a list of the program and its arguments. */
async function readStdio(reader: EntryReader, member: 'command' | 'path'): Promise<StdioSpec> {
  const env = await readEnv(reader);
  const names = new Set(env.keys());
  const word = (value: JsonValue, where: string): string => {
    if (typeof value === 'string') return reader.argument(value, where, names);
    throw reader.refuse(`${where} must be a string, not ${jsonTypeOf(value)}`);
  };
  const words = (list: readonly JsonValue[], of: string): string[] =>
    list.map((value, index) => word(value, `"${of}[${index}]"`));
  const command = reader.raw(member) ?? '';
  const [file = '', ...first] = Array.isArray(command) ? words(command, member) : [word(command, `"${member}"`)];
  if (file === '') throw reader.refuse(`"${member}" is empty`);
  const args = [...first, ...words(reader.list('args'), 'args')];
  const cwd = reader.path('cwd');
  return { kind: 'stdio', command: { file, args }, ...(cwd === undefined ? {} : { cwd }), env };
}

/** The variables of the env file, then those of `env` or opencode's `environment`; null removes a variable, as in VS Code. */
async function readEnv(reader: EntryReader): Promise<ReadonlyMap<string, string>> {
  const env = await readEnvFile(reader);
  const members = ['environment', 'env'].flatMap((member) =>
    reader.members(member).map(([name, value]) => ({ name, value, where: quoted(`${member}.${name}`) })),
  );
  for (const { name, value, where } of members) {
    if (name === '' || /[=\0]/.test(name)) throw reader.refuse(`${where} is not a valid variable name`);
    if (value === null) env.delete(name);
    else env.set(name, reader.value(value, where));
  }
  return env;
}

async function readEnvFile(reader: EntryReader): Promise<Map<string, string>> {
  const file = reader.path('envFile');
  if (file === undefined) return new Map();
  const text = await readTextFile(file, `its env file ${file}`).catch((error: unknown) => {
    throw reader.refuse(messageOf(error));
  });
  if (text.includes('\0')) throw reader.refuse(`its env file ${file} has a NUL character`);
  const variables = new Map<string, string>();
  for (const [name, value] of Object.entries(parseEnv(text))) {
    if (value !== undefined && envFileName.test(name)) variables.set(name, value);
  }
  return variables;
}

function readRemote(reader: EntryReader, written: string, kind: RemoteSpec['kind'] | undefined): RemoteSpec {
  const url = reader.expanded(written, '"url"').trim();
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol))
    throw reader.refuse('its URL is not an http or https URL');

  const headers = new Map<string, string>();
  for (const [name, value] of reader.members('headers')) {
    const where = quoted(`headers.${name}`);
    // White space around a value does not count (RFC 9110 §5.5), and secrets are often copied with a line break.
    const content = reader.value(value, where).trim();
    try {
      validateHeaderName(name);
      validateHeaderValue(name, content);
    } catch {
      throw reader.refuse(`${where} cannot be sent as an HTTP header`);
    }
    headers.set(name, content);
  }
  // Servers with the older transport usually have this path, and their entries often have no type.
  return { kind: kind ?? (/\/sse\/?$/.test(parsed.pathname) ? 'sse' : 'http'), url, headers };
}
