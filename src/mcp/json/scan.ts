// Scans the bytes of a JSON text (RFC 8259) without creating values, in time linear in its size. `skipSpace` and the functions
// `endOf…` find where something ends, and terminate for any text. `JsonScanner` also checks the text, as a parser would.

export const quote = 0x22;
export const comma = 0x2c;
export const backslash = 0x5c;
export const smallN = 0x6e;
export const openBrace = 0x7b;

const space = 0x20;
const minus = 0x2d;
const point = 0x2e;
const zero = 0x30;
const nine = 0x39;
export const colon = 0x3a;
export const openBracket = 0x5b;
export const closeBracket = 0x5d;
const smallF = 0x66;
const smallT = 0x74;
export const closeBrace = 0x7d;

/** What can follow a number, `true`, `false` or `null`. */
const scalarEnds: ReadonlySet<number | undefined> = new Set(Buffer.from(' \n\r\t,:]}'));

/** Length up to which the end of a string is found faster byte by byte than by a search, in bytes. */
const nearBytes = 32;

/** Index of the first byte that is not white space (RFC 8259 §2). */
export function skipSpace(text: Buffer, from: number): number {
  let at = from;
  while (text[at] === space || text[at] === 0x0a || text[at] === 0x0d || text[at] === 0x09) at++;
  return at;
}

/** Index after the string that begins at `start`, or the end of the text. */
export function endOfString(text: Buffer, start: number): number {
  const near = Math.min(start + nearBytes, text.length);
  for (let at = start + 1; at < near; at++) {
    const byte = text[at];
    if (byte === quote) return at + 1;
    if (byte === backslash) at++;
  }
  for (let from = start + 1; ;) {
    const end = text.indexOf(quote, from);
    if (end === -1) return text.length;
    let escapes = 0;
    while (end - 1 - escapes > start && text[end - 1 - escapes] === backslash) escapes++;
    if (escapes % 2 === 0) return end + 1;
    from = end + 1;
  }
}

/**
 * Index after the value that begins at `start`; `start` itself if there is none.
 * @returns -1 if arrays and objects in it nest deeper than `maxDepth`.
 */
export function endOfValue(text: Buffer, start: number, maxDepth: number = Infinity): number {
  const first = text[start];
  if (first === quote) return endOfString(text, start);
  if (first === openBrace || first === openBracket) return endOfContainer(text, start, maxDepth);
  let at = start;
  while (at < text.length && !scalarEnds.has(text[at])) at++;
  return at;
}

function endOfContainer(text: Buffer, start: number, maxDepth: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const byte = text[at];
    if (byte === quote) {
      at = endOfString(text, at) - 1;
    } else if (byte === openBrace || byte === openBracket) {
      if (++depth > maxDepth) return -1;
    } else if ((byte === closeBrace || byte === closeBracket) && --depth === 0) {
      return at + 1;
    }
  }
  return text.length;
}

/**
 * Whether the arrays and objects of a text nest deeper than `maxDepth`. Call it before parsing: sixteen million open brackets
 * cost the parser half a gigabyte. Almost free for a text with few brackets.
 */
export function exceedsDepth(text: Buffer, maxDepth: number): boolean {
  if (text.length <= maxDepth || !hasManyOpeners(text, maxDepth)) return false;
  return endOfValue(text, skipSpace(text, 0), maxDepth) === -1;
}

/** Whether the text has more than `count` opening brackets and braces, including those inside strings. */
function hasManyOpeners(text: Buffer, count: number): boolean {
  let openers = 0;
  for (const opener of [openBrace, openBracket]) {
    for (let at = text.indexOf(opener); at !== -1; at = text.indexOf(opener, at + 1)) {
      if (++openers > count) return true;
    }
  }
  return false;
}

export function isArray(text: Buffer): boolean {
  return text[skipSpace(text, 0)] === openBracket;
}

/**
 * Splits an array into its elements without checking or parsing them: the largest array may have millions.
 * @returns undefined if the text is not an array; `too many` as soon as there are more than `maxCount`.
 */
export function elementsOf(text: Buffer, maxCount: number): readonly Buffer[] | 'too many' | undefined {
  const elements: Buffer[] = [];
  let at = skipSpace(text, skipSpace(text, 0) + 1);
  if (text[at] === closeBracket) return skipSpace(text, at + 1) === text.length ? elements : undefined;
  for (;;) {
    const end = endOfValue(text, at);
    if (end === at) return undefined;
    if (elements.length === maxCount) return 'too many';
    // Copied, so that an element does not retain the whole array.
    elements.push(Buffer.from(text.subarray(at, end)));
    at = skipSpace(text, end);
    if (text[at] === closeBracket) return skipSpace(text, at + 1) === text.length ? elements : undefined;
    if (text[at] !== comma) return undefined;
    at = skipSpace(text, at + 1);
  }
}

