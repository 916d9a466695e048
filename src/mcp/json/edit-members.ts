import { inOnePiece, gather, type Bytes } from '../../platform/bytes.ts';
import { NameTable } from './name-table.ts';
import { closeBracket, comma, endOfString, endOfValue, openBrace, openBracket, quote, skipSpace } from './scan.ts';

/**
 * What becomes of a member of an object.
 * @param written its value as it is written; undefined where there is no such member.
 * @returns its new value as JSON, `written` itself to leave it, undefined to have no such member.
 */
export type Change = (written: Buffer | undefined) => Buffer | undefined;

/** Members to change, compiled once and used for many texts. */
export interface EditPlan {
  /** Of the member; empty for the outermost object. */
  readonly name: string;
  /** The name of the member with what stands before its value. */
  readonly nameBytes: Buffer;
  readonly change: Change | undefined;
  readonly children: NameTable<EditPlan>;
}

/** One change that was made, by the names of the members from the outermost object to the value. */
export interface MadeChange {
  readonly path: readonly string[];
  /** The new value as JSON; undefined if the member is gone. */
  readonly text: Buffer | undefined;
}

export interface EditedText {
  /** The same bytes where nothing had to change. */
  readonly bytes: Bytes;
  readonly changes: readonly MadeChange[];
  /** How many bytes at the beginning are the same. */
  readonly unchangedBytes: number;
}

const commaByte: Buffer = Buffer.from(',');
const openBraceByte: Buffer = Buffer.from('{');
const closeBraceByte: Buffer = Buffer.from('}');
const nothing: Buffer = Buffer.alloc(0);

/** In a path: every item of an array. */
export const eachItem = '*';

export const remove: Change = () => undefined;

/** @param json the new value, as JSON on one line. */
export function set(json: Buffer | string): Change {
  const value = Buffer.from(json);
  return (written) => (written?.equals(value) === true ? written : value);
}

/** Adds a member that is not there. */
export function setDefault(json: string): Change {
  const value = Buffer.from(json);
  return (written) => written ?? value;
}

/**
 * @param edits the names of the members from the outermost object to the value, with what becomes of it. No path may be the
 * beginning of another, or the same. `eachItem` stands for every item of an array. Objects on the way that are not there are
 * created; what is neither on the way is left alone.
 */
export function editPlan(edits: Iterable<readonly [path: readonly string[], change: Change]>): EditPlan {
  return planOf('', edits);
}

function planOf(name: string, edits: Iterable<readonly [readonly string[], Change]>): EditPlan {
  const nameBytes = Buffer.from(`${JSON.stringify(name)}:`);
  const entries = [...edits];
  const [only] = entries;
  if (entries.length === 1 && only?.[0].length === 0) {
    return { name, nameBytes, change: only[1], children: new NameTable(new Map()) };
  }
  const groups = new Map<string, (readonly [readonly string[], Change])[]>();
  for (const [[first, ...rest], change] of entries) {
    if (first === undefined) throw new Error('one path is the beginning of another');
    groups.set(first, [...(groups.get(first) ?? []), [rest, change]]);
  }
  const children = new Map(Array.from(groups, ([child, group]) => [child, planOf(child, group)] as const));
  return { name, nameBytes, change: undefined, children: new NameTable(children) };
}

/**
 * Changes members in the bytes of a JSON object that JSON.parse has accepted; every other byte stays as it is, so numbers and
 * what is unknown survive. Several members with the same name are all changed. One scan, linear in the size.
 */
export function editMembers(text: Bytes, plan: EditPlan): EditedText {
  const bytes = inOnePiece(text);
  const editor = new MemberEditor(bytes);
  const start = skipSpace(bytes, 0);
  if (bytes[start] === openBrace) editor.editObject(start, plan, []);
  return editor.changes.length === 0
    ? { bytes: text, changes: [], unchangedBytes: text.length }
    : { bytes: editor.result(), changes: editor.changes, unchangedBytes: editor.unchangedBytes };
}

/** How far the members of one object have been copied. */
interface Progress {
  /** Where the last member ends that stays; what follows, up to the next that does, is cut out with its commas. */
  keptEnd: number;
  hasKept: boolean;
  isCut: boolean;
}

