// A pair of streams that may be terminals or not, and what was printed on them.
import { Writable } from 'node:stream';
import { createOutput, type Output, type OutputOptions } from '../../src/cli/output.ts';

export class FakeStream extends Writable {
  seen = '';
  readonly isTTY: boolean;

  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }

  /** Whether somebody reads it; what is written meanwhile waits. */
  isRead = true;
  #pending: (() => void) | undefined;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.seen += chunk.toString();
    if (this.isRead) done();
    else this.#pending = done;
  }

  read(): void {
    this.isRead = true;
    this.#pending?.();
  }
}

export interface Terminal {
  readonly output: Output;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** The streams themselves. */
  readonly streams: { readonly stdout: FakeStream; readonly stderr: FakeStream };
}

export interface TerminalOptions extends Partial<Pick<OutputOptions, 'json' | 'quiet' | 'verbose' | 'color' | 'env'>> {
  /** Whether the streams are terminals; default neither. */
  readonly tty?: 'both' | 'stdout' | 'stderr' | 'neither';
}

export function createTerminal(options: TerminalOptions = {}): Terminal {
  const { tty = 'neither', json = false, quiet = false, verbose = false, color = true, env = {} } = options;
  const stdout = new FakeStream(tty === 'both' || tty === 'stdout');
  const stderr = new FakeStream(tty === 'both' || tty === 'stderr');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as much of a terminal as is used
  const given = { stdout, stderr } as unknown as Pick<OutputOptions, 'stdout' | 'stderr'>;
  const output = createOutput({ json, quiet, verbose, color, env, ...given });
  return { output, stdout: () => stdout.seen, stderr: () => stderr.seen, streams: { stdout, stderr } };
}
