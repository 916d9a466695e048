import { ExposeError } from '../../../errors.ts';
import { capabilities } from '../../capabilities.ts';
import { createExternalProvider } from '../external/external-provider.ts';
import { TunnelProgram } from '../external/tunnel-program.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import type { TunnelSession, TunnelSessionOptions } from '../../reconnect.ts';
import type { TunnelProvider } from '../../provider.ts';
import { createTailscaleReader, type Reach } from './output.ts';
import { askPortsInUse, askTailscaleStatus, whyNotRunning } from './status.ts';

/** The default port of https, and the only one that hosted clients connect to. */
const defaultPort = 443;

/** The ports that Funnel supports (https://tailscale.com/kb/1223/funnel), used for the tailnet as well. */
const ports = [defaultPort, 8443, 10_000];

/** The daemon forgets an ended session soon, but not at once: attempts before another port is used. */
const maxWaitsForPort = 3;

const installHint = 'https://tailscale.com/download explains how to install it';

export interface TailscaleOptions {
  readonly environment: HostEnvironment;
  /** `https://<this machine>.<tailnet>.ts.net[:port]`, for its port. */
  readonly publicUrl?: string | undefined;
  readonly reach: Reach;
}

/**
 * Tailscale's own HTTPS server on this machine, open to the internet (Funnel) or to the tailnet (Serve). It runs in the
 * foreground, so that it ends with its process. https://tailscale.com/kb/1311/tailscale-funnel, …/1242/tailscale-serve.
 * @throws ExposeError `usage` for a URL with a port that Funnel does not support.
 */
export function createTailscaleProvider({ environment, publicUrl, reach }: TailscaleOptions): TunnelProvider {
  const program = new TunnelProgram(environment, 'tailscale', installHint);
  const command = reach === 'internet' ? 'funnel' : 'serve';
  const wish = publicUrl === undefined ? undefined : wishFrom(publicUrl, reach);
  /** Of the previous session: with the same port, the URL stays the same. */
  let lastPort: number | undefined = wish?.port;
  let waits = 0;

  async function unusable(signal: AbortSignal): Promise<string | undefined> {
    const status = await askTailscaleStatus(environment, signal);
    const why = whyNotRunning(status);
    if (why !== undefined) return why;
    return reach === 'internet' && !status.mayFunnel ? 'the tailnet does not allow Funnel on this machine' : undefined;
  }

  async function start(options: TunnelSessionOptions): Promise<TunnelSession> {
    const { signal } = options;
    const [status, inUse] = await Promise.all([
      askTailscaleStatus(environment, signal),
      askPortsInUse(environment, signal),
    ]);
    signal.throwIfAborted();
    const { state, host } = status;
    const why = whyNotRunning(status);
    if (why !== undefined || host === undefined) {
      const isLasting = state === 'NeedsLogin' || state === 'NeedsMachineAuth' || state === 'Running';
      throw new ExposeError(isLasting ? 'tunnel_rejected' : 'tunnel_unavailable', why ?? 'tailscale has no name', {
        hints: ['run tailscale up, and see tailscale status'],
      });
    }
    if (wish !== undefined && wish.host !== host) {
      throw new ExposeError('usage', `${publicUrl} is not at this machine, which tailscale calls ${host}`, {
        hints: [`omit --public-url, or give it https://${host}`],
      });
    }
    const port = choosePort(inUse);
    const starting = program.start(options, {
      args: [command, '--yes', `--https=${port}`, `http://127.0.0.1:${options.port}`],
      read: createTailscaleReader(reach, host),
    });
    const session = await starting.started;
    if (port !== defaultPort && port !== lastPort) {
      const effect = reach === 'internet' ? `: hosted clients connect to port ${defaultPort} only` : '';
      options.onWarning(
        `tailscale serves something else on port ${defaultPort}, so the URL has port ${port}${effect}; tailscale serve status shows what uses port ${defaultPort}`,
      );
    }
    lastPort = port;
    waits = 0;
    return session;
  }

  function choosePort(inUse: ReadonlySet<number>): number {
    if (lastPort !== undefined && (wish !== undefined || waits < maxWaitsForPort)) {
      if (!inUse.has(lastPort)) return lastPort;
      waits++;
      throw occupied([lastPort]);
    }
    const free = ports.find((port) => !inUse.has(port));
    if (free === undefined) throw occupied(ports);
    return free;
  }

  return createExternalProvider({
    environment,
    capabilities: reach === 'internet' ? capabilities.tailscale : capabilities['tailscale-serve'],
    program,
    unusable,
    start,
  });
}

function wishFrom(publicUrl: string, reach: Reach): { readonly host: string; readonly port: number } {
  const { hostname, port, protocol } = new URL(publicUrl);
  const wanted = port === '' ? defaultPort : Number(port);
  if (protocol !== 'https:' || (reach === 'internet' && !ports.includes(wanted))) {
    throw new ExposeError('usage', `Funnel cannot serve ${publicUrl}`, {
      hints: [`it serves https at the ports ${ports.join(', ')}`],
    });
  }
  return { host: hostname, port: wanted };
}

function occupied(taken: readonly number[]): ExposeError {
  const which = taken.length === 1 ? `port ${taken[0]}` : `each of the ports ${taken.join(', ')}`;
  return new ExposeError('tunnel_unavailable', `tailscale serves something else on ${which}`, {
    hints: ['tailscale serve status shows what; tailscale serve --https=<port> off ends it'],
  });
}
