import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { ExposeError } from '../../errors.ts';
import { capabilities } from '../capabilities.ts';
import { isWildcardAddress, lanAddresses } from '../../platform/net/addresses.ts';
import { createIdentity } from '../relay/protocol/identity.ts';
import type { Tunnel, TunnelOptions, TunnelProvider, TunnelTarget } from '../provider.ts';
import { createRelay, type Relay, type RelayOptions } from '../relay/server/relay.ts';
import { createRelayProvider } from './relay.ts';

export interface LanProviderOptions {
  /** Addresses to listen on; by default every address of this machine that others on the network can reach. */
  readonly addresses?: readonly string[];
  /** Port to listen on; by default that of the local listener, or else a free one. */
  readonly port?: number;
}

/**
 * A tunnel for the local network: a relay in this process that serves only this agent, on the machine's network addresses.
 * `open` throws ExposeError `tunnel_unavailable` without such an address, `address_in_use` or `address_unavailable` when it
 * cannot listen there.
 */
export function createLanProvider(options: LanProviderOptions = {}): TunnelProvider {
  return {
    name: 'lan',
    capabilities: capabilities.lan,
    notice:
      'this path is not encrypted: anyone on the same network can read the traffic, including the token; use it only where you trust everybody',
    open: async (target, tunnelOptions) => await openLan(options, target, tunnelOptions),
  };
}

async function openLan(
  options: LanProviderOptions,
  target: TunnelTarget,
  tunnelOptions: TunnelOptions,
): Promise<Tunnel> {
  tunnelOptions.signal.throwIfAborted();
  const reachable = lanAddresses(networkInterfaces());
  // A wildcard is not an address that others could connect to.
  const addresses =
    options.addresses?.flatMap((address) =>
      !isWildcardAddress(address) ? [address] : isIPv4(address) ? reachable.filter(isIPv4) : reachable,
    ) ?? reachable;
  if (addresses.length === 0) {
    throw new ExposeError('tunnel_unavailable', 'this machine has no network address that others could use', {
      hints: ['connect it to a network, or use --tunnel none'],
    });
  }
  const identity = createIdentity();
  const relay = await startRelay(
    { addresses, sole: { publicKey: identity.publicKey }, maxAgents: 1 },
    options.port === undefined ? [target.localPort, 0] : [options.port],
  );
  try {
    // No proxy between this process and itself.
    const provider = createRelayProvider({ relayUrl: relay.url, keys: identity, env: {} });
    const tunnel = await provider.open(target, tunnelOptions);
    return {
      publicUrls: tunnel.publicUrls,
      async close() {
        await tunnel.close();
        await relay.close();
      },
    };
  } catch (error) {
    await relay.close();
    throw error;
  }
}

/** Tries the ports in order; only a port in use leads to the next. */
async function startRelay(options: Omit<RelayOptions, 'port'>, ports: readonly number[]): Promise<Relay> {
  const [port = 0, ...others] = ports;
  try {
    return await createRelay({ ...options, port });
  } catch (error) {
    if (others.length > 0 && error instanceof ExposeError && error.code === 'address_in_use') {
      return await startRelay(options, others);
    }
    if (error instanceof ExposeError && error.code === 'address_unavailable') {
      const message = `cannot listen on ${(options.addresses ?? []).join(' ')}, which must be this machine's own`;
      throw new ExposeError('tunnel_unavailable', message, {
        hints: ['--lan-address takes an address of this machine; omit it to use all of them'],
        cause: error,
      });
    }
    throw error;
  }
}
