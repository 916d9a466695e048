import { endianness } from 'node:os';

const quote = 0x22;
const backslash = 0x5c;
const letterU = 0x75;

/** The bytes below this are control characters, which a JSON string may not hold (RFC 8259 §7). */
const firstCharacter = 0x20;

/** A word is four bytes that are looked at together: one at a time takes three times as long. */
const wordBytes = 4;

/** In each byte of a word: what ends a string, what begins an escape, and what stands in the usual ones. */
const quotes = 0x22222222;
const backslashes = 0x5c5c5c5c;
const letterNs = 0x6e6e6e6e;
const letterTs = 0x74747474;

/** In each byte of a word, its highest bit and the others; and the highest of the first byte, as it stands in memory. */
const highBits = 0x80808080;
const lowBits = 0x7f7f7f7f;
const firstHighBit = 0x80;

/**
 * With this bit turned over, quotes are the first byte behind the control characters, and nothing that is either becomes
 * another: one comparison finds both, of which those below are the two sides.
 */
const turned = 0x02020202;
const behindQuote = 0x21212121;
const upToBehindQuote = 0x5f5f5f5f;

/** What must come next within a string: anything, the character behind a backslash, or so many digits of `\u0000`. */
const anything = 0;
const digits = 4;
const escaped = 5;

const isMark = tableOf(Buffer.from('"\\'), Buffer.from(Array.from({ length: firstCharacter }, (_, code) => code)));
const escapable = tableOf(Buffer.from('"\\/bfnrt'));
const hexDigits = tableOf(Buffer.from('0123456789abcdefABCDEF'));

/** A piece of a JSON text, to be looked at by bytes and by words. */
export interface ReadablePiece {
  readonly bytes: Buffer;
  /** From the word in which the piece begins to the last that is whole. */
  readonly words: Int32Array;
  /** How many bytes the piece begins behind the start of its first word. */
  readonly offset: number;
}

/** Words are read as they stand in memory; on a machine that keeps the highest byte first there are none. */
const hasWords = endianness() === 'LE';

export function readable(bytes: Buffer): ReadablePiece {
  const offset = bytes.byteOffset % wordBytes;
  const wholeWords = hasWords ? Math.trunc((bytes.length + offset) / wordBytes) : 0;
  return { bytes, words: new Int32Array(bytes.buffer, bytes.byteOffset - offset, wholeWords), offset };
}

/** Where the reading of a string stands, from one piece to the next. */
export interface StringState {
  due: number;
}

export function startOfString(): StringState {
  return { due: anything };
}

/**
 * Reads on within a string of a JSON text (RFC 8259 §7) that is valid UTF-8. A mebibyte takes half a millisecond to a
 * whole one, depending on how much in it is escaped.
 * @param from where in the piece: behind the quote that opens the string, or 0 in a further piece.
 * @returns where its closing quote is, the length of the piece where it goes on in the next one, or -1: no string of
 * JSON begins like that.
 */
export function endOfString({ bytes, words, offset }: ReadablePiece, from: number, state: StringState): number {
  for (let at = from; ;) {
    if ((at + offset) % wordBytes === 0) at = skipWords(words, (at + offset) / wordBytes, state) * wordBytes - offset;
    // Byte by byte to the next word.
    do {
      if (at >= bytes.length) return bytes.length;
      const byte = bytes[at] ?? 0;
      if (state.due !== anything) {
        state.due = dueBehind(byte, state.due);
        if (state.due === -1) return -1;
      } else if (isMark[byte] === 1) {
        if (byte !== backslash) return byte === quote ? at : -1;
        state.due = escaped;
      }
      at++;
    } while ((at + offset) % wordBytes !== 0);
  }
}

/** What must come behind this byte of an escape; -1 where it cannot stand there. */
function dueBehind(byte: number, due: number): number {
  if (due !== escaped) return hexDigits[byte] === 1 ? due - 1 : -1;
  if (byte === letterU) return digits;
  return escapable[byte] === 1 ? anything : -1;
}

/**
 * Passes over words that hold nothing but characters and the usual escapes. Where a word is looked at in JavaScript, what
 * costs is a branch that is guessed wrong: so there is one for all that is plain, and one for all that is not usual.
 * @returns the first word that has to be looked at byte by byte, or the number of words.
 */
function skipWords(words: Int32Array, from: number, state: StringState): number {
  if (state.due !== anything && state.due !== escaped) return from;
  let at = state.due === anything ? skipPlainWords(words, from) : from;
  /** The highest bit of the first byte, where that is escaped by the last byte of the word before. */
  let carry = state.due === anything ? 0 : firstHighBit;
  for (; at < words.length; at++) {
    const word = words[at] ?? 0;
    const ordered = word ^ turned;
    const low = ~(((ordered & lowBits) + upToBehindQuote) | ordered);
    const slashed = zeros(word ^ backslashes);
    if ((((low | slashed) & highBits) | carry) === 0) continue;
    // The byte behind a backslash, which is the higher one in the word.
    const behind = ((slashed & highBits) << 8) | carry;
    const usual = zeros(word ^ quotes) | zeros(word ^ letterNs) | zeros(word ^ letterTs);
    // A quote or control character that is not escaped, a backslash that is, or what is not usual behind one.
    if ((((low & ~behind) | (slashed & behind)) & highBits) !== 0 || (behind & ~usual) !== 0) break;
    carry = (slashed >>> 24) & firstHighBit;
  }
  state.due = carry === 0 ? anything : escaped;
  return at;
}

/** The first word that may hold more than characters as they stand, at most three too early. */
function skipPlainWords(words: Int32Array, from: number): number {
  let at = from;
  for (const end = words.length - 3; at < end; at += 4) {
    const marks = marksIn(words[at]) | marksIn(words[at + 1]) | marksIn(words[at + 2]) | marksIn(words[at + 3]);
    if ((marks & highBits) !== 0) break;
  }
  return at;
}

/**
 * Has the highest bit of a byte of the word where that is a quote, a backslash or a control character. May have one too
 * many behind such a byte, and takes half as long as to know exactly.
 */
function marksIn(word = 0): number {
  const ordered = word ^ turned;
  const toBackslash = word ^ backslashes;
  return ((ordered - behindQuote) & ~ordered) | ((toBackslash - 0x01010101) & ~toBackslash);
}

/** Has the highest bit of exactly those bytes of the word that are zero; the other bits mean nothing. */
function zeros(word: number): number {
  return ~(((word & lowBits) + lowBits) | word);
}

/** A table that has 1 in the places of these bytes. */
function tableOf(...lists: readonly Buffer[]): Uint8Array {
  const table = new Uint8Array(256);
  for (const list of lists) for (const byte of list) table[byte] = 1;
  return table;
}
