import type { Node } from 'jsonc-parser';

import { ExposeError } from '../../errors.ts';

/** JSON as written: the members of an object in order, including duplicate ones and any name. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;

export interface JsonObject {
  readonly members: readonly (readonly [name: string, value: JsonValue])[];
}

/** Deepest nesting that is read: no configuration has a tenth of it, and the parser is recursive. */
const maxDepth = 100;

/**
 * Reads JSON with comments and trailing commas, as VS Code does.
 * @param what names the file in errors.
 * @throws ExposeError `config_unusable` with the line and column of the first mistake, without any content of the file.
 */
export async function parseJsonWithComments(text: string, what: string): Promise<JsonValue> {
  // Imported here, since most runs have no configuration file.
  const { createScanner, parseTree, printParseErrorCode } = await import('jsonc-parser');

  // Checked before, without recursion, so that deep nesting cannot overflow the stack of the parser.
  const scanner = createScanner(text, true);
  for (let depth = 0; scanner.getPosition() < text.length;) {
    scanner.scan();
    const at = scanner.getTokenOffset();
    const char = scanner.getTokenLength() === 1 ? text.charAt(at) : '';
    if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') depth--;
    if (depth > maxDepth) {
      throw unusable(`${what} is nested deeper than ${maxDepth} levels ${placeOf(text, at)}`);
    }
  }

  const mistakes: Parameters<typeof parseTree>[1] = [];
  const root = parseTree(text, mistakes, { allowTrailingComma: true });
  const [first] = mistakes;
  if (first === undefined && root !== undefined) return valueOf(root);
  // The parser names mistakes in words, such as CommaExpected.
  const mistake = first === undefined ? 'value expected' : printParseErrorCode(first.error);
  const words = mistake.replaceAll(/(?<=[a-z])[A-Z]/g, ' $&').toLowerCase();
  throw unusable(`${what} is not JSON: ${words} ${placeOf(text, first?.offset ?? 0)}`);
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A member of an object, the last one of that name, as JSON.parse does. Null counts as missing. */
export function jsonMember(object: JsonObject, name: string): JsonValue | undefined {
  return object.members.findLast(([other]) => other === name)?.[1] ?? undefined;
}

/** The kind of a value in words, without the value. */
export function jsonTypeOf(value: JsonValue): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return typeof value === 'boolean' ? 'true or false' : `a ${typeof value}`;
}

function valueOf(node: Node): JsonValue {
  const children = node.children ?? [];
  if (node.type === 'array') return children.map(valueOf);
  if (node.type === 'object') return { members: children.map(memberOf) };
  const value: unknown = node.value;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  return null;
}

function memberOf(property: Node): readonly [string, JsonValue] {
  const [name, value] = property.children ?? [];
  return [String(name?.value), value === undefined ? null : valueOf(value)];
}

/** Line and column as editors count them. */
function placeOf(text: string, offset: number): string {
  const lines = text.slice(0, offset).split(/\r\n|\n|\r/);
  return `at line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1}`;
}

function unusable(message: string): ExposeError {
  return new ExposeError('config_unusable', message);
}
