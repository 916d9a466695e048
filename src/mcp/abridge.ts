import { isStringContent } from './string-content.ts';

const quote = 0x22;
const backslash = 0x5c;

/** A text shorter than this is parsed as quickly as it is looked through, in bytes. */
const minTextBytes = 16 * 1024;

/** A string as long as this is content: no id, token, name, cursor or URI, in bytes. */
const minStringBytes = 4 * 1024;

/** Where quotes stand closer together than this on average, cutting costs more than it saves, in bytes. */
const minQuoteDistance = 32;

/** Likewise for escapes: each takes as long as to parse 16 bytes. */
const minEscapeDistance = 16;

/** What stands for a string that was cut out, so that nobody takes it for the string. */
const placeholder: Buffer = Buffer.from('null');

/**
 * A JSON text without the contents of its long strings, for whoever needs only its structure and its short members: to
 * parse a megabyte costs two milliseconds and as much garbage, to skip it next to nothing. In the place of each long
 * string stands `null`. Undefined where that is not worth it, or a long string is none that JSON has.
 *
 * What is cut out has been checked, as a parser would have done. A long name of a member is cut out as well, and leaves a
 * text that is no JSON.
 * @param text valid UTF-8.
 */
export function abridge(text: Buffer): Buffer | undefined {
  if (text.length < minTextBytes) return undefined;
  const kept: Buffer[] = [];
  let keptFrom = 0;
  let quotes = Math.trunc(text.length / minQuoteDistance);
  for (let start = text.indexOf(quote); start !== -1; start = text.indexOf(quote, start + 1)) {
    let end = text.indexOf(quote, start + 1);
    while (end !== -1 && isEscaped(text, end, start) && quotes-- > 0) end = text.indexOf(quote, end + 1);
    if (end === -1 || (quotes -= 2) < 0) return undefined;
    if (end - start >= minStringBytes) {
      if (!isStringContent(text, start + 1, end, (end - start) / minEscapeDistance)) return undefined;
      kept.push(text.subarray(keptFrom, start), placeholder);
      keptFrom = end + 1;
    }
    start = end;
  }
  if (keptFrom === 0) return undefined;
  kept.push(text.subarray(keptFrom));
  return Buffer.concat(kept);
}

/** Whether an odd number of backslashes stands before the quote, in the string that opens at `start`. */
function isEscaped(text: Buffer, at: number, start: number): boolean {
  let before = at - 1;
  while (before > start && text[before] === backslash) before--;
  return (at - 1 - before) % 2 === 1;
}
