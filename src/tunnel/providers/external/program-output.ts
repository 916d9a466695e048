import { createDeadline } from '../../../platform/deadline.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import { startTunnelProcess } from './tunnel-process.ts';

const defaultTimeoutMs = 5000;

/** Time to end after SIGTERM, in milliseconds: whoever only looks something up has nobody to take leave of. */
const graceMs = 300;

/** Most that is kept of each output, and of one line, in UTF-16 units and bytes: the status of a large network is long. */
const maxLength = 8_000_000;

/** What of this machine a program needs that only looks something up. */
export type LookupEnvironment = Pick<HostEnvironment, 'env' | 'watchdog'>;

export interface OutputOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface ProgramOutput {
  /** Its exit code; null when a signal has ended it. */
  readonly code: number | null;
  /** Its lines, without empty ones and what only paints on a terminal, each with a line break behind it. */
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program that only looks something up, and waits until nothing of it is left: it and what it has started end as the
 * programs of tunnels do, also when we are killed meanwhile. Never rejects; undefined when it could not be started, took too
 * long or was not wanted any more.
 */
export async function outputOf(
  environment: LookupEnvironment,
  file: string,
  args: readonly string[],
  { timeoutMs = defaultTimeoutMs, signal }: OutputOptions = {},
): Promise<ProgramOutput | undefined> {
  if (signal?.aborted === true) return undefined;
  const said = { stdout: '', stderr: '' };
  const child = startTunnelProcess({
    environment,
    file,
    args,
    hasInput: false,
    graceMs,
    maxLineBytes: maxLength,
    // All of it is kept here.
    isChatter: () => true,
    onLine(line, from) {
      if (said[from].length < maxLength) said[from] += `${line}\n`;
    },
  });
  const limit = createDeadline(timeoutMs, signal);
  limit.signal.addEventListener('abort', () => void child.close(), { once: true });
  const { code, startError } = await child.ended;
  await child.close();
  limit.cancel();
  return startError !== undefined || limit.signal.aborted ? undefined : { code, ...said };
}
