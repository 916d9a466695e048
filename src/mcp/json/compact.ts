import { endOfString, quote, skipSpace } from './scan.ts';

/**
 * A JSON text without white space and needless escapes, to be read by people. Numbers stay as they are written, which
 * JSON.stringify does not do: it rounds them, and has `null` for `1e999`.
 * @param text that JSON.parse has accepted.
 */
export function compactJson(text: Buffer): string {
  const parts: string[] = [];
  for (let at = skipSpace(text, 0); at < text.length; at = skipSpace(text, at)) {
    const start = at;
    if (text[at] === quote) {
      at = endOfString(text, at);
      parts.push(JSON.stringify(JSON.parse(text.toString('utf8', start, at))));
    } else {
      while (at < text.length && text[at] !== quote && skipSpace(text, at) === at) at++;
      parts.push(text.toString('latin1', start, at));
    }
  }
  return parts.join('');
}
