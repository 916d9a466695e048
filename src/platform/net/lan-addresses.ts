import { isIP } from 'node:net';
import type { NetworkInterfaceInfo, networkInterfaces } from 'node:os';

import { isLinkLocalAddress } from './addresses.ts';

/**
 * The addresses at which others on the network can reach this machine: IPv4 first, then global and unique local IPv6.
 * Link-local IPv6 needs a zone that differs on each machine, so no URL can hold it.
 */
export function lanAddresses(interfaces: ReturnType<typeof networkInterfaces>): string[] {
  const entries: NetworkInterfaceInfo[] = Object.values(interfaces).flatMap((list) => list ?? []);
  const usable = entries.filter((entry) => !entry.internal && !isLinkLocalAddress(entry.address));
  const addresses = [4, 6].flatMap((version) =>
    usable.map((entry) => entry.address).filter((address) => isIP(address) === version),
  );
  return [...new Set(addresses)];
}
