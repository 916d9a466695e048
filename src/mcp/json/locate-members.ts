import { inOnePiece, type Bytes } from '../../platform/bytes.ts';
import { endOfString, endOfValue, skipWhitespace } from './scan.ts';

/** Where a value stands in the bytes of a JSON text: from the first byte of it to the one behind its last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Members to look for, compiled once and used for many texts. */
export interface PathTree {
  /** The name under which the member's span is reported. */
  key: string | undefined;
  /** By the name of the member. */
  readonly children: Map<string, PathTree>;
  /** Matches the name of a child in whatever case; undefined where there are no children. */
  duplicateKeys: RegExp | undefined;
  /** Names longer than this are no child's, in whatever case and however escaped. */
  maxNameBytes: number;
}

export interface LocatedMembers {
  /** By key, the value that JSON.parse gives: of members with the same name, that of the last. */
  readonly spans: ReadonlyMap<string, Span>;
  /**
   * A member that parsers read differently: it stands twice in its object, of which some take the first, or it is
   * written in another case, which Go's encoding/json takes for the same.
   */
  readonly duplicateKey: string | undefined;
}

/** An object that is on a path, while the scan is inside of it. */
interface OpenObject {
  readonly node: PathTree;
  readonly start: number;
  readonly seen: Set<string>;
}

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** A character of a name takes at most this many bytes when it is written as an escape, such as \u0069. */
const maxEscapeBytes = 6;

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
 * Finds members in the bytes of a JSON text (RFC 8259) that JSON.parse has accepted. One scan, linear in the size;
 * the depth costs nothing. Of a text that is no JSON it may report anything, but it ends.
 */
export function locateMembers(text: Bytes, tree: PathTree): LocatedMembers {
  const bytes = inOnePiece(text);
  const spans = new Map<string, Span>();
  let duplicateKey: string | undefined;
  let at = skipSeparators(bytes, 0);
  if (bytes[at] !== openBrace) return { spans, duplicateKey };
  const open: OpenObject[] = [{ node: tree, start: at, seen: new Set() }];
  at++;

  for (let inside = open.at(-1); inside !== undefined && at < bytes.length; inside = open.at(-1)) {
    at = skipSeparators(bytes, at);
    const byte = bytes[at];
    if (byte === closeBrace) {
      at++;
      if (inside.node.key !== undefined) spans.set(inside.node.key, { start: inside.start, end: at });
      open.pop();
    } else if (byte === quote) {
      const nameEnd = endOfString(bytes, at);
      const name = readName(bytes, at, nameEnd, inside.node.maxNameBytes);
      // The colon, with blanks on both sides.
      at = skipSeparators(bytes, nameEnd);
      if (name === undefined || inside.node.duplicateKeys?.test(name) !== true) {
        at = endOfValue(bytes, at);
        continue;
      }
      const node = inside.node.children.get(name);
      if (node === undefined || inside.seen.has(name)) duplicateKey ??= name;
      inside.seen.add(name);
      if (node !== undefined) forget(spans, node);
      if (node !== undefined && node.children.size > 0 && bytes[at] === openBrace) {
        open.push({ node, start: at, seen: new Set() });
        at++;
      } else {
        const start = at;
        at = endOfValue(bytes, at);
        if (node?.key !== undefined) spans.set(node.key, { start, end: at });
      }
    } else {
      at++;
    }
  }
  return { spans, duplicateKey };
}

/** As `locateMembers`, for one member. */
export function spanOf(bytes: Bytes, path: readonly string[]): Span | undefined {
  return locateMembers(bytes, pathTree({ value: path })).spans.get('value');
}

/** The text with other values in the places of some. The spans must not overlap. */
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

/** A later member of the same name takes the place of all that the earlier one held. */
function forget(spans: Map<string, Span>, node: PathTree): void {
  if (node.key !== undefined) spans.delete(node.key);
  for (const child of node.children.values()) forget(spans, child);
}

function readName(bytes: Buffer, start: number, end: number, maxBytes: number): string | undefined {
  if (end - start - 2 > maxBytes) return undefined;
  const name = bytes.toString('utf8', start + 1, end - 1);
  if (!name.includes('\\')) return name;
  try {
    return String(JSON.parse(`"${name}"`));
  } catch {
    return undefined;
  }
}

/** White space, commas and colons. */
function skipSeparators(text: Buffer, from: number): number {
  let at = skipWhitespace(text, from);
  while (text[at] === comma || text[at] === colon) at = skipWhitespace(text, at + 1);
  return at;
}
