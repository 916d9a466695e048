import { inOnePiece, type Bytes } from '../../platform/bytes.ts';
import { comma, endOfString, endOfValue, openBrace, quote, skipSpace } from './scan.ts';

/** The place of a value in the bytes of a JSON text: the index of its first byte, and the one after its last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The members to look for, compiled once and used for many texts. */
export interface PathTree {
  /** The name under which the member's span is reported. */
  key: string | undefined;
  readonly children: Map<string, PathTree>;
  /** Matches the names of the children in any case; undefined where there are no children. */
  duplicateKeys: RegExp | undefined;
  /** Greatest length of a child's name, in any case and with any escapes. */
  maxNameBytes: number;
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

/** Most bytes of a character of a name, written as an escape such as \u0069. */
export const maxEscapeBytes = 6;

/** @param paths for each key, the names of the members from the outermost object to the value. */
export function pathTree(paths: Readonly<Record<string, readonly string[]>>): PathTree {
  const root = emptyNode();
  for (const [key, path] of Object.entries(paths)) {
    let node = root;
    for (const name of path) {
      const child = node.children.get(name) ?? emptyNode();
      node.children.set(name, child);
      node.maxNameBytes = Math.max(node.maxNameBytes, name.length * maxEscapeBytes);
      node.duplicateKeys = new RegExp(`^(?:${[...node.children.keys()].map(escapeForRegExp).join('|')})$`, 'iu');
      node = child;
    }
    node.key = key;
  }
  return root;
}

function emptyNode(): PathTree {
  return { key: undefined, children: new Map(), duplicateKeys: undefined, maxNameBytes: 0 };
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
    const seen = new Set<string>();
    let at = skipSpace(bytes, start + 1);
    while (bytes[at] === quote) {
      const nameEnd = endOfString(bytes, at);
      const name = readName(bytes, at, nameEnd, node.maxNameBytes);
      const value = skipSpace(bytes, skipSpace(bytes, nameEnd) + 1);
      const isRelevant = name !== undefined && node.duplicateKeys?.test(name) === true;
      at = skipSpace(bytes, isRelevant ? this.#searchMember(name, value, node, seen) : endOfValue(bytes, value));
      if (bytes[at] !== comma) break;
      at = skipSpace(bytes, at + 1);
    }
    return at + 1;
  }

  /** @returns the index after the value. */
  #searchMember(name: string, value: number, parent: PathTree, seen: Set<string>): number {
    const node = parent.children.get(name);
    if (node === undefined || seen.has(name)) this.duplicateKey ??= name;
    seen.add(name);
    if (node === undefined) return endOfValue(this.#bytes, value);
    // A later member of the same name replaces all results of the earlier one.
    forget(this.spans, node);
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

/** The name that is written between `start` and `end`, with its quotes; undefined if it is longer than `maxBytes`. */
export function readName(bytes: Buffer, start: number, end: number, maxBytes: number): string | undefined {
  if (end - start - 2 > maxBytes) return undefined;
  const name = bytes.toString('utf8', start + 1, end - 1);
  if (!name.includes('\\')) return name;
  try {
    return String(JSON.parse(`"${name}"`));
  } catch {
    return undefined;
  }
}