class MemberEditor {
  readonly changes: MadeChange[] = [];
  readonly #bytes: Buffer;
  readonly #parts: Buffer[] = [];
  #copied = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get unchangedBytes(): number {
    return this.#parts[0]?.length ?? this.#bytes.length;
  }

  result(): Bytes {
    const parts = [...this.#parts, this.#bytes.subarray(this.#copied)];
    let length = 0;
    for (const part of parts) length += part.length;
    return gather(parts, length);
  }

  /** @returns the index after the object that begins at `start`. */
  editObject(start: number, plan: EditPlan, path: readonly string[]): number {
    const bytes = this.#bytes;
    const progress: Progress = { keptEnd: start + 1, hasKept: false, isCut: false };
    const missing = new Set(plan.children.values());
    let at = skipSpace(bytes, start + 1);
    while (bytes[at] === quote) {
      const nameEnd = endOfString(bytes, at);
      const value = skipSpace(bytes, skipSpace(bytes, nameEnd) + 1);
      const child = plan.children.read(bytes, at, nameEnd);
      if (child === undefined) {
        this.#keep(at, progress);
        progress.keptEnd = endOfValue(bytes, value);
        at = progress.keptEnd;
      } else {
        missing.delete(child);
        at = this.#editMember({ name: at, value }, child, [...path, child.name], progress);
      }
      at = skipSpace(bytes, at);
      if (bytes[at] !== comma) break;
      at = skipSpace(bytes, at + 1);
    }
    const added = this.#newMembers(missing, path);
    if (progress.isCut || added.length > 0) {
      if (progress.hasKept && added.length > 0) added.unshift(commaByte);
      this.#replace(progress.keptEnd, progress.isCut ? at : progress.keptEnd, Buffer.concat(added));
    }
    return at + 1;
  }

  /**
   * @param start where the member's name and value begin.
   * @returns the index after the value.
   */
  #editMember(
    start: { readonly name: number; readonly value: number },
    plan: EditPlan,
    path: readonly string[],
    progress: Progress,
  ): number {
    const bytes = this.#bytes;
    if (plan.change === undefined) {
      this.#keep(start.name, progress);
      progress.keptEnd = this.#editWithin(start.value, plan, path);
      return progress.keptEnd;
    }
    const end = endOfValue(bytes, start.value);
    const written = bytes.subarray(start.value, end);
    const text = plan.change(written);
    if (text !== written) this.changes.push({ path, text });
    if (text === undefined) {
      progress.isCut = true;
      return end;
    }
    this.#keep(start.name, progress);
    if (text !== written) this.#replace(start.value, end, text);
    progress.keptEnd = end;
    return end;
  }

  /** @returns the index after the value. */
  #editWithin(start: number, plan: EditPlan, path: readonly string[]): number {
    const bytes = this.#bytes;
    if (bytes[start] === openBrace) return this.editObject(start, plan, path);
    const items = plan.children.get(eachItem);
    if (bytes[start] !== openBracket || items === undefined) return endOfValue(bytes, start);
    let at = skipSpace(bytes, start + 1);
    for (let index = 0; bytes[at] !== closeBracket; index++) {
      at = skipSpace(bytes, this.#editWithin(at, items, [...path, String(index)]));
      if (bytes[at] !== comma) break;
      at = skipSpace(bytes, at + 1);
    }
    return at + 1;
  }

  /** A member stays whose name begins at `name`. */
  #keep(name: number, progress: Progress): void {
    if (progress.isCut) this.#replace(progress.keptEnd, name, progress.hasKept ? commaByte : nothing);
    progress.hasKept = true;
    progress.isCut = false;
  }

  /** The members that an object gets, as JSON; empty if there are none. */
  #newMembers(missing: Iterable<EditPlan>, path: readonly string[]): Buffer[] {
    const parts: Buffer[] = [];
    for (const plan of missing) {
      if (plan.name === eachItem) continue;
      const value = this.#newValue(plan, [...path, plan.name]);
      if (value === undefined) continue;
      if (parts.length > 0) parts.push(commaByte);
      parts.push(plan.nameBytes, value);
    }
    return parts;
  }

  #newValue(plan: EditPlan, path: readonly string[]): Buffer | undefined {
    if (plan.change === undefined) {
      const members = this.#newMembers(plan.children.values(), path);
      return members.length === 0 ? undefined : Buffer.concat([openBraceByte, ...members, closeBraceByte]);
    }
    const text = plan.change(undefined);
    if (text !== undefined) this.changes.push({ path, text });
    return text;
  }

  #replace(start: number, end: number, text: Buffer): void {
    this.#parts.push(this.#bytes.subarray(this.#copied, start), text);
    this.#copied = end;
  }
}
