import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import { settledWithin } from '../../deferred.ts';
import { signalStray, straysOf } from './strays.ts';
import { signalGroup } from './watchdog.ts';

/** How long a server may take to end after its input has ended, and again after SIGTERM. */
export const defaultGraceMs = 2000;

/** Members of a group are not our children and tell us nothing when they end, so their number is asked for. */
const pollMs = 20;

export interface EndProcessTreeOptions {
  /** Process id of the leader, which is the number of its group. */
  readonly pid: number;
  /** Resolves when the leader has exited. */
  readonly exited: Promise<unknown>;
  /** Closes the leader's standard input: the way in which MCP asks a server to go (2025-11-25, stdio, shutdown). */
  readonly endInput: () => void;
  readonly graceMs?: number;
}

/**
 * Ends a process, everything in its group, and on Linux what it started outside of it: end of input, then SIGTERM, then
 * SIGKILL, each after a grace period. Resolves when none of them is left, or when the kernel keeps one alive in spite of
 * SIGKILL.
 */
export async function endProcessTree(options: EndProcessTreeOptions): Promise<void> {
  const { pid, exited, endInput, graceMs = defaultGraceMs } = options;
  const strays = straysOf(pid);
  endInput();
  await settledWithin(exited, graceMs);
  if (process.platform === 'win32') {
    await endWindowsTree(pid);
    return;
  }
  const signal = (name: NodeJS.Signals | 0): boolean =>
    [signalGroup(pid, name), ...strays.map((stray) => signalStray(stray, name))].includes(true);
  if (!signal('SIGTERM') || (await goneWithin(signal, graceMs))) return;
  signal('SIGKILL');
  await goneWithin(signal, graceMs);
}

async function goneWithin(signal: (name: 0) => boolean, limitMs: number): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  while (signal(0)) {
    if (performance.now() > deadline) return false;
    // oxlint-disable-next-line no-await-in-loop -- each look follows a wait
    await delay(pollMs);
  }
  return true;
}

/** Windows knows no process groups; taskkill follows the parents' numbers down the tree. */
async function endWindowsTree(pid: number): Promise<void> {
  const taskkill = spawn('taskkill', ['/pid', String(pid), '/T', '/F'], { stdio: 'ignore', windowsHide: true });
  await once(taskkill, 'close').catch(() => {});
}
