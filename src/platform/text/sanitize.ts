import { stripVTControlCharacters } from 'node:util';

/** Longest remote text that is shown to a user or an operator, in characters. */
const maxSingleLineLength = 500;

/**
 * Remote text for a terminal: removes colours, cursor movements, bells, right-to-left overrides and line breaks, but not tabs.
 */
export function sanitize(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/(?!\t)\p{Cc}|\p{Bidi_Control}/gu, '');
}

/** The beginning of a remote text, on one line of at most `maxLength` UTF-16 units, to be quoted in a message. */
export function excerpt(text: string, maxLength = 200): string {
  // Cut first, since the rest may be megabytes.
  const shown = sanitize(text.slice(0, 4 * maxLength)).slice(0, maxLength);
  return shown.replace(/[\uD800-\uDBFF]$/, '');
}

/**
 * Remote text for a terminal: on one line, cut, and without control, format or lone surrogate characters, which could move
 * the cursor, reverse the line or imitate another one.
 */
export function toSingleLine(text: string): string {
  // Cut first, so that the work is bounded; the characters of a cut pair count as lone.
  const short = text.length <= maxSingleLineLength ? text : `${text.slice(0, maxSingleLineLength - 1)}…`;
  return short.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]+/gu, ' ').trim();
}

/** A text in the quotes of JSON, with what a terminal would not show as an escape: whoever reads it should see that it is there. */
export function quote(text: string): string {
  return JSON.stringify(text).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => String.raw`\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}
