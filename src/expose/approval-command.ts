import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { parseCommandLine } from '../bridge/upstream/stdio/command-line.ts';
import { createStderrTail } from '../bridge/upstream/stdio/stderr-tail.ts';
import { ExposeError } from '../errors.ts';
import { createDeferred, settledWithin } from '../platform/deferred.ts';
import { childEnvironment } from '../platform/process/environment.ts';
import { endProcessTree } from '../platform/process/process-tree.ts';
import type { Watchdog } from '../platform/process/watchdog.ts';
import type { ApprovalCall, OnApproval } from './options.ts';
import { Turns } from './turns.ts';

const option = '--approve-command';

/** How long the program may take to exit when its question is withdrawn, and again after SIGTERM, in milliseconds. */
const graceMs = 500;

/** How long what it has printed may take after its exit, in milliseconds: what it has left behind may hold the pipe. */
const lastOutputMs = 100;

export interface ApprovalCommandOptions {
  /** The program and its arguments, as `--stdio` splits them. */
  readonly command: string;
  readonly watchdog: Watchdog;
  /** The program printed a line to its standard error. */
  readonly onStderr: (line: string) => void;
}

/**
 * A program that decides about calls: it gets one JSON object about the call on its standard input, and approves by exit
 * code 0. It is started for each call, and ended with all that it has started when the call is withdrawn.
 */
export class ApprovalCommand {
  readonly #options: ApprovalCommandOptions;
  readonly file: string;
  readonly #args: readonly string[];
  /** One process at a time, also of those that are being ended. */
  readonly #turns = new Turns();
  #ended: Promise<unknown> = Promise.resolve();

  /** @throws ExposeError `usage` for a command that only a shell can run. */
  constructor(options: ApprovalCommandOptions) {
    const command = parseCommandLine(options.command, option);
    if (command.kind === 'shell') {
      throw new ExposeError('usage', `the command of ${option} has shell syntax, but is run without a shell`, {
        hints: ['put it into a script, and name the script'],
      });
    }
    this.#options = options;
    this.file = command.file;
    this.#args = command.args;
  }

  /** Rejects if the program cannot be run. */
  readonly decide: OnApproval = async (call, signal) =>
    (await this.#turns.take(() => {
      const run = this.#run(call, signal);
      this.#ended = run.catch(() => {});
      return run;
    }, signal)) === true;

  /** Resolves when no program is left; questions have to be withdrawn before. */
  async close(): Promise<void> {
    await this.#ended;
  }

  async #run(call: ApprovalCall, signal: AbortSignal): Promise<boolean> {
    const { watchdog, onStderr } = this.#options;
    const child = spawn(this.file, this.#args, {
      env: childEnvironment({ own: process.env, inherit: false, extra: new Map() }),
      // A group of its own, so that Ctrl+C reaches only this process, and all of it can be ended.
      detached: process.platform !== 'win32',
      stdio: ['pipe', 'ignore', 'pipe'],
      windowsHide: true,
    });
    const exited = once(child, 'exit');
    // A program that cannot be run: the promise rejects.
    const { pid } = child;
    if (pid === undefined) return (await exited).length === 0;
    watchdog.guard(pid);
    const stderr = createStderrTail(onStderr);
    const closed = once(child, 'close');
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stderr.on('end', () => stderr.end());
    // It may decide without reading.
    child.stdin.on('error', () => {});
    child.stdin.end(`${jsonOf(call)}\n`);
    const withdrawn = createDeferred<void>();
    const withdraw = (): void => withdrawn.resolve();
    signal.addEventListener('abort', withdraw, { once: true });
    await Promise.race([exited, withdrawn.promise]);
    signal.removeEventListener('abort', withdraw);
    const hasExited = child.exitCode !== null || child.signalCode !== null;
    await endProcessTree({
      pid,
      exited: hasExited ? undefined : exited,
      ask: () => hasExited || child.kill('SIGTERM'),
      graceMs,
    });
    watchdog.release(pid);
    await settledWithin(closed, lastOutputMs);
    child.stderr.destroy();
    return hasExited && child.exitCode === 0;
  }
}

function jsonOf({ tool, caller, client, clientInfo, server, argumentsJson }: ApprovalCall): string {
  const about = JSON.stringify({ tool, caller, client, clientInfo, server });
  return argumentsJson === undefined ? about : `${about.slice(0, -1)},"arguments":${argumentsJson}}`;
}
