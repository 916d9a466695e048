import { isUtf8 } from 'node:buffer';

/** A character takes up to four bytes (RFC 3629 §3): so many may be in the pieces behind the one in which it begins. */
const maxContinuationBytes = 3;

const nothing: Buffer = Buffer.alloc(0);

/** Checks that a text is UTF-8 (RFC 3629), however it is cut into pieces. */
export interface Utf8Check {
  /** Returns false when it is none, whatever will come; then nothing more may be pushed. */
  push(piece: Buffer): boolean;
  /** Whether no character is left unfinished. */
  isComplete(): boolean;
}

export function createUtf8Check(): Utf8Check {
  /** Of a character that goes on in the next piece. */
  let begun = nothing;
  return {
    push(piece) {
      let start = 0;
      if (begun.length > 0) {
        while (start < maxContinuationBytes && isContinuation(piece[start])) start++;
        begun = Buffer.concat([begun, piece.subarray(0, start)]);
        if (start === piece.length && isUnfinished(begun)) return true;
        if (!isUtf8(begun)) return false;
      }
      const end = startOfUnfinished(piece, start);
      begun = piece.subarray(end);
      return isUtf8(piece.subarray(start, end));
    },
    isComplete: () => begun.length === 0,
  };
}

/** Where the last character begins when it does not end here, or else the end. */
function startOfUnfinished(piece: Buffer, from: number): number {
  for (let at = piece.length - 1; at >= from && piece.length - at <= maxContinuationBytes; at--) {
    if (!isContinuation(piece[at])) return isUnfinished(piece.subarray(at)) ? at : piece.length;
  }
  return piece.length;
}

/** Whether a character that begins like that has more bytes, whatever it is. */
function isUnfinished(bytes: Buffer): boolean {
  const [first = 0] = bytes;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  return bytes.length < length;
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
