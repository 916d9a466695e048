import { PieceCollector } from '../../platform/bytes.ts';
import { readStrings, startOfString } from './string-reader.ts';

const quote = 0x22;

/** A string as long as this is content: no id, token, name, cursor or URI, in bytes. */
const minStringBytes = 4 * 1024;

/**
 * Where strings are shorter than this on average, in bytes, cutting costs more than it saves; but a long one may come
 * behind so many short ones.
 */
const minStringDistance = 64;
const maxShortStrings = 4096;

/** What stands for a string that was cut out, so that nobody takes it for the string. */
const placeholder: Buffer = Buffer.from('null');

/**
 * Cuts the contents of long strings out of a JSON text, for whoever needs only its structure and its short members: to
 * parse a megabyte costs two milliseconds and as much garbage, to skip it a quarter of one and none. In the place of each
 * long string stands `null`.
 *
 * What is cut out has been checked, as a parser would have done. A long name of a member is cut out as well, and leaves a
 * text that is no JSON.
 */
export interface LongStringElider {
  /** @param piece of a text that is valid UTF-8. Returns false when it is not worth it, or no JSON; then it is over. */
  push(piece: Buffer): boolean;
  /** What is left; undefined where nothing was cut out, or the text has no end. */
  end(): Buffer | undefined;
}

export function createLongStringElider(): LongStringElider {
  const kept = new PieceCollector();
  /** Of the string that is being read, what stands in earlier pieces, with its quote. */
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let isInString = false;
  let state = startOfString();
  let hasCut = false;
  let stringCount = 0;
  let read = 0;

  return {
    push(piece) {
      const strings = readStrings(piece);
      read += piece.length;
      /** Where the rest begins that has been neither kept nor cut out, and where the string does that is being read. */
      let rest = 0;
      let start = 0;
      for (let at = 0; ;) {
        if (!isInString) {
          start = piece.indexOf(quote, at);
          if (start === -1) break;
          if (++stringCount > maxShortStrings + read / minStringDistance) return false;
          isInString = true;
          state = startOfString();
          at = start + 1;
        }
        const end = strings.endOf(at, state);
        if (end === -1) return false;
        if (end === piece.length) break;
        isInString = false;
        at = end + 1;
        if (pendingBytes + at - start < minStringBytes) {
          for (const earlier of pending) kept.push(earlier);
        } else {
          kept.push(piece.subarray(rest, start));
          kept.push(placeholder);
          rest = at;
          hasCut = true;
        }
        pending = [];
        pendingBytes = 0;
      }
      if (isInString) {
        kept.push(piece.subarray(rest, start));
        pendingBytes += piece.length - start;
        // What is long enough to be cut out need not be kept until its end.
        if (pendingBytes < minStringBytes) pending.push(piece.subarray(start));
        else pending = [];
      } else {
        kept.push(piece.subarray(rest));
      }
      return true;
    },
    end: () => (isInString || !hasCut ? undefined : kept.takeWhole()),
  };
}
