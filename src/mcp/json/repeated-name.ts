import { closeBrace, colon, endOfString, openBrace, quote, skipSpace } from './scan.ts';

/**
 * A name that two members of an object in a JSON text have, however deep: some parsers take the first of them, some the last
 * (RFC 8259 §4). Undefined if there is none.
 * @param text that JSON.parse has accepted.
 */
export function repeatedName(text: Buffer): string | undefined {
  /** Names of the objects that are open, the innermost last. */
  const open: Set<string>[] = [];
  for (let at = 0; at < text.length; at++) {
    const byte = text[at];
    if (byte === openBrace) open.push(new Set());
    else if (byte === closeBrace) open.pop();
    if (byte !== quote) continue;
    const end = endOfString(text, at);
    if (text[skipSpace(text, end)] === colon) {
      const name = String(JSON.parse(text.toString('utf8', at, end)));
      const names = open.at(-1);
      if (names?.has(name) === true) return name;
      names?.add(name);
    }
    at = end - 1;
  }
  return undefined;
}
