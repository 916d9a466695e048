/** Largest buffer of a standard stream, in bytes; while it is full, lines are dropped. */
const maxWaitingBytes: number = 1024 * 1024;

export interface LineWriter {
  /**
   * Writes a line, or drops it while nobody reads the stream.
   * @param line a function, so that a dropped line costs nothing.
   */
  write(line: () => string): void;
  /** Writes a line even if the buffer is full; only for the few lines that must not be lost. */
  writeAlways(line: string): void;
}

/**
 * Writes lines to a stream that may be a pipe that nobody reads, of which Node would buffer all lines.
 * @param droppedLine says how many lines were dropped; written when the stream is read again.
 * @param textOf what is written for a line.
 */
export function createLineWriter(
  stream: NodeJS.WriteStream,
  droppedLine: (count: number) => string,
  textOf: (line: string) => string = (line) => `${line}\n`,
): LineWriter {
  let dropped = 0;

  function drop(): void {
    if (++dropped > 1) return;
    stream.once('drain', () => {
      const count = dropped;
      dropped = 0;
      stream.write(textOf(droppedLine(count)));
    });
  }

  return {
    write(line) {
      if (dropped > 0 || stream.writableLength > maxWaitingBytes) drop();
      else stream.write(textOf(line()));
    },
    writeAlways: (line) => void stream.write(textOf(line)),
  };
}
