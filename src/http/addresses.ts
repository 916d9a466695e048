import { lookup } from 'node:dns';
import { isIP, isIPv4 } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { promisify } from 'node:util';

import { ExposeError, messageOf } from '../errors.ts';
import { inUrl, isLoopbackAddress, isWildcardAddress, unmapped, withoutZone } from '../platform/net/addresses.ts';

/** Not from node:dns/promises, a further millisecond and 100 KB at each start: node:net needs node:dns anyway. */
const lookUp = promisify(lookup);

/** Where to listen, as the operating system will understand it. */
export interface BindAddress {
  readonly address: string;
  /** Only this machine can connect. */
  readonly isLoopback: boolean;
  /** Every address of the machine. */
  readonly isWildcard: boolean;
  /** The name that was resolved, in lower case; undefined where an address was given. */
  readonly name?: string;
}

/**
 * Resolves what `--host` names. Spellings such as `0`, `0x0` or a name that stands for every address are seen through,
 * since it is the resolved address that is judged and used.
 * @throws ExposeError `address_unavailable` when the name has no address.
 */
export async function resolveBindAddress(host: string): Promise<BindAddress> {
  let address: string;
  try {
    if (host === '') throw new Error('it is empty');
    ({ address } = await lookUp(host.replace(/^\[(.*)\]$/, '$1'), { verbatim: true }));
  } catch (cause) {
    const isName = host !== '' && cause instanceof Error && 'code' in cause && cause.code !== 'EMFILE';
    const why = isName ? 'no such host' : messageOf(cause);
    throw new ExposeError('address_unavailable', `cannot listen on ${host}: ${why}`, {
      hints: ['--host takes an address of this machine, 127.0.0.1 unless given'],
      cause,
    });
  }
  const name = nameIn(host);
  return {
    address,
    isLoopback: isLoopbackAddress(address),
    isWildcard: isWildcardAddress(address),
    ...(name === undefined ? {} : { name }),
  };
}

/** The ways to a listener. */
export interface ListenerUrls {
  /** From this machine. */
  readonly local: string;
  /** From other machines, each of them; none where only this machine can connect. */
  readonly others: readonly string[];
  /** For every name and address under which this machine may be called there, beside `localhost` and its like. */
  readonly all: readonly string[];
}

/**
 * @param reachable addresses of this machine at which others on the network can reach it.
 */
export function listenerUrls(bind: BindAddress, port: number, reachable: readonly string[]): ListenerUrls {
  const { address, isLoopback, isWildcard, name } = bind;
  const urlOf = (host: string): string => `http://${inUrl(host)}:${port}`;
  const own = unmapped(address);
  // An IPv6 socket takes IPv4 as well, unless it is bound to an address that stands for one of IPv4.
  const others = isWildcard
    ? reachable.filter((candidate) => !isIPv4(own) || isIPv4(candidate))
    : isLoopback
      ? []
      : [own];
  const names = isLoopback ? [] : namesOfMachine();
  const hosts = [...(isWildcard ? addressesOfMachine() : [own]), ...names, ...(name === undefined ? [] : [name])];
  return {
    local: urlOf(isWildcard ? '127.0.0.1' : own),
    others: others.map(urlOf),
    // No Host header has a zone (RFC 9110 §7.2, RFC 3986 §3.2.2).
    all: hosts.map((host) => urlOf(withoutZone(host))),
  };
}

/** Undefined for an address, in whatever spelling: `0x0` is one, too. */
function nameIn(host: string): string | undefined {
  const name = host.toLowerCase();
  const isName = hostNameSyntax.test(name) && isIP(name) === 0 && URL.canParse(`http://${name}`);
  return isName && new URL(`http://${name}`).hostname === name ? name : undefined;
}

function addressesOfMachine(): string[] {
  return Object.values(networkInterfaces()).flatMap((entries) => (entries ?? []).map(({ address }) => address));
}

/** Its name may also be known with .local (mDNS). Whether others can resolve it cannot be told from here. */
function namesOfMachine(): string[] {
  const name = hostname().toLowerCase();
  return [name, `${name}.local`].filter((candidate) => hostNameSyntax.test(candidate));
}

const hostNameSyntax = /^[a-z0-9.-]+$/;
