/** Pieces of this size on average cost less to be handed on one by one than to be joined, in bytes. */
const minPieceBytes = 8 * 1024;

/**
 * Bytes in one piece or, where they are many, in the pieces in which they came: to join a mebibyte costs more than all
 * else that is done with it, and as much memory again.
 */
export type Bytes = Buffer | Pieces;

export interface Pieces {
  readonly pieces: readonly Buffer[];
  /** Of all of them, in bytes. */
  readonly length: number;
  /** As UTF-8. */
  toString(): string;
}

/** Bytes as text, each byte a character (ISO 8859-1): short ones take less room and time than in a buffer. */
export type ByteText = string;

/** Up to here bytes cost less as text, in bytes. */
const maxTextBytes = 4096;

export function asTextIfShort(bytes: Bytes): Bytes | ByteText {
  return bytes.length <= maxTextBytes ? inOnePiece(bytes).toString('latin1') : bytes;
}

/**
 * Puts together what has come piece by piece.
 * @param length of all of them, in bytes.
 */
export function gather(pieces: readonly Buffer[], length: number): Bytes {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  if (length <= pieces.length * minPieceBytes) return Buffer.concat(pieces, length);
  return { pieces, length, toString: () => Buffer.concat(pieces, length).toString() };
}

export function piecesOf(bytes: Bytes): readonly Buffer[] {
  return Buffer.isBuffer(bytes) ? [bytes] : bytes.pieces;
}

/** Costs a copy where there are several pieces. */
export function inOnePiece(bytes: Bytes): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.concat(bytes.pieces, bytes.length);
}
