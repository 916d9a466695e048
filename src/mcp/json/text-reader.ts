import { isUtf8 } from 'node:buffer';

import { PieceCollector, piecesOf, type Bytes } from '../../platform/bytes.ts';
import { JsonScanner, quote } from './scan.ts';

/** Smallest text of which strings are elided, in bytes: for a shorter one it costs about as much as it saves. */
const minElidedBytes = 16 * 1024;

/** Shortest string that is elided, in bytes: ids, tokens, names, cursors and URIs are shorter. */
const minStringBytes = 4 * 1024;

/**
 * Average length of strings, in bytes, below which elision costs more than it saves. It stops only after `maxShortStrings`,
 * since a long string may follow short ones.
 */
const minStringDistance = 64;
const maxShortStrings = 4096;

const placeholder: Buffer = Buffer.from('null');

/** A character has up to four bytes (RFC 3629 §3). */
const maxContinuationBytes = 3;

const nothing: Buffer = Buffer.alloc(0);

/** The properties of a JSON text that are known before it is parsed. */
export interface TextFindings {
  readonly isUtf8: boolean;
  /** The text with `null` in place of each long string, if that is much shorter. */
  readonly elided?: Buffer | undefined;
}

export function readText(text: Bytes): TextFindings {
  if (Buffer.isBuffer(text) && text.length < minElidedBytes) return { isUtf8: isUtf8(text) };
  const reader = new TextReader();
  for (const piece of piecesOf(text)) reader.push(piece);
  return reader.end();
}

/** Reads a long text as it arrives, so that little is left to do after the last piece. */
export class TextReader {
  #elider: StringElider | undefined = new StringElider();
  #length = 0;
  #isUtf8 = true;
  /** The beginning of a character or an escape that continues in the next piece. */
  #held = nothing;

  push(piece: Buffer): void {
    this.#length += piece.length;
    if (!this.#isUtf8) return;
    const text = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
    const characters = text.subarray(0, endOfCharacters(text));
    this.#isUtf8 = isUtf8(characters);
    const taken = this.#isUtf8 ? this.#elider?.push(characters) : undefined;
    if (taken === undefined) this.#elider = undefined;
    this.#held = text.subarray(taken ?? characters.length);
  }

  end(): TextFindings {
    return {
      isUtf8: this.#isUtf8 && isUtf8(this.#held),
      // A short text is parsed whole, however many pieces it has.
      elided: this.#length >= minElidedBytes ? this.#elider?.end() : undefined,
    };
  }
}

/** Start of an incomplete last character, or the end of the text. */
function endOfCharacters(text: Buffer): number {
  for (let at = text.length - 1; at >= 0 && text.length - at <= maxContinuationBytes; at--) {
    const byte = text[at] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return text.length - at < length ? at : text.length;
  }
  return text.length;
}

/**
 * Replaces the long strings of a JSON text, for callers that need only its structure and short members: parsing a mebibyte
 * takes two milliseconds and leaves as much garbage. The strings are checked as a parser would. A long name of a member is
 * replaced too, so that the result is not JSON.
 */
class StringElider {
  readonly #kept = new PieceCollector();
  /** The parts of the current string in earlier pieces, with its quote. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #isInString = false;
  #hasElided = false;
  #strings = 0;
  #bytes = 0;

  /**
   * @param piece whole characters of UTF-8.
   * @returns how much of it was read: an incomplete escape at its end has to be pushed again. Undefined if the text is not JSON
   * or elision is not worth it; then nothing more may be pushed.
   */
  push(piece: Buffer): number | undefined {
    const scanner = new JsonScanner(piece);
    this.#bytes += piece.length;
    let taken = piece.length;
    /** The start of the part that has been neither kept nor elided, and of the current string. */
    let rest = 0;
    let start = 0;
    for (let at = 0; ;) {
      if (!this.#isInString) {
        start = piece.indexOf(quote, at);
        if (start === -1) break;
        if (++this.#strings > maxShortStrings + this.#bytes / minStringDistance) return undefined;
        this.#isInString = true;
        at = start + 1;
      }
      const end = scanner.endOfContent(at);
      if (end === -1) return undefined;
      if (piece[end] !== quote) {
        taken = end;
        break;
      }
      this.#isInString = false;
      at = end + 1;
      if (this.#pendingBytes + at - start < minStringBytes) {
        for (const earlier of this.#pending) this.#kept.push(earlier);
      } else {
        this.#kept.push(piece.subarray(rest, start));
        this.#kept.push(placeholder);
        rest = at;
        this.#hasElided = true;
      }
      this.#pending = [];
      this.#pendingBytes = 0;
    }
    if (!this.#isInString) {
      this.#kept.push(piece.subarray(rest));
      return taken;
    }
    this.#kept.push(piece.subarray(rest, start));
    this.#pendingBytes += taken - start;
    // The content of a string that is already long enough to be elided is not kept.
    if (this.#pendingBytes < minStringBytes) this.#pending.push(piece.subarray(start, taken));
    else this.#pending = [];
    return taken;
  }

  /** The elided text; undefined if nothing was elided, or the text ends within a string. */
  end(): Buffer | undefined {
    return this.#isInString || !this.#hasElided ? undefined : this.#kept.takeWhole();
  }
}
