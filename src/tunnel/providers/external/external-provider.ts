import { trustNotice, type Capabilities } from '../../capabilities.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import type { Tunnel, TunnelOptions, TunnelProvider, TunnelTarget } from '../../provider.ts';
import { openReconnecting, type TunnelSession, type TunnelSessionOptions } from '../../reconnect.ts';
import { sweepTemporaryFolders } from './temporary-folder.ts';
import type { TunnelProgram } from './tunnel-program.ts';

/**
 * Starts a session of the tunnel. Resolves once it has a URL.
 * @throws ExposeError with a `tunnel_*` code, or the signal's reason. Nothing of the session is left then.
 */
export type StartTunnelSession = (options: TunnelSessionOptions) => Promise<TunnelSession>;

export interface ExternalProviderOptions {
  readonly environment: HostEnvironment;
  readonly capabilities: Capabilities;
  /** Default: who carries the traffic, and whether they can read it. */
  readonly notice?: string;
  /** Must be installed: otherwise the tunnel is unusable, and no session is started. */
  readonly program?: TunnelProgram;
  /** As in `TunnelProvider`; called only when the program is installed. */
  readonly unusable?: (signal: AbortSignal) => Promise<string | undefined>;
  readonly start: StartTunnelSession;
}

/** A provider whose tunnel is run by another program or service. It forwards to a listener that only this tunnel uses. */
export function createExternalProvider(options: ExternalProviderOptions): TunnelProvider {
  const { capabilities, program, unusable } = options;
  return {
    name: capabilities.name,
    capabilities,
    notice: options.notice ?? trustNotice(capabilities),
    async unusable(signal) {
      if (program !== undefined && !(await program.isInstalled())) return program.notInstalled().message;
      return await unusable?.(signal);
    },
    open: async (target, tunnelOptions) => await openExternal(options, target, tunnelOptions),
  };
}

async function openExternal(
  { environment, program, start }: ExternalProviderOptions,
  target: TunnelTarget,
  options: TunnelOptions,
): Promise<Tunnel> {
  options.signal.throwIfAborted();
  sweepTemporaryFolders();
  const listener = await target.listen();
  return await openReconnecting({
    ...options,
    clock: environment.clock,
    async connect(signal, onUrls) {
      if (program !== undefined && !(await program.isInstalled())) throw program.notInstalled();
      return await start({ port: listener.port, signal, onUrls, onWarning: options.onWarning });
    },
    release: () => listener.close(),
  });
}
