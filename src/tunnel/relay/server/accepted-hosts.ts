import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

import { isLoopbackAddress } from '../../../platform/net/addresses.ts';

export interface AcceptedHostsOptions {
  /** Addresses that the relay listens on. */
  readonly addresses: readonly string[];
  readonly port: number;
  readonly publicUrl?: URL;
  readonly domain?: string;
}

/** Default ports that a URL leaves out; an agent's own scheme decides, which the relay behind a proxy cannot see. */
const defaultPorts: ReadonlySet<number> = new Set([80, 443]);

/**
 * Every `host[:port]` under which an agent may have dialled this relay. A proof for any other host was made for somebody
 * else and is being passed on. Loopback names are only among them for a peer on this machine (`isLocalPeer`), since
 * every machine has a relay of that name.
 */
export function acceptedHosts(options: AcceptedHostsOptions, isLocalPeer: boolean): ReadonlySet<string> {
  const hosts = new Set<string>();
  const addWithPort = (name: string): void => {
    hosts.add(`${name}:${options.port}`);
    if (defaultPorts.has(options.port)) hosts.add(name);
  };
  if (options.publicUrl !== undefined) hosts.add(options.publicUrl.host);
  if (options.domain !== undefined) {
    hosts.add(options.domain);
    addWithPort(options.domain);
    if (options.publicUrl !== undefined && options.publicUrl.port !== '') {
      hosts.add(`${options.domain}:${options.publicUrl.port}`);
    }
  }
  for (const address of options.addresses.flatMap(expandWildcard)) {
    if (isLocalPeer || !isLoopbackAddress(address)) addWithPort(bracket(address));
  }
  if (isLocalPeer) for (const name of ['localhost', '127.0.0.1', '[::1]']) addWithPort(name);
  return hosts;
}

/** An address as it stands in a URL. */
export function bracket(address: string): string {
  return isIP(address) === 6 ? `[${address.toLowerCase()}]` : address.toLowerCase();
}

/** Whether an address means all of the machine's. */
export function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::' || address === '';
}

function expandWildcard(address: string): string[] {
  if (!isWildcard(address)) return [address];
  return Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .map((entry) => entry.address);
}
