import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import { settledWithin } from '../deferred.ts';
import { signalDescendant, detachedDescendantsOf } from './detached-descendants.ts';
import { signalGroup } from './watchdog.ts';

/** How long a process may take to exit after it was asked to, and again after SIGTERM, in milliseconds. */
export const defaultGraceMs = 2000;

/** Interval at which a group is checked, in milliseconds: its members are not child processes, so there is no exit event. */
const pollMs = 20;

export interface EndProcessTreeOptions {
  /** Process id of the leader, which is the number of its group. */
  readonly pid: number;
  /** Resolves when the leader has exited; undefined if it already has: processes that left its group cannot be found then. */
  readonly exited: Promise<unknown> | undefined;
  /** Asks the leader to exit before signals are sent. */
  readonly ask: () => void;
  /** How long each step may take. */
  readonly graceMs?: number;
  /** The same for the rest of the group after that. Default: `graceMs`. */
  readonly groupGraceMs?: number;
}

/**
 * Ends a process, its group, and on Linux its descendants outside of the group: by asking it, then SIGTERM, then SIGKILL, each
 * after a grace period. Resolves when none of them is left, or if the kernel keeps one alive despite SIGKILL.
 */
export async function endProcessTree(options: EndProcessTreeOptions): Promise<void> {
  const { pid, exited, ask, graceMs = defaultGraceMs, groupGraceMs = graceMs } = options;
  const descendants = exited === undefined ? [] : detachedDescendantsOf(pid);
  ask();
  if (exited !== undefined) await settledWithin(exited, graceMs);
  if (process.platform === 'win32') {
    await endWindowsTree(pid);
    return;
  }
  const signal = (name: NodeJS.Signals | 0): boolean =>
    [signalGroup(pid, name), ...descendants.map((descendant) => signalDescendant(descendant, name))].includes(true);
  if (!signal('SIGTERM') || (await goneWithin(signal, groupGraceMs))) return;
  signal('SIGKILL');
  await goneWithin(signal, groupGraceMs);
}

async function goneWithin(signal: (name: 0) => boolean, limitMs: number): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  while (signal(0)) {
    if (performance.now() > deadline) return false;
    // oxlint-disable-next-line no-await-in-loop -- each check follows a wait
    await delay(pollMs);
  }
  return true;
}

/** Windows has no process groups; taskkill follows the parents' pids down the tree. */
async function endWindowsTree(pid: number): Promise<void> {
  const taskkill = spawn('taskkill', ['/pid', String(pid), '/T', '/F'], { stdio: 'ignore', windowsHide: true });
  await once(taskkill, 'close').catch(() => {});
}
