import { PieceCollector } from '../../platform/bytes.ts';
import { contentBlockBytes, endOfContent, isCutEscape } from './string-content.ts';

const nothing: Buffer = Buffer.alloc(0);

/** A string as long as this is content: no id, token, name, cursor or URI, in bytes. */
const minStringBytes = 4 * 1024;

/**
 * Where strings are shorter than this on average, in bytes, eliding costs more than it saves; but a long string may
 * follow so many short ones.
 */
const minStringDistance = 64;
const maxShortStrings = 4096;

/** In place of an elided string, so that nobody takes it for the string. */
const placeholder: Buffer = Buffer.from('null');

/**
 * Elides long strings of a JSON text, for a parser that needs only its structure and its short members: to parse a
 * mebibyte costs two milliseconds and as much garbage, to skip it half of one and none. `null` takes the place of each.
 *
 * An elided string is checked as a parser would. A long name of a member is elided as well, which leaves a text that is
 * not JSON.
 */
export class LongStringElider {
  readonly #kept = new PieceCollector();
  /** The string that is being read, as far as it is in earlier pieces, from its quote on. Let go once it is long. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #isInString = false;
  /** An escape that is cut by the end of the last piece. */
  #cutEscape = nothing;
  #hasElided = false;
  #stringCount = 0;
  #readBytes = 0;

  /** @param piece of a text that is valid UTF-8. Returns false if eliding is not worth it, or the text is not JSON; then it is over. */
  push(piece: Buffer): boolean {
    for (let at = 0; at < piece.length; at += contentBlockBytes) {
      if (!this.#pushBlock(piece.subarray(at, at + contentBlockBytes))) return false;
    }
    return true;
  }

  /** What is left; undefined if nothing was elided, or the text ends within a string. */
  end(): Buffer | undefined {
    return this.#isInString || !this.#hasElided ? undefined : this.#kept.takeWhole();
  }

  #pushBlock(read: Buffer): boolean {
    const block = this.#cutEscape.length === 0 ? read : Buffer.concat([this.#cutEscape, read]);
    const text = block.toString('latin1');
    this.#readBytes += read.length;
    this.#cutEscape = nothing;
    /** Where what has been neither kept nor elided starts, and where the current string does. */
    let rest = 0;
    let start = 0;
    let end = 0;
    for (let at = 0; ;) {
      if (!this.#isInString) {
        start = text.indexOf('"', at);
        if (start === -1) break;
        if (++this.#stringCount > maxShortStrings + this.#readBytes / minStringDistance) return false;
        this.#isInString = true;
        at = start + 1;
      }
      end = endOfContent(text, at);
      if (text[end] !== '"') break;
      this.#isInString = false;
      at = end + 1;
      if (this.#pendingBytes + at - start < minStringBytes) {
        for (const earlier of this.#pending) this.#kept.push(earlier);
      } else {
        this.#kept.push(block.subarray(rest, start));
        this.#kept.push(placeholder);
        rest = at;
        this.#hasElided = true;
      }
      this.#pending = [];
      this.#pendingBytes = 0;
    }
    if (!this.#isInString) {
      this.#kept.push(block.subarray(rest));
      return true;
    }
    if (!isCutEscape(text, end)) return false;
    this.#cutEscape = Buffer.from(block.subarray(end));
    this.#kept.push(block.subarray(rest, start));
    this.#pendingBytes += end - start;
    if (this.#pendingBytes < minStringBytes) this.#pending.push(block.subarray(start, end));
    else this.#pending = [];
    return true;
  }
}
