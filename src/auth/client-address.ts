import { isIP } from 'node:net';

import { unmapped } from '../platform/net/addresses.ts';

/** What is known of where a request comes from. */
export interface Source {
  /** Address at the other end of the connection. */
  readonly peerAddress: string | undefined;
  /** The values of a header, in order. */
  readonly valuesOf: (name: string) => readonly string[];
}

/**
 * The address of the client, as far as that can be trusted: of the connection or, where a hop of ours is at its other end,
 * what that hop has written last in the header that it is known to write. What stands before may be the client's own words.
 * @param hopHeader in lower case; undefined where clients connect themselves, null where a hop says nothing of them that can
 * be trusted: it is at the other end of every connection, and so on this machine.
 */
export function clientAddress(
  { peerAddress, valuesOf }: Source,
  hopHeader: string | null | undefined,
): string | undefined {
  if (hopHeader === null) return undefined;
  if (hopHeader === undefined) return addressIn(peerAddress ?? '');
  const last = valuesOf(hopHeader).at(-1)?.split(',').at(-1);
  return last === undefined ? undefined : addressIn(last.trim());
}

/** Without brackets and port; an IPv4 address that is mapped into IPv6 is the same client. */
function addressIn(text: string): string | undefined {
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? text;
  const address = unmapped(bare);
  return isIP(address) === 0 ? undefined : address;
}
