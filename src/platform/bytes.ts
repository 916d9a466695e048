/** Average size from which pieces are passed on faster one by one than joined, in bytes. */
const minPieceBytes = 8 * 1024;

/**
 * Bytes in one piece or, if there are many, in the pieces in which they arrived: joining a mebibyte costs more than all other
 * work on it, and as much memory again.
 */
export type Bytes = Buffer | Pieces;

export interface Pieces {
  readonly pieces: readonly Buffer[];
  /** Length of all pieces, in bytes. */
  readonly length: number;
  /** As UTF-8. */
  toString(): string;
}

/** Bytes as text, one character per byte (ISO 8859-1): a short one takes less memory and time than a buffer. */
export type ByteText = string;

/** Size up to which bytes cost less as text. */
const maxTextBytes = 4096;

export function asTextIfShort(bytes: Bytes): Bytes | ByteText {
  return bytes.length <= maxTextBytes ? inOnePiece(bytes).toString('latin1') : bytes;
}

/**
 * Joins pieces, if they are small on average.
 * @param length of all of them, in bytes.
 */
export function gather(pieces: readonly Buffer[], length: number): Bytes {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  if (length <= pieces.length * minPieceBytes) return Buffer.concat(pieces, length);
  return { pieces, length, toString: () => Buffer.concat(pieces, length).toString() };
}

/** Sizes of the blocks into which short pieces are copied, in bytes: the first for a short message, the last for a stream. */
const minBlockBytes = 1024;
const maxBlockBytes: number = 64 * 1024;

/**
 * Collects bytes that arrive in pieces. Short pieces are copied together: a Buffer of one byte takes a hundred, and retains
 * the memory that it is a part of.
 */
export class PieceCollector {
  /** Length of all pieces so far, in bytes. */
  length = 0;
  #pieces: Buffer[] = [];
  #block: Buffer | undefined;
  #filled = 0;

  push(piece: Buffer): void {
    if (piece.length === 0) return;
    this.length += piece.length;
    if (piece.length < minPieceBytes && this.length > piece.length) {
      this.#copy(piece);
      return;
    }
    this.#endBlock();
    this.#pieces.push(piece);
  }

  #copy(piece: Buffer): void {
    for (let at = 0; at < piece.length;) {
      if (this.#block === undefined || this.#filled === this.#block.length) {
        this.#endBlock();
        this.#block = Buffer.allocUnsafeSlow(Math.min(Math.max(minBlockBytes, this.length), maxBlockBytes));
      }
      const copied = piece.copy(this.#block, this.#filled, at);
      this.#filled += copied;
      at += copied;
    }
  }

  #endBlock(): void {
    if (this.#block !== undefined) this.#pieces.push(this.#block.subarray(0, this.#filled));
    this.#block = undefined;
    this.#filled = 0;
  }

  /** All pieces, in order. The collector is empty afterwards. */
  take(): Buffer[] {
    this.#endBlock();
    const pieces = this.#pieces;
    this.#pieces = [];
    this.length = 0;
    return pieces;
  }

  /** Like `take`, in one piece. */
  takeWhole(): Buffer {
    const { length } = this;
    return inOnePiece(gather(this.take(), length));
  }
}

export function piecesOf(bytes: Bytes): readonly Buffer[] {
  return Buffer.isBuffer(bytes) ? [bytes] : bytes.pieces;
}

/** Copies if there are several pieces. */
export function inOnePiece(bytes: Bytes): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.concat(bytes.pieces, bytes.length);
}
