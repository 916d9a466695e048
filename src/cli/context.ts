import type { CommandLine } from './misplaced-words.ts';
import type { Output } from './output.ts';

/** What a command gets in addition to its options. */
export interface CommandContext {
  readonly output: Output;
  readonly commandLine: CommandLine;
  /** Aborted by the first signal that ends the process. */
  readonly ending: AbortSignal;
  /** Resolves when `ending` is aborted. */
  untilEnding(): Promise<void>;
  /** Called by the second signal, after which nothing is waited for. */
  onHurry: () => void;
  /** What SIGHUP does instead of ending the process. */
  onHangup: (() => void) | undefined;
  /** Called just before the process exits early, to kill its child processes. */
  onForcedExit: () => void;
}
