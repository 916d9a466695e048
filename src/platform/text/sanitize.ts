import { stripVTControlCharacters } from 'node:util';

/**
 * Words of others for our terminal: no colours, no cursor movements, no bells, no text that runs backwards.
 * Tabs stay, line breaks do not.
 */
export function sanitize(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/(?!\t)\p{Cc}|\p{Bidi_Control}/gu, '');
}

/** The beginning of what others say, in one line of at most so many UTF-16 units, for our own sentences. */
export function excerpt(text: string, maxLength: number): string {
  // What is not shown is not looked at, either: it may be megabytes.
  const shown = sanitize(text.slice(0, 4 * maxLength)).slice(0, maxLength);
  return shown.replace(/[\uD800-\uDBFF]$/, '');
}
