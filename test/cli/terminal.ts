// A pair of streams that may be terminals or not, and what was printed on them.
import { Writable } from 'node:stream';
import { createOutput, type Output, type OutputOptions } from '../../src/cli/output.ts';

class FakeStream extends Writable {
  seen = '';
  readonly isTTY: boolean;

  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.seen += chunk.toString();
    done();
  }
}

export interface Terminal {
  readonly output: Output;
  readonly stdout: () => string;
  readonly stderr: () => string;
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
  const streams = { stdout, stderr } as unknown as Pick<OutputOptions, 'stdout' | 'stderr'>;
  const output = createOutput({ json, quiet, verbose, color, env, ...streams });
  return { output, stdout: () => stdout.seen, stderr: () => stderr.seen };
}
