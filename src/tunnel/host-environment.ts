import type { Clock } from '../platform/clock.ts';
import type { Watchdog } from '../platform/process/watchdog.ts';
import type { HostOverrides } from '../platform/net/host-overrides.ts';

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
