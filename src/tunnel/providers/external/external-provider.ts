import { trustNotice, type Capabilities } from '../../capabilities.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import type { Tunnel, TunnelOptions, TunnelProvider, TunnelTarget } from '../../provider.ts';
import { sweepTemporaryFolders } from './temporary-folder.ts';
import type { StartTunnelSession } from './tunnel-session.ts';
import { superviseSessions } from './supervise-sessions.ts';

export interface ExternalProviderOptions {
  readonly environment: HostEnvironment;
  readonly capabilities: Capabilities;
  /** Default: who carries the traffic, and whether they can read it. */
  readonly notice?: string;
  readonly unusable?: (signal: AbortSignal) => Promise<string | undefined>;
  readonly start: StartTunnelSession;
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
  { environment, start }: ExternalProviderOptions,
  target: TunnelTarget,
  options: TunnelOptions,
): Promise<Tunnel> {
  options.signal.throwIfAborted();
  sweepTemporaryFolders();
  const listener = await target.listen();
  try {
    const { port } = listener;
    const tunnel = await superviseSessions({ ...options, port, start, clock: environment.clock });
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
