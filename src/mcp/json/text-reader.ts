import { isUtf8 } from 'node:buffer';

import { piecesOf, type Bytes } from '../../platform/bytes.ts';
import { LongStringElider } from './elide-long-strings.ts';
import { createUtf8Check } from './utf8.ts';

/** Up to here, to cut a text costs about what it saves, in bytes. */
const minElidedBytes = 16 * 1024;

/** What is known of a JSON text before it is parsed. */
export interface TextFindings {
  readonly isUtf8: boolean;
  /** What a parser needs of it (see abridge.ts), where that is much less than all. */
  readonly elided?: Buffer | undefined;
}

/**
 * Looks through a long text while it comes: its last piece is hardly here when all others are done with, and each is
 * looked at while it is still near the processor.
 */
export interface TextReader {
  push(piece: Buffer): void;
  /** All has come. */
  end(): TextFindings;
}

export function createTextReader(): TextReader {
  const check = createUtf8Check();
  let elider: LongStringElider | undefined = new LongStringElider();
  let length = 0;
  let isText = true;
  return {
    push(piece) {
      length += piece.length;
      isText &&= check.push(piece);
      // What it has kept is let go with it.
      if (!isText || elider?.push(piece) === false) elider = undefined;
    },
    end: () => ({
      isUtf8: isText && check.isComplete(),
      // Of a short one all is parsed, in however many pieces it came.
      elided: length >= minElidedBytes ? elider?.end() : undefined,
    }),
  };
}

/** Looks through a text that is here. */
export function readText(text: Bytes): TextFindings {
  if (Buffer.isBuffer(text) && text.length < minElidedBytes) return { isUtf8: isUtf8(text) };
  const reader = createTextReader();
  for (const piece of piecesOf(text)) reader.push(piece);
  return reader.end();
}
