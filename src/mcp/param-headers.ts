import { decodeHeaderValue } from './header-value.ts';
import { paramHeaderPrefix } from './headers.ts';
import { isObject, memberOf } from './rpc-message.ts';

/** An argument of a tool that HTTP clients repeat in a header (MCP 2026-07-28, "Custom Headers from Tool Parameters"). */
export interface ParamHeader {
  /** Names of the members from the arguments to the value. */
  readonly path: readonly string[];
  /** Name of the header, in lower case. */
  readonly header: string;
}

/** What may have a header. */
const types: ReadonlySet<unknown> = new Set(['string', 'integer', 'boolean']);

/** A field name (RFC 9110 §5.1). */
const token = /^[\w!#$%&'*+.^`|~-]+$/;

/** A number in a header, compared as a number: `42.0` is `42`. */
const decimal = /^-?\d+(?:\.\d+)?$/;

const extension = 'x-mcp-header';

/**
 * The headers that a tool declares, or why its definition is invalid: clients of an HTTP server do not use such a tool.
 * @param inputSchema of the tool, as the server sent it.
 */
export function paramHeadersOf(inputSchema: unknown): readonly ParamHeader[] | { readonly problem: string } {
  const search = new DeclarationSearch();
  search.visit(inputSchema, []);
  return search.problem === undefined ? search.found : { problem: search.problem };
}

class DeclarationSearch {
  readonly found: ParamHeader[] = [];
  problem: string | undefined;

  /** @param path undefined where the schema is not reached by names of members alone, so that it must declare nothing. */
  visit(schema: unknown, path: readonly string[] | undefined): void {
    if (Array.isArray(schema)) for (const each of schema) this.visit(each, undefined);
    if (!isObject(schema)) return;
    if (Object.hasOwn(schema, extension)) this.#declare(schema, path);
    for (const [keyword, value] of Object.entries(schema)) {
      // What these hold is data, and may look like anything.
      if (keyword === 'const' || keyword === 'enum' || keyword === 'default' || keyword === 'examples') continue;
      if (keyword !== 'properties') this.visit(value, undefined);
      else if (isObject(value))
        for (const [name, property] of Object.entries(value)) this.visit(property, path && [...path, name]);
    }
  }

  #declare(schema: Readonly<Record<string, unknown>>, path: readonly string[] | undefined): void {
    const name = schema[extension];
    const shown = JSON.stringify(name)?.slice(0, 80);
    if (path === undefined || path.length === 0) this.problem ??= `${extension} ${shown} is not in a property`;
    else if (typeof name !== 'string' || !token.test(name))
      this.problem ??= `${extension} ${shown} is not a header name`;
    else if (!types.has(schema['type']))
      this.problem ??= `${extension} ${shown} is in a property that is not a string, an integer or a boolean`;
    else {
      const header = paramHeaderPrefix + name.toLowerCase();
      if (this.found.some((other) => other.header === header)) this.problem ??= `${extension} ${shown} occurs twice`;
      this.found.push({ path, header });
    }
  }
}

/**
 * Which header of a call is missing, or says something else than the arguments (MCP 2026-07-28, "Server Behavior for Custom
 * Headers"); undefined if none does.
 * @param args the arguments, complete: what is parsed of a large message lacks its long strings (see `RpcMessage.json`).
 * @param headers by their names in lower case.
 */
export function paramHeaderProblem(
  declared: readonly ParamHeader[],
  args: unknown,
  headers: ReadonlyMap<string, string>,
): string | undefined {
  for (const { path, header } of declared) {
    const value = path.reduce<unknown>(memberOf, args) ?? undefined;
    const written = headers.get(header);
    // The server finds an argument of another type itself.
    if (typeof value === 'object' || (value === undefined && written === undefined)) continue;
    if (written === undefined) return `the header ${header} is missing`;
    const decoded = decodeHeaderValue(written);
    if (decoded === undefined)
      return `the header ${header} has characters that it cannot have, or its base64 is invalid`;
    if (!isSame(decoded, value)) return `the header ${header} is not the argument ${path.join('.')}`;
  }
  return undefined;
}

function isSame(header: string, value: unknown): boolean {
  if (typeof value !== 'number') return header === String(value);
  return decimal.test(header) && Number(header) === value && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
}
