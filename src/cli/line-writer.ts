/** What waits for whoever reads a stream of ours, in bytes; while there is more, further lines are dropped. */
const maxWaitingBytes: number = 1024 * 1024;

export interface LineWriter {
  /**
   * Writes a line, or drops it while nobody reads the stream.
   * @param line makes it, so that one that is dropped costs nothing.
   */
  write(line: () => string): void;
  /** Writes a line in any case; only for the few that the user cannot do without. */
  writeAlways(line: string): void;
}

/**
 * Writes lines to a stream that may be a pipe which nobody reads: Node would keep them all.
 * @param droppedLine tells how many lines were dropped; written once the stream is read again.
 */
export function createLineWriter(stream: NodeJS.WriteStream, droppedLine: (count: number) => string): LineWriter {
  let dropped = 0;

  function drop(): void {
    if (++dropped > 1) return;
    stream.once('drain', () => {
      const count = dropped;
      dropped = 0;
      stream.write(`${droppedLine(count)}\n`);
    });
  }

  return {
    write(line) {
      if (dropped > 0 || stream.writableLength > maxWaitingBytes) drop();
      else stream.write(`${line()}\n`);
    },
    writeAlways: (line) => void stream.write(`${line}\n`),
  };
}
