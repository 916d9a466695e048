import { createDeadline } from '../../../platform/deadline.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import { startTunnelProcess } from './tunnel-process.ts';

const defaultTimeoutMs = 5000;

/** Time to end after SIGTERM, in milliseconds: a lookup has nothing to clean up. */
const graceMs = 300;

/** Most that is kept of each output and of one line, in UTF-16 units and bytes: the status of a large network is long. */
const maxLength = 8_000_000;

/** What a program needs that only looks something up. */
export type LookupEnvironment = Pick<HostEnvironment, 'env' | 'watchdog'>;

export interface OutputOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface ProgramOutput {
  /** Exit code; null after a signal. */
  readonly code: number | null;
  /** The lines, without empty ones and escape sequences, each followed by a line break. */
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program that only looks something up, and waits until nothing of it is left. It and its children end as those of
 * tunnels do, also when this process is killed. Never rejects; undefined when it could not be started, took too long or was
 * aborted.
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
    // `said` keeps all of it.
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
