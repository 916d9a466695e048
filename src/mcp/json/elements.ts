import { endOfValue } from './locate-members.ts';

const comma = 0x2c;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/**
 * Cuts a JSON array into its elements, without making values of them: an array of the largest size may hold millions.
 * Whether each element is JSON is for whoever reads it to find out.
 * @returns undefined where the text is no array; `too many` as soon as there are more than `maxCount`.
 */
export function elementsOf(text: Buffer, maxCount: number): readonly Buffer[] | 'too many' | undefined {
  const elements: Buffer[] = [];
  let at = skipSpace(text, skipSpace(text, 0) + 1);
  if (text[at] === closeBracket) return skipSpace(text, at + 1) === text.length ? elements : undefined;
  for (;;) {
    const end = endOfValue(text, at);
    if (end === at) return undefined;
    if (elements.length === maxCount) return 'too many';
    // Copied: what is kept of a batch must not keep all of it.
    elements.push(Buffer.from(text.subarray(at, end)));
    at = skipSpace(text, end);
    if (text[at] === closeBracket) return skipSpace(text, at + 1) === text.length ? elements : undefined;
    if (text[at] !== comma) return undefined;
    at = skipSpace(text, at + 1);
  }
}

/** Whether the first thing in a text is the bracket that opens an array. */
export function isArray(text: Buffer): boolean {
  return text[skipSpace(text, 0)] === openBracket;
}

/** White space (RFC 8259 §2). */
function skipSpace(text: Buffer, from: number): number {
  let at = from;
  while (text[at] === 0x20 || text[at] === 0x0a || text[at] === 0x0d || text[at] === 0x09) at++;
  return at;
}
