import { isIP } from 'node:net';

import { unmapped } from '../platform/net/addresses.ts';

/** Where a request comes from. */
export interface Source {
  /** Address at the other end of the connection. */
  readonly peerAddress: string | undefined;
  /** The values of a header, in order. */
  valuesOf(name: string): readonly string[];
}

/**
 * The address of the client as far as it can be trusted: that of the connection or, behind a known hop, the last address in
 * the header that the hop writes. Earlier addresses in the header may come from the client.
 * @param hopHeader in lower case; undefined if clients connect directly, null if the hop writes no header that can be trusted.
 * With a hop, every connection comes from this machine.
 */
export function clientAddress(source: Source, hopHeader: string | null | undefined): string | undefined {
  if (hopHeader === null) return undefined;
  if (hopHeader === undefined) return addressIn(source.peerAddress ?? '');
  const last = source.valuesOf(hopHeader).at(-1)?.split(',').at(-1);
  return last === undefined ? undefined : addressIn(last.trim());
}

/** Without brackets and port, and with an IPv4-mapped IPv6 address as IPv4. */
function addressIn(text: string): string | undefined {
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? text;
  const address = unmapped(bare);
  return isIP(address) === 0 ? undefined : address;
}
