// Walks over the bytes of a JSON text (RFC 8259) without making values of it. Nothing is checked: the text has been
// parsed, or will be. Of a text that is not JSON these functions may return anything, but they end.

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Up to here a string is read byte by byte, which costs less than a search for its end, in bytes. */
const shortStringBytes = 32;

/** White space of RFC 8259 §2. */
export function skipWhitespace(text: Buffer, from: number): number {
  let at = from;
  while (isWhitespace(text[at])) at++;
  return at;
}

function isWhitespace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** @returns the index after the quote that closes the string opened at `start`; the end of the text if none does. */
export function endOfString(text: Buffer, start: number): number {
  const near = Math.min(start + shortStringBytes, text.length);
  for (let at = start + 1; at < near; at++) {
    const byte = text[at];
    if (byte === quote) return at + 1;
    if (byte === backslash) at++;
  }
  for (let from = start + 1; ;) {
    const end = text.indexOf(quote, from);
    if (end === -1) return text.length;
    let backslashes = 0;
    while (end - 1 - backslashes > start && text[end - 1 - backslashes] === backslash) backslashes++;
    if (backslashes % 2 === 0) return end + 1;
    from = end + 1;
  }
}

/** @returns the index after the value at `start`; `start` itself if there is none. */
export function endOfValue(text: Buffer, start: number): number {
  const first = text[start];
  if (first === quote) return endOfString(text, start);
  if (first === openBrace || first === openBracket) return endOfContainer(text, start, Number.POSITIVE_INFINITY);
  let at = start;
  while (at < text.length && !isWhitespace(text[at]) && !isDelimiter(text[at])) at++;
  return at;
}

function isDelimiter(byte: number | undefined): boolean {
  return byte === comma || byte === colon || byte === closeBrace || byte === closeBracket;
}

/** @returns the index after the array or object at `start`; -1 if it nests deeper than `maxDepth`. */
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
 * Whether the arrays and objects of a text nest deeper than `maxDepth`. To be asked before parsing: sixteen million open
 * brackets would cost the parser half a gigabyte. Linear in the size, and almost free for a text with few brackets.
 */
export function exceedsDepth(text: Buffer, maxDepth: number): boolean {
  return hasManyOpeners(text, maxDepth) && endOfContainer(text, skipWhitespace(text, 0), maxDepth) === -1;
}

/** Whether the text has more than `count` opening brackets and braces, those inside strings included. */
function hasManyOpeners(text: Buffer, count: number): boolean {
  if (text.length <= count) return false;
  let openers = 0;
  for (const opener of [openBrace, openBracket]) {
    for (let at = text.indexOf(opener); at !== -1; at = text.indexOf(opener, at + 1)) {
      if (++openers > count) return true;
    }
  }
  return false;
}

/** Whether the text is an array, as far as its first character tells. */
export function isArray(text: Buffer): boolean {
  return text[skipWhitespace(text, 0)] === openBracket;
}

/**
 * Cuts a JSON array into its elements, without parsing them: an array of the largest size may hold millions.
 * @returns undefined if the text is not an array; `too many` as soon as there are more than `maxCount`.
 */
export function elementsOf(text: Buffer, maxCount: number): readonly Buffer[] | 'too many' | undefined {
  const elements: Buffer[] = [];
  let at = skipWhitespace(text, skipWhitespace(text, 0) + 1);
  const isEnd = (): boolean => text[at] === closeBracket && skipWhitespace(text, at + 1) === text.length;
  if (text[at] === closeBracket) return isEnd() ? elements : undefined;
  for (;;) {
    const end = endOfValue(text, at);
    if (end === at) return undefined;
    if (elements.length === maxCount) return 'too many';
    // Copied: an element that is kept must not keep the whole batch.
    elements.push(Buffer.from(text.subarray(at, end)));
    at = skipWhitespace(text, end);
    if (text[at] !== comma) return isEnd() ? elements : undefined;
    at = skipWhitespace(text, at + 1);
  }
}
