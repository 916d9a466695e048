import type { CommandLine } from './misplaced-words.ts';
import type { Output } from './output.ts';

/** What a command gets beside its options. */
export interface CommandContext {
  readonly output: Output;
  readonly commandLine: CommandLine;
  /** Aborted by the first signal that asks us to end. */
  readonly ending: AbortSignal;
  /** Resolves then. */
  untilEnding(): Promise<void>;
  /** Called by the second one: nothing is waited for any more. */
  onHurry: () => void;
  /** Called just before the process ends without having ended its work: the last chance to take others along. */
  onForcedExit: () => void;
}
