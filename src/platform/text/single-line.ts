/** Longest sentence from the other end that is shown to a user or an operator, in characters. */
const maxSingleLineLength = 500;

/**
 * Outside text as it may stand on a terminal: one line, cut, and without control, format or lone surrogate characters,
 * which could move the cursor, reverse the line or fake another one.
 */
export function toSingleLine(text: string): string {
  // Cut first, so that the work is bounded; the characters of a cut pair count as lone.
  const short = text.length <= maxSingleLineLength ? text : `${text.slice(0, maxSingleLineLength - 1)}…`;
  return short.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]+/gu, ' ').trim();
}
