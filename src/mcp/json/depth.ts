const quote = 0x22;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/**
 * Whether the arrays and objects of a JSON text nest deeper than `maxDepth`. Works on bytes, before parsing: sixteen
 * million open brackets would cost the parser half a gigabyte. The text need not be valid JSON.
 *
 * Linear in the size, and almost free for what is usual: a text with few brackets is not walked through.
 */
export function exceedsDepth(text: Buffer, maxDepth: number): boolean {
  if (text.length <= maxDepth || !hasManyOpeners(text, maxDepth)) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at];
    if (byte === quote) {
      at = endOfString(text, at + 1);
    } else if (byte === openBracket || byte === openBrace) {
      if (++depth > maxDepth) return true;
    } else if (byte === closeBracket || byte === closeBrace) {
      depth--;
    }
  }
  return false;
}

/** Whether the text has more than `count` opening brackets and braces, those inside strings included. */
function hasManyOpeners(text: Buffer, count: number): boolean {
  let openers = 0;
  for (const opener of [openBrace, openBracket]) {
    for (let at = text.indexOf(opener); at !== -1; at = text.indexOf(opener, at + 1)) {
      if (++openers > count) return true;
    }
  }
  return false;
}

/** Index of the quote that closes the string whose content starts at `start`, or the end of the text. */
function endOfString(text: Buffer, start: number): number {
  for (let from = start; ;) {
    const end = text.indexOf(quote, from);
    if (end === -1) return text.length;
    let escapes = 0;
    while (end - 1 - escapes >= start && text[end - 1 - escapes] === backslash) escapes++;
    if (escapes % 2 === 0) return end;
    from = end + 1;
  }
}
