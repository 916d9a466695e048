/** What a JSON string can hold (RFC 8259 §7), in bytes. Never fails, so it never backtracks. */
const content = /(?:[\x20\x21\x23-\x5b\x5d-\xff]+|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*/y;

const backslash = 0x5c;
const longestEscape = String.raw`\u0000`.length;

/** What is matched at once, in bytes: each escape takes some of the stack of a regular expression. */
export const contentBlockBytes: number = 64 * 1024;
const firstBlockBytes = 256;

/**
 * Reads on within a string. A mebibyte takes half a millisecond, and twice that if all of it is escaped.
 * @param text in which each character is a byte (ISO 8859-1), at most `contentBlockBytes` long.
 * @param from the index after the opening quote, or within the string but not within an escape.
 * @returns the index of the first character that a string cannot hold: its closing quote, a control character, the
 * backslash of a wrong or unfinished escape, or the end of the text.
 */
export function endOfContent(text: string, from: number): number {
  content.lastIndex = from;
  content.test(text);
  return content.lastIndex;
}

/** As `endOfContent`, in bytes of any number. */
export function endOfContentIn(text: Buffer, from: number): number {
  let at = from;
  for (let size = firstBlockBytes; ; size = Math.min(2 * size, contentBlockBytes)) {
    const block = text.toString('latin1', at, at + size);
    const end = endOfContent(block, 0);
    at += end;
    const isCut = end === block.length || (text[at] === backslash && block.length - end < longestEscape);
    if (!isCut || at === text.length || end === 0) return at;
  }
}

/** Whether a text, from where its content ends, may go on as a string that is cut within an escape. */
export function isCutEscape(text: string, from: number): boolean {
  return text.length - from < longestEscape && /^(?:\\(?:u[\da-fA-F]{0,3})?)?$/.test(text.slice(from));
}
