import path from 'node:path';

import { ExposeError } from '../../errors.ts';
import { expand, expandTilde, type Variables } from './expand.ts';
import { isJsonObject, jsonMember, jsonTypeOf, type JsonObject, type JsonValue } from './json-with-comments.ts';
import { quoted } from './server-name.ts';

/** Reads the members of one server's entry, and throws the ExposeError of `refuse` for invalid ones. */
export interface EntryReader {
  /** @param what completes `server "x": …`; it must not contain a value, which may be a secret. */
  refuse(what: string, hints?: readonly string[]): ExposeError;
  /** A member of any type, as it was written; undefined when it is missing or null. */
  raw(member: string): JsonValue | undefined;
  /** A member that is text. */
  text(member: string): string | undefined;
  /** Checks that a member, if present, is true or false. */
  checkFlag(member: string): void;
  list(member: string): readonly JsonValue[];
  /** The members of a member that is an object. */
  members(member: string): JsonObject['members'];
  /** A path with its variables replaced, absolute; a relative one counts from the workspace folder, as in VS Code. */
  path(member: string): string | undefined;
  /** The value of an environment variable or a header. */
  value(value: JsonValue, where: string): string;
  /** A command or an argument. */
  argument(text: string, where: string, childNames: ReadonlySet<string>): string;
  expanded(text: string, where: string): string;
}

/**
 * @param name of the server in the file.
 * @throws ExposeError `config_unusable` if the entry is not an object.
 */
export function createEntryReader(name: string, entry: JsonValue, variables: Variables): EntryReader {
  const refuse = (what: string, hints: readonly string[] = []): ExposeError =>
    new ExposeError('config_unusable', `server ${quoted(name)}: ${what}`, { hints });
  const mistyped = (where: string, wanted: string, value: JsonValue): ExposeError =>
    refuse(`${where} must be ${wanted}, not ${jsonTypeOf(value)}`);

  if (!isJsonObject(entry)) throw refuse(`it must be an object, not ${jsonTypeOf(entry)}`);

  const text = (member: string): string | undefined => {
    const value = jsonMember(entry, member);
    if (value === undefined || typeof value === 'string') return value;
    throw mistyped(`"${member}"`, 'a string', value);
  };
  const expanded = (written: string, where: string, childNames?: ReadonlySet<string>): string => {
    const expansion = expand(written, variables, childNames);
    if ('problem' in expansion) throw refuse(`${where} ${expansion.problem}`, [expansion.hint]);
    // No argument can contain NUL, and the system's error would show the value.
    if (expansion.text.includes('\0')) throw refuse(`${where} has a NUL character`);
    return expansion.text;
  };

  return {
    refuse,
    raw: (member) => jsonMember(entry, member),
    text,
    expanded,
    checkFlag(member) {
      const value = jsonMember(entry, member) ?? false;
      if (typeof value !== 'boolean') throw mistyped(`"${member}"`, 'true or false', value);
    },
    list(member) {
      const value = jsonMember(entry, member) ?? [];
      if (Array.isArray(value)) return value;
      throw mistyped(`"${member}"`, 'a list of strings', value);
    },
    members(member) {
      const value = jsonMember(entry, member);
      if (value === undefined) return [];
      if (isJsonObject(value)) return value.members;
      throw mistyped(`"${member}"`, 'an object', value);
    },
    path(member) {
      const written = text(member);
      if (written === undefined || written === '') return undefined;
      const file = expandTilde(expanded(written, `"${member}"`), variables.userHome);
      return path.resolve(variables.workspaceFolder, file);
    },
    value(value, where) {
      // VS Code accepts numbers too. How to write true and false depends on the server.
      if (typeof value === 'number') return String(value);
      if (typeof value === 'string') return expanded(value, where);
      throw mistyped(where, 'a string', value);
    },
    argument: (written, where, childNames) => expandTilde(expanded(written, where, childNames), variables.userHome),
  };
}
