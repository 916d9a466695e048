// Reads a command line as main does, without running anything.
import type { Command } from 'commander';
import { applyEnvironmentTwins } from '../../src/cli/environment-twins.ts';
import { createProgram, type RelayFlags } from '../../src/cli/program.ts';

/** As commander keeps them. */
interface Flags extends Partial<RelayFlags> {
  readonly [name: string]: unknown;
  readonly env?: ReadonlyMap<string, string>;
}

export interface Read {
  readonly chosen: 'expose' | 'relay' | undefined;
  readonly flags: Flags;
}

/** A program that runs nothing and prints nothing. */
export function quietProgram(onChosen: (name: 'expose' | 'relay', command: Command) => void): Command {
  const program = createProgram({
    expose: async (command) => onChosen('expose', command),
    relay: async (command) => onChosen('relay', command),
    token: async () => {},
    audit: async () => {},
  });
  for (const command of [program, ...program.commands]) {
    command.exitOverride();
    command.configureOutput({ writeErr() {}, writeOut() {} });
  }
  return program;
}

export async function read(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Read> {
  let result: Read = { chosen: undefined, flags: {} };
  const program = quietProgram((chosen, command) => {
    applyEnvironmentTwins(command, env);
    result = { chosen, flags: command.opts() };
  });
  await program.parseAsync([...argv], { from: 'user' });
  return result;
}

/** The help of a command, as it is printed. */
export async function helpOf(...argv: readonly string[]): Promise<string> {
  let printed = '';
  const program = quietProgram(() => {});
  for (const command of [program, ...program.commands]) {
    command.configureOutput({ writeOut: (text) => void (printed += text), getOutHelpWidth: () => 120 });
  }
  await program.parseAsync([...argv, '--help'], { from: 'user' }).catch(() => {});
  return printed;
}
