import { escapable, hexDigits, marks } from './string-bytes.ts';
import { createStringScan, maxScannedBytes, type StringScan } from './string-scan.ts';

const quote = 0x22;
const backslash = 0x5c;
const letterU = 0x75;

/** What must come next within a string: anything, the character behind a backslash, or so many digits of `\u0000`. */
const anything = 0;
const digits = 4;
const escaped = 5;

/** A piece that is shorter is read as quickly byte by byte, in bytes. */
const minScannedBytes = 256;

/** Made when the first piece comes that is long. Where there can be none (see there), a mebibyte takes two milliseconds. */
let scan: StringScan | undefined;
let isScanMade = false;
/** How many times it was given something to scan: so a reader knows whether what it gave is still there. */
let loads = 0;

/** Where the reading of a string stands, from one piece to the next. */
export interface StringState {
  due: number;
}

export function startOfString(): StringState {
  return { due: anything };
}

/** Reads strings in a piece of a JSON text (RFC 8259 §7) that is valid UTF-8. */
export interface StringReader {
  /**
   * Reads on within a string. A mebibyte takes a quarter of a millisecond, and twice that where all of it is escaped.
   * @param from where in the piece: behind the quote that opens the string, or 0 in a further piece.
   * @returns where its closing quote is, the length of the piece where it goes on in the next one, or -1: no string of
   * JSON begins like that.
   */
  endOf(from: number, state: StringState): number;
}

export function readStrings(piece: Buffer): StringReader {
  /** What the scan was given of the piece. */
  let scannedFrom = 0;
  let scannedTo = 0;
  let load = 0;

  /** The next place that has to be looked at. */
  function skip(plain: StringScan, from: number): number {
    let at = from;
    while (at < piece.length) {
      if (load !== loads || at < scannedFrom || at >= scannedTo) {
        scannedFrom = at;
        scannedTo = Math.min(piece.length, at + maxScannedBytes);
        plain.load(piece.subarray(scannedFrom, scannedTo));
        load = ++loads;
      }
      at = scannedFrom + plain.next(at - scannedFrom);
      if (at < scannedTo) return at;
    }
    return at;
  }

  return {
    endOf(from, state) {
      const plain = piece.length < minScannedBytes ? undefined : theScan();
      for (let at = from; at < piece.length; at++) {
        if (state.due === anything) {
          at = plain === undefined ? skipBytes(piece, at) : skip(plain, at);
          const byte = piece[at];
          if (byte === undefined) break;
          if (byte !== backslash) return byte === quote ? at : -1;
          state.due = escaped;
        } else {
          state.due = dueBehind(piece[at] ?? 0, state.due);
          if (state.due === -1) return -1;
        }
      }
      return piece.length;
    },
  };
}

function skipBytes(piece: Buffer, from: number): number {
  let at = from;
  while (at < piece.length && marks[piece[at] ?? 0] === 0) at++;
  return at;
}

function theScan(): StringScan | undefined {
  if (!isScanMade) scan = createStringScan();
  isScanMade = true;
  return scan;
}

/** What must come behind this byte of an escape; -1 where it cannot stand there. */
function dueBehind(byte: number, due: number): number {
  if (due !== escaped) return hexDigits[byte] === 1 ? due - 1 : -1;
  if (byte === letterU) return digits;
  return escapable[byte] === 1 ? anything : -1;
}
