import { inOnePiece, piecesOf, type Bytes } from '../platform/bytes.ts';
import type { RequestId } from './rpc-message.ts';
import { spanOf } from './json/locate-members.ts';

/** Begins an id that is a number kept as text; no string of a message is taken as an id when it begins so. */
const mark = '\u0000';

const valueEnds: ReadonlySet<number | undefined> = new Set([0x20, 0x2c, 0x7d]);

/**
 * An id or a progress token of a message, exactly as it was written: of a number that JavaScript would write otherwise
 * (beyond 2^53, or `1.0`), the text is kept, since two that differ may be the same to JSON.parse.
 * @param value what JSON.parse has made of it.
 * @param text the message; looked at only where the value is a number.
 * @param path the names of the members from the outermost object to the value.
 * @returns undefined where the value is neither a string nor a number.
 */
export function exactValue(value: unknown, text: Bytes, path: readonly string[]): RequestId | undefined {
  if (typeof value === 'string') return value.startsWith(mark) ? undefined : value;
  if (typeof value !== 'number') return undefined;
  if (Number.isSafeInteger(value) && isWrittenPlainly(value, text, path.at(-1) ?? '')) return value;
  const whole = inOnePiece(text);
  const span = spanOf(whole, path);
  const written = span === undefined ? String(value) : whole.toString('latin1', span.start, span.end);
  return written === String(value) ? value : mark + written;
}

/** A short look, which spares nearly all messages the search for the member. */
function isWrittenPlainly(value: number, text: Bytes, name: string): boolean {
  const usual = `"${name}":${value}`;
  return piecesOf(text).some((piece) => {
    const at = piece.indexOf(usual, 0, 'latin1');
    return at !== -1 && valueEnds.has(piece[at + usual.length]);
  });
}

/** The id as JSON, as its sender wrote it where it is a number. */
export function jsonOfId(id: RequestId): string {
  return isKeptAsText(id) ? id.slice(mark.length) : JSON.stringify(id);
}

/** Whether a JSON parser may make another number of this id than its sender wrote. */
export function isKeptAsText(id: RequestId): id is string {
  return typeof id === 'string' && id.startsWith(mark);
}

/** The number that is meant by an id, where it is a whole one that JavaScript can hold; as the official clients read it. */
export function wholeNumberOf(id: RequestId): number | undefined {
  if (typeof id === 'number') return id;
  const text = isKeptAsText(id) ? id.slice(mark.length) : id;
  const number = Number(text);
  return text.trim() !== '' && Number.isSafeInteger(number) ? number : undefined;
}
