import { lookup } from 'node:dns/promises';

import { sleep } from '../../../platform/clock.ts';
import type { HostEnvironment } from '../../host-environment.ts';

/** How long a resolver may take to say that there is no such host, in milliseconds; then there may be one. */
const timeoutMs = 3000;

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
  const notInTime = sleep(clock, timeoutMs, AbortSignal.any([signal, stop.signal])).then(() => true);
  try {
    return await Promise.race([known, notInTime]);
  } finally {
    stop.abort();
  }
}
