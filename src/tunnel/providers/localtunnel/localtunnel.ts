import { ExposeError } from '../../../errors.ts';
import { abortReason } from '../../../platform/deadline.ts';
import { capabilities } from '../../capabilities.ts';
import { portOf } from '../../../platform/net/http-proxy.ts';
import { createExternalProvider } from '../external/external-provider.ts';
import { hostResolves, type HostEnvironment } from '../../host-environment.ts';
import type { TunnelSession, TunnelSessionOptions } from '../../reconnect.ts';
import type { TunnelProvider } from '../../provider.ts';
import { requestTunnel, type Grant } from './request-tunnel.ts';
import { createSocketPool, type SocketPool } from './socket-pool.ts';

/** The names that its public server accepts (localtunnel/server, server.js). */
const namePattern = /^(?:[a-z0-9][a-z0-9-]{4,63}[a-z0-9]|[a-z0-9]{4,63})$/;

export interface LocaltunnelOptions {
  readonly environment: HostEnvironment;
  readonly name?: string | undefined;
  readonly server?: string | undefined;
}

/**
 * Speaks the protocol of localtunnel itself: the server assigns a name and accepts sockets for it.
 * @throws ExposeError `usage` for a name that it would not accept.
 */
export function createLocaltunnelProvider(options: LocaltunnelOptions): TunnelProvider {
  const { environment, name } = options;
  const server = new URL(options.server ?? 'https://localtunnel.me');
  if (name !== undefined && !namePattern.test(name)) {
    throw new ExposeError('usage', `localtunnel does not take ${JSON.stringify(name)} as a name`, {
      hints: ['use 4 to 63 small letters and digits, with hyphens in between from 6 on'],
    });
  }
  let isRestart = false;

  async function start({ port: localPort, signal }: TunnelSessionOptions): Promise<TunnelSession> {
    const grant = await requestTunnel({ server, name, environment, signal });
    if (name !== undefined && grant.id !== name) throw taken(name, isRestart);
    const pool = createSocketPool({
      ...whereTo(grant, server, environment),
      localPort,
      size: grant.sockets,
      clock: environment.clock,
    });
    await untilOpen(pool, grant, server, signal);
    isRestart = true;
    return {
      publicUrls: [grant.url],
      ended: pool.ended.then(
        (why) => new ExposeError('tunnel_unavailable', `${server.host} takes no connections any more: ${why}`),
      ),
      close: pool.close,
    };
  }

  return createExternalProvider({
    environment,
    capabilities: capabilities.localtunnel,
    async unusable(signal) {
      const isKnown = await hostResolves(environment, { host: server.hostname, port: portOf(server), signal });
      return isKnown ? undefined : `${server.hostname} cannot be resolved`;
    },
    start,
  });
}

/**
 * The user may have overridden the address of the server; that applies also to its socket ports, whose numbers are not known in
 * advance.
 */
function whereTo(
  { port, address }: Grant,
  server: URL,
  { overrides }: HostEnvironment,
): Pick<Parameters<typeof createSocketPool>[0], 'host' | 'port' | 'lookup'> {
  const [given] = overrides.find(server.hostname, portOf(server)) ?? [];
  return { host: address ?? given ?? server.hostname, port, lookup: overrides.lookupFor(port) };
}

async function untilOpen(pool: SocketPool, { port }: Grant, server: URL, signal: AbortSignal): Promise<void> {
  const onAbort = (): void => void pool.close();
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  const outcome = await pool.opened;
  signal.removeEventListener('abort', onAbort);
  if (signal.aborted) {
    await pool.close();
    throw abortReason(signal);
  }
  if (outcome === 'open') return;
  throw new ExposeError('tunnel_unreachable', `could not connect to ${server.hostname}:${port}: ${outcome.why}`, {
    hints: ['many networks let no connections out to such high ports: use another --tunnel'],
  });
}

/** The server silently assigns another name when the requested one is taken, possibly by our own lost connection. */
function taken(name: string, isRestart: boolean): ExposeError {
  return isRestart
    ? new ExposeError('tunnel_unavailable', `the name ${name} is not free at localtunnel yet`)
    : new ExposeError('tunnel_rejected', `the name ${name} is taken at localtunnel`, {
        hints: ['choose another --name, or omit it'],
      });
}
