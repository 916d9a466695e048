import { lookup } from 'node:dns/promises';
import { access, constants, stat } from 'node:fs/promises';
import path from 'node:path';

import { sleep, type Clock } from '../platform/clock.ts';
import type { Watchdog } from '../platform/process/watchdog.ts';
import type { HostOverrides } from '../platform/net/host-overrides.ts';

/** How long a resolver may take to say that there is no such host, in milliseconds; then there may be one. */
const lookupTimeoutMs = 3000;

/** What of this machine the tunnels of others need. */
export interface HostEnvironment {
  /** Our own environment: where programs are, and the credentials that their users gave them there. */
  readonly env: NodeJS.ProcessEnv;
  /** Sees to it that no program outlives us. */
  readonly watchdog: Pick<Watchdog, 'guard' | 'release'>;
  readonly clock: Clock;
  /** Addresses to use instead of what a resolver says. */
  readonly overrides: HostOverrides;
}

/** Whether a program of this name is in a folder of PATH; with one of PATHEXT's endings on Windows. */
export async function isInstalled({ env }: Pick<HostEnvironment, 'env'>, program: string): Promise<boolean> {
  const endings = process.platform === 'win32' ? (env['PATHEXT'] ?? '.EXE;.CMD;.BAT;.COM').split(';') : [''];
  const folders = (env['PATH'] ?? env['Path'] ?? '').split(path.delimiter).filter((folder) => folder !== '');
  const candidates = folders.flatMap((folder) => endings.map((ending) => path.join(folder, program + ending)));
  const found = await Promise.all(candidates.map(isExecutable));
  return found.includes(true);
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

/** Whether there may be a host of this name, as far as a resolver says, or the user. Never rejects. */
export async function hostResolves(
  { clock, overrides }: Pick<HostEnvironment, 'clock' | 'overrides'>,
  { host, port, signal }: { readonly host: string; readonly port: number; readonly signal: AbortSignal },
): Promise<boolean> {
  if (overrides.find(host, port) !== undefined) return true;
  const stop = new AbortController();
  const known = lookup(host).then(
    () => true,
    () => false,
  );
  const notInTime = sleep(clock, lookupTimeoutMs, AbortSignal.any([signal, stop.signal])).then(() => true);
  try {
    return await Promise.race([known, notInTime]);
  } finally {
    stop.abort();
  }
}
