import { lookup } from 'node:dns/promises';
import { access, constants, stat } from 'node:fs/promises';
import path from 'node:path';

import { sleep, type Clock } from '../platform/clock.ts';
import type { Watchdog } from '../platform/process/watchdog.ts';
import type { HostOverrides } from '../platform/net/host-overrides.ts';

/** How long a resolver may take, in milliseconds; after that the host is assumed to exist. */
const lookupTimeoutMs = 3000;

export interface HostEnvironment {
  /** Our own environment: PATH, and the credentials of the users of the programs. */
  readonly env: NodeJS.ProcessEnv;
  /** Ends the programs when this process dies. */
  readonly watchdog: Pick<Watchdog, 'guard' | 'release'>;
  readonly clock: Clock;
  /** Addresses to use instead of asking a resolver. */
  readonly overrides: HostOverrides;
}

/** Whether a program of this name is in a folder of PATH, or at this path; with one of the extensions in PATHEXT on Windows. */
export async function isInstalled({ env }: Pick<HostEnvironment, 'env'>, program: string): Promise<boolean> {
  const endings = process.platform === 'win32' ? ['', ...(env['PATHEXT'] ?? '.EXE;.CMD;.BAT;.COM').split(';')] : [''];
  const isPath = program.includes('/') || program.includes(path.sep);
  const inPath = (env['PATH'] ?? env['Path'] ?? '').split(path.delimiter).filter((folder) => folder !== '');
  const folders = isPath ? [''] : inPath;
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

/** Whether the host may exist, according to a resolver or to the user's overrides. Never rejects. */
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
