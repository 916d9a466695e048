import { gather, PieceCollector, type Bytes } from '../bytes.ts';

const newline = 0x0a;
const carriageReturn = 0x0d;

export interface LineSplitterOptions {
  /** Longest line in bytes; a longer one is not kept. */
  readonly maxBytes: number;
  readonly onLine: (line: Bytes) => void;
  /** Called when a line becomes too long, and again when it ends, which may be never. */
  readonly onOverlong: (line: OverlongLine, isOver: boolean) => void;
  /** Called with each part of a line that arrives in several; with undefined when the line becomes too long. */
  readonly onPart?: (part: Buffer | undefined) => void;
}

/** The kept parts of a line that is too long: its size so far, and its first and last bytes (at most `edgeBytes` each). */
export interface OverlongLine {
  readonly size: number;
  readonly head: Buffer;
  readonly tail: Buffer;
}

export interface LineSplitter {
  push(chunk: Buffer): void;
  /** Returns the bytes after the last line break, if any; the splitter is empty afterwards. */
  flush(): Bytes | undefined;
}

/** How much of each end of an overlong line is kept, in bytes. */
export const edgeBytes = 1024;

/**
 * Cuts a byte stream into lines, without the line break (`\n` or `\r\n`). Every byte is read once and copied at most once,
 * in any number of chunks; a long line stays in the chunks in which it arrived.
 */
export function createLineSplitter({ maxBytes, onLine, onOverlong, onPart }: LineSplitterOptions): LineSplitter {
  const parts = new PieceCollector();
  let size = 0;
  let overlong: { head: Buffer; tail: Buffer } | undefined;

  function add(part: Buffer): void {
    // The last part must have the last byte.
    if (part.length === 0 && size > 0) return;
    size += part.length;
    if (overlong !== undefined) {
      overlong.tail = lastBytes([overlong.tail, part]);
    } else {
      parts.push(part);
      if (size <= maxBytes) return;
      const pieces = parts.take();
      overlong = { head: firstBytes(pieces), tail: lastBytes(pieces) };
      onPart?.(undefined);
      onOverlong({ size, ...overlong }, false);
    }
  }

  function take(): Bytes {
    const pieces = parts.take();
    const last = pieces.at(-1);
    if (last?.at(-1) === carriageReturn) {
      pieces[pieces.length - 1] = last.subarray(0, -1);
      size--;
    }
    const line = gather(pieces, size);
    size = 0;
    return line;
  }

  function endLine(): void {
    if (overlong === undefined) {
      onLine(take());
      return;
    }
    const line = { size, ...overlong };
    overlong = undefined;
    size = 0;
    onOverlong(line, true);
  }

  return {
    push(chunk) {
      let start = 0;
      for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
        const part = chunk.subarray(start, end);
        const isFurther = size > 0;
        add(part);
        if (isFurther && part.length > 0 && overlong === undefined) onPart?.(part);
        endLine();
        start = end + 1;
      }
      if (start === chunk.length) return;
      const part = chunk.subarray(start);
      add(part);
      if (overlong === undefined) onPart?.(part);
    },
    flush() {
      const rest = size > 0 && overlong === undefined ? take() : undefined;
      overlong = undefined;
      size = 0;
      return rest;
    },
  };
}

/** The first `edgeBytes` of a sequence of buffers, copied, so that the buffers are not retained. */
function firstBytes(parts: readonly Buffer[]): Buffer {
  const first = Buffer.alloc(edgeBytes);
  let filled = 0;
  for (const part of parts) filled += part.copy(first, filled);
  return first.subarray(0, filled);
}

function lastBytes(parts: readonly Buffer[]): Buffer {
  let tail = Buffer.alloc(0);
  for (const part of parts.toReversed()) {
    if (tail.length >= edgeBytes) break;
    tail = Buffer.concat([part.subarray(-(edgeBytes - tail.length)), tail]);
  }
  return tail;
}