/** The content of a string (RFC 8259 §7), one character per byte. It always matches, so it never backtracks. */
const stringContent = /(?:[ !#-[\]-\u00ff]+|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*/y;

/** An incomplete escape at the end of a text. */
const cutEscape = /^\\(?:u[\da-fA-F]{0,3})?$/;

/** Size of the windows in which strings are matched, in bytes: each escape takes some memory until its match ends. */
const windowBytes: number = 64 * 1024;

/** Length up to which a string without escapes is checked faster byte by byte than with `stringContent`, in bytes. */
const shortStringBytes = 128;

const trueWord: Buffer = Buffer.from('true');
const falseWord: Buffer = Buffer.from('false');
const nullWord: Buffer = Buffer.from('null');

/**
 * Checks a text that is valid UTF-8 and on one line. Each method takes the index at which something begins and returns the
 * index after it, or -1 if there is something else, or white space other than spaces.
 */
export class JsonScanner {
  readonly text: Buffer;
  /** The window of the text that is matched with `stringContent`, in ISO 8859-1. */
  #window = '';
  #windowStart = 0;
  #windowEnd = 0;

  constructor(text: Buffer) {
    this.text = text;
  }

  skipSpaces(from: number): number {
    let at = from;
    while (this.text[at] === space) at++;
    return at;
  }

  /** @returns the index of the first name of the object, or of its closing brace. */
  enterObject(at: number): number {
    return this.text[at] === openBrace ? this.skipSpaces(at + 1) : -1;
  }

  /** @param at the result of `enterObject` or `nextName`. */
  isInObject(at: number): boolean {
    return at !== -1 && this.text[at] !== closeBrace;
  }

  /** From the end of a name to its value. */
  skipColon(from: number): number {
    if (from === -1) return -1;
    const at = this.skipSpaces(from);
    return this.text[at] === colon ? this.skipSpaces(at + 1) : -1;
  }

  /** From the end of a value to the next name of the object, or its closing brace. */
  nextName(from: number): number {
    if (from === -1) return -1;
    const at = this.skipSpaces(from);
    if (this.text[at] === closeBrace) return at;
    if (this.text[at] !== comma) return -1;
    const next = this.skipSpaces(at + 1);
    return this.text[next] === quote ? next : -1;
  }

  /** @param maxDepth how deep arrays and objects may nest in it. */
  skipValue(at: number, maxDepth: number): number {
    switch (this.text[at]) {
      case quote:
        return this.skipString(at);
      case openBrace:
        return maxDepth === 0 ? -1 : this.#skipObject(at, maxDepth - 1);
      case openBracket:
        return maxDepth === 0 ? -1 : this.#skipArray(at, maxDepth - 1);
      case smallT:
        return this.#skipWord(at, trueWord);
      case smallF:
        return this.#skipWord(at, falseWord);
      case smallN:
        return this.#skipWord(at, nullWord);
      default:
        return this.#skipNumber(at);
    }
  }

  skipString(start: number): number {
    const { text } = this;
    if (text[start] !== quote) return -1;
    const near = Math.min(text.length, start + 1 + shortStringBytes);
    let at = start + 1;
    for (; at < near; at++) {
      const byte = text[at] ?? 0;
      if (byte === quote) return at + 1;
      if (byte === backslash || byte < space) break;
    }
    const end = this.endOfContent(at);
    return end !== -1 && text[end] === quote ? end + 1 : -1;
  }

  /**
   * @param from within a string, and not within an escape.
   * @returns the index of its closing quote. If the text ends within the string: the end, or the start of an incomplete escape.
   * -1 for a byte that a string cannot contain.
   */
  endOfContent(from: number): number {
    const { text } = this;
    for (let at = from; at < text.length;) {
      if (at < this.#windowStart || at >= this.#windowEnd) this.#moveWindow(at);
      stringContent.lastIndex = at - this.#windowStart;
      stringContent.test(this.#window);
      at = this.#windowStart + stringContent.lastIndex;
      if (at === this.#windowEnd) continue;
      if (text[at] === quote) return at;
      if (!cutEscape.test(this.#window.slice(at - this.#windowStart))) return -1;
      if (this.#windowEnd === text.length) return at;
      this.#moveWindow(at);
    }
    return text.length;
  }

  #moveWindow(start: number): void {
    this.#windowStart = start;
    this.#windowEnd = Math.min(this.text.length, start + windowBytes);
    this.#window = this.text.toString('latin1', start, this.#windowEnd);
  }

  #skipObject(start: number, maxDepth: number): number {
    let at = this.enterObject(start);
    while (this.isInObject(at)) {
      const value = this.skipColon(this.skipString(at));
      at = value === -1 ? -1 : this.nextName(this.skipValue(value, maxDepth));
    }
    return at === -1 ? -1 : at + 1;
  }

  #skipArray(start: number, maxDepth: number): number {
    let at = this.skipSpaces(start + 1);
    if (this.text[at] === closeBracket) return at + 1;
    for (;;) {
      const end = this.skipValue(at, maxDepth);
      if (end === -1) return -1;
      at = this.skipSpaces(end);
      if (this.text[at] === closeBracket) return at + 1;
      if (this.text[at] !== comma) return -1;
      at = this.skipSpaces(at + 1);
    }
  }

  #skipWord(start: number, word: Buffer): number {
    for (let at = 0; at < word.length; at++) if (this.text[start + at] !== word[at]) return -1;
    return start + word.length;
  }

  /** RFC 8259 §6. */
  #skipNumber(start: number): number {
    const { text } = this;
    const first = text[start] === minus ? start + 1 : start;
    let at = text[first] === zero ? first + 1 : this.#skipDigits(first);
    if (at !== -1 && text[at] === point) at = this.#skipDigits(at + 1);
    if (at !== -1 && (text[at] === 0x65 || text[at] === 0x45)) {
      const hasSign = text[at + 1] === 0x2b || text[at + 1] === minus;
      at = this.#skipDigits(hasSign ? at + 2 : at + 1);
    }
    return at;
  }

  #skipDigits(start: number): number {
    let at = start;
    for (; at < this.text.length; at++) {
      const byte = this.text[at] ?? 0;
      if (byte < zero || byte > nine) break;
    }
    return at === start ? -1 : at;
  }
}
