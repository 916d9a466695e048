import { inOnePiece, type Bytes } from '../../platform/bytes.ts';
import { NameTable, readName, unclear } from './name-table.ts';
import { comma, endOfString, endOfValue, openBrace, quote, skipSpace } from './scan.ts';

/** The place of a value in the bytes of a JSON text: the index of its first byte, and the one after its last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The members to look for, compiled once and used for many texts. */
export class PathTree {
  /** The name under which the member's span is reported. */
  readonly key: string | undefined;
  readonly children: NameTable<PathTree>;
  readonly #names: readonly string[];
  #anyCase: RegExp | undefined;

  constructor(key: string | undefined, children: ReadonlyMap<string, PathTree>) {
    this.key = key;
    this.children = new NameTable(children);
    this.#names = [...children.keys()];
  }

  /** Whether this is the name of a child, in any case. */
  isLikeChild(name: string): boolean {
    this.#anyCase ??= new RegExp(`^(?:${this.#names.map(escapeForRegExp).join('|')})$`, 'iu');
    return this.#anyCase.test(name);
  }
}

export interface LocatedMembers {
  /** By key, the value that JSON.parse gives: the last of several members with the same name. */
  readonly spans: ReadonlyMap<string, Span>;
  /**
   * A member that parsers read differently: a duplicate, of which some take the first, or one in another case, which Go's
   * encoding/json treats as the same.
   */
  readonly duplicateKey: string | undefined;
}

/** @param paths for each key, the names of the members from the outermost object to the value. */
export function pathTree(paths: Readonly<Record<string, readonly string[]>>): PathTree {
  return treeOf(Object.entries(paths));
}

function treeOf(paths: readonly (readonly [key: string, path: readonly string[]])[]): PathTree {
  let own: string | undefined;
  const groups = new Map<string, (readonly [string, readonly string[]])[]>();
  for (const [key, [first, ...rest]] of paths) {
    if (first === undefined) own = key;
    else groups.set(first, [...(groups.get(first) ?? []), [key, rest]]);
  }
  return new PathTree(own, new Map(Array.from(groups, ([name, group]) => [name, treeOf(group)])));
}

function escapeForRegExp(name: string): string {
  return name.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
}

/**
 * Finds members in the bytes of a JSON text (RFC 8259) that JSON.parse has accepted. One scan, linear in the size, whatever
 * the depth. For a text that is not JSON the result is undefined, but the scan ends.
 */
export function locateMembers(text: Bytes, tree: PathTree): LocatedMembers {
  const bytes = inOnePiece(text);
  const search = new MemberSearch(bytes);
  const start = skipSpace(bytes, 0);
  if (bytes[start] === openBrace) search.searchObject(start, tree);
  return { spans: search.spans, duplicateKey: search.duplicateKey };
}

class MemberSearch {
  readonly spans = new Map<string, Span>();
  duplicateKey: string | undefined;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** @returns the index after the object that begins at `start`. */
  searchObject(start: number, node: PathTree): number {
    const bytes = this.#bytes;
    const seen = new Set<PathTree>();
    let at = skipSpace(bytes, start + 1);
    while (bytes[at] === quote) {
      const nameEnd = endOfString(bytes, at);
      const value = skipSpace(bytes, skipSpace(bytes, nameEnd) + 1);
      const found = node.children.find(bytes, at, nameEnd);
      const child = found === unclear ? this.#decode(at, nameEnd, node) : found;
      if (child !== undefined && seen.has(child)) {
        this.duplicateKey ??= readName(bytes, at, nameEnd);
        // A later member of the same name replaces all results of the earlier one.
        forget(this.spans, child);
      }
      at = skipSpace(bytes, child === undefined ? endOfValue(bytes, value) : this.#searchMember(value, child));
      if (child !== undefined) seen.add(child);
      if (bytes[at] !== comma) break;
      at = skipSpace(bytes, at + 1);
    }
    return at + 1;
  }

  /** The child whose name this is, in spite of its notation. */
  #decode(start: number, end: number, node: PathTree): PathTree | undefined {
    const name = readName(this.#bytes, start, end);
    const child = name === undefined ? undefined : node.children.get(name);
    if (name !== undefined && child === undefined && node.isLikeChild(name)) this.duplicateKey ??= name;
    return child;
  }

  /** @returns the index after the value. */
  #searchMember(value: number, node: PathTree): number {
    const isSearched = node.children.size > 0 && this.#bytes[value] === openBrace;
    const end = isSearched ? this.searchObject(value, node) : endOfValue(this.#bytes, value);
    if (node.key !== undefined) this.spans.set(node.key, { start: value, end });
    return end;
  }
}

/** Like `locateMembers`, for one member. */
export function spanOf(bytes: Bytes, path: readonly string[]): Span | undefined {
  return locateMembers(bytes, pathTree({ value: path })).spans.get('value');
}

/** The text with some values replaced. The spans must not overlap. */
export function replaceSpans(text: Bytes, replacements: readonly (readonly [Span, Buffer])[]): Buffer {
  const bytes = inOnePiece(text);
  const parts: Buffer[] = [];
  let copied = 0;
  for (const [{ start, end }, value] of replacements.toSorted(([a], [b]) => a.start - b.start)) {
    parts.push(bytes.subarray(copied, start), value);
    copied = end;
  }
  parts.push(bytes.subarray(copied));
  return Buffer.concat(parts);
}

function forget(spans: Map<string, Span>, node: PathTree): void {
  if (node.key !== undefined) spans.delete(node.key);
  for (const child of node.children.values()) forget(spans, child);
}
