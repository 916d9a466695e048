import { lookup } from 'node:dns';
import { BlockList, isIPv6 } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { promisify } from 'node:util';

import { ExposeError, messageOf } from '../errors.ts';

/** Not from node:dns/promises, a further millisecond and 100 KB at each start: node:net needs node:dns anyway. */
const lookUp = promisify(lookup);

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** The addresses that stand for every address of the machine. */
const wildcard = new BlockList();
wildcard.addAddress('0.0.0.0', 'ipv4');
wildcard.addAddress('::', 'ipv6');

/** Where to listen, as the operating system will understand it. */
export interface BindAddress {
  readonly address: string;
  /** Only this machine can connect. */
  readonly isLoopback: boolean;
  /** Every address of the machine. */
  readonly isWildcard: boolean;
}

/**
 * Resolves what `--host` names. Spellings such as `0`, `0x0` or a name that stands for every address are seen through,
 * since it is the resolved address that is judged and used.
 * @throws ExposeError `address_unavailable` when the name has no address.
 */
export async function resolveBindAddress(host: string): Promise<BindAddress> {
  let found: { address: string; family: number };
  try {
    if (host === '') throw new Error('it is empty');
    found = await lookUp(host.replace(/^\[(.*)\]$/, '$1'), { verbatim: true });
  } catch (cause) {
    const isName = host !== '' && cause instanceof Error && 'code' in cause && cause.code !== 'EMFILE';
    const why = isName ? 'there is no host of this name' : messageOf(cause);
    throw new ExposeError('address_unavailable', `cannot listen on ${host}: ${why}`, {
      hints: ['--host takes an address of this machine, 127.0.0.1 unless given'],
      cause,
    });
  }
  const { address } = found;
  const family = found.family === 6 ? 'ipv6' : 'ipv4';
  return { address, isLoopback: loopback.check(address, family), isWildcard: wildcard.check(address, family) };
}

/** The URLs under which a listener on this address is reached. */
export function listenerUrls({ address, isWildcard }: BindAddress, port: number): string[] {
  if (!isWildcard) return [`http://${inUrl(address)}:${port}`];
  const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  // A link-local address needs a zone, which no URL carries.
  const addresses = own.map((entry) => entry.address).filter((candidate) => !candidate.startsWith('fe80:'));
  // The machine's name may also be known with .local (mDNS).
  const name = hostname().toLowerCase();
  const names = [name, `${name}.local`].filter((candidate) => /^[a-z0-9.-]+$/.test(candidate));
  return [...new Set(['127.0.0.1', ...addresses, ...names])].map((candidate) => `http://${inUrl(candidate)}:${port}`);
}

function inUrl(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}
