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

/** Blocks into which short pieces are copied, in bytes: from one for a short message to one for a stream. */
const minBlockBytes = 1024;
const maxBlockBytes: number = 64 * 1024;

/**
 * Collects bytes that come piece by piece. Short pieces are copied together: a Buffer of one byte takes a hundred, and
 * keeps all that it was cut from.
 */
export class PieceCollector {
  /** Of all pieces so far, in bytes. */
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

  /** All of them, in order. The collector is empty afterwards. */
  take(): Buffer[] {
    this.#endBlock();
    const pieces = this.#pieces;
    this.#pieces = [];
    this.length = 0;
    return pieces;
  }

  /** As `take`, in one piece. */
  takeWhole(): Buffer {
    const { length } = this;
    return inOnePiece(gather(this.take(), length));
  }
}

export function piecesOf(bytes: Bytes): readonly Buffer[] {
  return Buffer.isBuffer(bytes) ? [bytes] : bytes.pieces;
}

/** Costs a copy where there are several pieces. */
export function inOnePiece(bytes: Bytes): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.concat(bytes.pieces, bytes.length);
}
