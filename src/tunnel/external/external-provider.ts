import { trustNotice, type Capabilities } from '../capabilities.ts';
import type { Machine } from '../machine.ts';
import type { Tunnel, TunnelOptions, TunnelProvider, TunnelTarget } from '../provider.ts';
import { sweepRunFolders } from './run-folder.ts';
import type { StartRun } from './run.ts';
import { superviseRuns } from './supervise-runs.ts';

export interface ExternalProviderOptions {
  readonly machine: Machine;
  readonly capabilities: Capabilities;
  /** Default: who carries the traffic, and whether they can read it. */
  readonly notice?: string;
  readonly unusable?: (signal: AbortSignal) => Promise<string | undefined>;
  readonly start: StartRun;
}

/** A provider whose tunnel somebody else's program or service carries, to a listener that nothing else is told of. */
export function createExternalProvider(options: ExternalProviderOptions): TunnelProvider {
  const { capabilities, unusable } = options;
  return {
    name: capabilities.name,
    capabilities,
    notice: options.notice ?? trustNotice(capabilities),
    ...(unusable === undefined ? {} : { unusable }),
    open: async (target, tunnelOptions) => await openExternal(options, target, tunnelOptions),
  };
}

async function openExternal(
  { machine, start }: ExternalProviderOptions,
  target: TunnelTarget,
  options: TunnelOptions,
): Promise<Tunnel> {
  options.signal.throwIfAborted();
  sweepRunFolders();
  const listener = await target.listen();
  try {
    const { port } = listener;
    const tunnel = await superviseRuns({ ...options, port, start, clock: machine.clock });
    return {
      get publicUrls() {
        return tunnel.publicUrls;
      },
      get expiresAt() {
        return tunnel.expiresAt;
      },
      redial: (reason) => tunnel.redial?.(reason),
      async close() {
        await tunnel.close();
        await listener.close();
      },
    };
  } catch (error) {
    await listener.close();
    throw error;
  }
}
