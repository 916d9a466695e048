import { constants } from 'node:os';

import { CommanderError, type Command } from './commander.ts';

import { ExposeError } from '../errors.ts';
import { specOf } from '../expose/option-table.ts';
import { applyEnvironmentTwins, isTwinOn } from './environment-twins.ts';
import { rejectOptionsBefore } from './ineffective-options.ts';
import { redactValue, refuseMisplacedWords } from './misplaced-words.ts';
import type { CommandContext } from './context.ts';
import { createOutput, type Output } from './output.ts';
import { outliveTerminal } from './closed-terminal.ts';
import { watchParent } from './parent-watch.ts';
import { createProgram, type OutputFlags, type RelayFlags } from './program.ts';
import type { AuditFlags } from './audit-command.ts';

/** How long the shutdown may take after a second signal, in milliseconds: enough to send errors to waiting clients. */
const hurriedEndMs = 1000;

/** Runs the command line and ends the process with its exit code. @param argv what follows the program's name. */
export async function main(argv: readonly string[]): Promise<void> {
  const separator = argv.indexOf('--');
  // Split before parsing, so that the server's command may be `relay` and have any option.
  const own = separator === -1 ? argv : argv.slice(0, separator);
  const serverCommand = separator === -1 ? [] : argv.slice(separator + 1);
  // For errors of the command line.
  let output = outputFor({
    color: !own.includes('--no-color') && !isTwinOn('MCP_EXPOSE_NO_COLOR', process.env),
    ...(own.includes('--json') || isTwinOn('MCP_EXPOSE_JSON', process.env) ? { json: true } : {}),
  });
  let endedBy: NodeJS.Signals | undefined;
  let isHurried = false;
  /** Whether events tell how the command ends. */
  let isRun = true;
  outliveTerminal();

  async function run(command: Command, action: (context: CommandContext) => Promise<void>): Promise<void> {
    applyEnvironmentTwins(command, process.env);
    output = outputFor(command.opts<OutputFlags>());
    const ending = new AbortController();
    const context: CommandContext = {
      output,
      commandLine: { program, own, serverCommand },
      ending: ending.signal,
      untilEnding: () =>
        new Promise((resolve) => {
          if (ending.signal.aborted) resolve();
          ending.signal.addEventListener('abort', () => resolve());
        }),
      onHurry() {},
      onHangup: undefined,
      onForcedExit() {},
    };
    // As if the terminal had been closed.
    const stopWatching = watchParent(() => {
      endedBy ??= 'SIGHUP';
      ending.abort(new ExposeError('internal', 'the program that started mcp-expose has ended'));
    });
    ending.signal.addEventListener('abort', stopWatching);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (signal === 'SIGHUP' && context.onHangup !== undefined) {
          context.onHangup();
        } else if (endedBy === undefined) {
          endedBy = signal;
          ending.abort(new ExposeError('internal', `ended by ${signal}`));
        } else if (signal === 'SIGHUP') {
          // Both the shell and the system send SIGHUP for a closed terminal: the second one is not a user who does not wait.
        } else if (isHurried) {
          forceExit(signal);
        } else {
          hurry(signal);
        }
      });
    }
    function hurry(signal: NodeJS.Signals): void {
      isHurried = true;
      endedBy = signal;
      output.note('stopping at once: waiting clients get the error that the server is shutting down');
      context.onHurry();
      setTimeout(() => forceExit(signal), hurriedEndMs).unref();
    }
    function forceExit(signal: NodeJS.Signals): void {
      context.onForcedExit();
      output.event({ event: 'closed', reason: signal, exitCode: exitCodeOf(signal) });
      process.exit(exitCodeOf(signal));
    }
    for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
      process.on(event, (error: unknown) => {
        output.error(error);
        context.onForcedExit();
        process.exit(1);
      });
    }
    await action(context);
  }

  const program = createProgram({
    async expose(command) {
      const { runExpose } = await import('./expose-command.ts');
      await run(command, (context) => runExpose(command, context));
    },
    async relay(command) {
      rejectOptionsBefore(command, own);
      if (serverCommand.length > 0) throw new ExposeError('usage', 'relay takes no command after --');
      const { runRelay } = await import('./relay-command.ts');
      await run(command, (context) => runRelay(command.opts<RelayFlags>(), context));
    },
    async token(action, name, command) {
      rejectOptionsBefore(command, own);
      if (serverCommand.length > 0) throw new ExposeError('usage', 'token takes no command after --');
      applyEnvironmentTwins(command, process.env);
      output = outputFor(command.opts<OutputFlags>());
      isRun = false;
      const { runToken } = await import('./token-command.ts');
      await runToken(action, name, command, output);
    },
    async audit(file, command) {
      rejectOptionsBefore(command, own);
      if (serverCommand.length > 0) throw new ExposeError('usage', 'audit takes no command after --');
      applyEnvironmentTwins(command, process.env);
      const flags = command.opts<AuditFlags>();
      output = outputFor(flags);
      isRun = false;
      const { runAudit } = await import('./audit-command.ts');
      await runAudit(file, flags, output);
    },
  });
  for (const command of [program, ...program.commands]) {
    command.exitOverride();
    command.configureOutput({ writeErr() {} });
  }

  let exitCode = 0;
  try {
    refuseMisplacedWords({ program, own, serverCommand });
    await program.parseAsync(own, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) process.exit(0);
    if (endedBy === undefined) {
      const shown =
        error instanceof CommanderError
          ? usageError(error, program.commands.find((command) => command.name() === own[0])?.name())
          : error;
      output.endProgress();
      output.error(shown);
      exitCode = shown instanceof ExposeError ? shown.exitCode : 1;
    }
  }
  if (endedBy !== undefined) exitCode = exitCodeOf(endedBy);
  if (isRun) output.event({ event: 'closed', reason: endedBy ?? (exitCode === 0 ? 'done' : 'error'), exitCode });
  // Output to a pipe may not be written yet; the process exits by itself when it is.
  process.exitCode = exitCode;
  setTimeout(() => process.exit(), flushMs).unref();
}

/** How long output may take before the process exits anyway, in milliseconds. */
const flushMs = 500;

function outputFor({ json, quiet, verbose, color }: OutputFlags): Output {
  return createOutput({
    json: json ?? false,
    quiet: quiet ?? false,
    verbose: verbose ?? false,
    color,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
  });
}

/** commander's message in the style of the others: without `error: ` and the full stop, with its suggestion as a hint. @param command that of the command line, if it has one. */
function usageError({ message }: CommanderError, command: string | undefined): ExposeError {
  const [first = '', ...more] = withoutSecret(message)
    .replace(/^error: /, '')
    .replace(' is invalid. ', ' is not valid: ')
    .replace(': Allowed', ': allowed')
    .split('\n');
  const hints = more.map((line) => line.replace(/^\(D(.*)\)$/, 'd$1').trim()).filter((line) => line !== '');
  return new ExposeError('usage', first.replace(/\.$/, ''), {
    hints: [...hints, `mcp-expose ${command === undefined ? '' : `${command} `}--help lists the options`],
  });
}

/** Without values that may be secrets or contain them. */
function withoutSecret(message: string): string {
  return message
    .replace(
      /^(error: option '(--[\w-]+)[^']*')( argument ')(.*)'( is invalid)/s,
      (_all, option: string, long: string, before: string, value: string, after: string) =>
        specOf(long)?.secrecy === 'value' ? option + after : `${option}${before}${redactValue(long, value)}'${after}`,
    )
    .replace(/^(error: unknown option '-+[A-Za-z-]*)[^A-Za-z-].*?(?='(?:\n|$))/s, '$1');
}

function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
