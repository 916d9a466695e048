import { backslash } from './scan.ts';

/** Most bytes of a character of a name, written as an escape such as \u0069. */
const maxEscapeBytes = 6;

/** Distance between a capital and a small letter of ASCII. */
const caseBit = 0x20;

const firstNonAscii = 0x80;

/** A name that may be one of the table all the same: in other capitals, with escapes or with letters beyond ASCII. */
export const unclear: unique symbol = Symbol('unclear');

interface Entry<Value> {
  readonly bytes: Buffer;
  readonly value: Value;
}

/** Values by the names of members. Names are compared as bytes, which takes a tenth of the time of decoding them. */
export class NameTable<Value> {
  readonly #values: ReadonlyMap<string, Value>;
  /** By their length in bytes. */
  readonly #byLength: Entry<Value>[][] = [];
  /** Greatest length of a name as it may be written, in bytes. */
  readonly #maxBytes: number;

  constructor(values: ReadonlyMap<string, Value>) {
    let maxLength = 0;
    for (const [name, value] of values) {
      const bytes = Buffer.from(name);
      (this.#byLength[bytes.length] ??= []).push({ bytes, value });
      maxLength = Math.max(maxLength, name.length);
    }
    this.#values = values;
    this.#maxBytes = maxLength * maxEscapeBytes;
  }

  get size(): number {
    return this.#values.size;
  }

  get(name: string): Value | undefined {
    return this.#values.get(name);
  }

  values(): Iterable<Value> {
    return this.#values.values();
  }

  /**
   * Finds the name that is written between `start` and `end`, with its quotes.
   * @returns undefined for one that certainly is none of these.
   */
  find(text: Buffer, start: number, end: number): Value | typeof unclear | undefined {
    const length = end - start - 2;
    if (length > this.#maxBytes) return undefined;
    const candidates = this.#byLength[length] ?? nothing;
    for (let index = 0; index < candidates.length; index++) {
      const candidate = candidates[index];
      if (candidate !== undefined && isSame(text, start + 1, candidate.bytes)) return candidate.value;
    }
    const isLike = candidates.some(({ bytes }) => isSameButForCase(text, start + 1, bytes));
    return isLike || !isPlain(text, start + 1, end - 1) ? unclear : undefined;
  }

  /** As `find`, in any notation. */
  read(text: Buffer, start: number, end: number): Value | undefined {
    const found = this.find(text, start, end);
    if (found !== unclear) return found;
    const name = readName(text, start, end);
    return name === undefined ? undefined : this.#values.get(name);
  }
}

const nothing: readonly never[] = [];

function isSame(text: Buffer, start: number, name: Buffer): boolean {
  for (let at = 0; at < name.length; at++) if (text[start + at] !== name[at]) return false;
  return true;
}

/** Also true for a few other characters. */
function isSameButForCase(text: Buffer, start: number, name: Buffer): boolean {
  for (let at = 0; at < name.length; at++) {
    if (((text[start + at] ?? 0) | caseBit) !== ((name[at] ?? 0) | caseBit)) return false;
  }
  return true;
}

/** Whether there are neither escapes nor letters beyond ASCII. */
function isPlain(text: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = text[at] ?? 0;
    if (byte === backslash || byte >= firstNonAscii) return false;
  }
  return true;
}

/** The name that is written between `start` and `end`, with its quotes; undefined if it is none. */
export function readName(text: Buffer, start: number, end: number): string | undefined {
  const name = text.toString('utf8', start + 1, end - 1);
  if (!name.includes('\\')) return name;
  try {
    return String(JSON.parse(`"${name}"`));
  } catch {
    return undefined;
  }
}
