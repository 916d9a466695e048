import { lookup } from 'node:dns';
import { isIP, isIPv4 } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { promisify } from 'node:util';

import { ExposeError, messageOf } from '../errors.ts';
import { inUrl, isLoopbackAddress, isWildcardAddress, unmapped, withoutZone } from '../platform/net/addresses.ts';

/** node:dns/promises would cost another millisecond and 100 KB at each start; node:net loads node:dns anyway. */
const lookUp = promisify(lookup);

/** Where to listen, as the operating system understands it. */
export interface BindAddress {
  readonly address: string;
  /** Only this machine can connect. */
  readonly isLoopback: boolean;
  /** Stands for every address of the machine. */
  readonly isWildcard: boolean;
  /** The host name that was resolved, in lower case; undefined if an address was given. */
  readonly name?: string;
}

/**
 * Resolves the value of `--host`. Spellings such as `0` or `0x0`, and names that resolve to the wildcard address, are
 * recognised, since the resolved address is checked and used.
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

/** The URLs of a listener. */
export interface ListenerUrls {
  /** For clients on this machine. */
  readonly local: string;
  /** For clients on other machines; empty if only this machine can connect. */
  readonly others: readonly string[];
  /** One for every name and address of this machine that a client may use, except loopback ones. */
  readonly all: readonly string[];
}

/**
 * @param reachable addresses of this machine that other machines on the network can reach.
 */
export function listenerUrls(bind: BindAddress, port: number, reachable: readonly string[]): ListenerUrls {
  const { address, isLoopback, isWildcard, name } = bind;
  const urlOf = (host: string): string => `http://${inUrl(host)}:${port}`;
  const own = unmapped(address);
  // An IPv6 socket also accepts IPv4, unless it is bound to an IPv4-mapped address.
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
    // A Host header has no zone (RFC 9110 §7.2, RFC 3986 §3.2.2).
    all: hosts.map((host) => urlOf(withoutZone(host))),
  };
}

/** The host name, or undefined for an address in any spelling, such as `0x0`. */
function nameIn(host: string): string | undefined {
  const name = host.toLowerCase();
  const isName = hostNameSyntax.test(name) && isIP(name) === 0 && URL.canParse(`http://${name}`);
  return isName && new URL(`http://${name}`).hostname === name ? name : undefined;
}

function addressesOfMachine(): string[] {
  return Object.values(networkInterfaces()).flatMap((entries) => (entries ?? []).map(({ address }) => address));
}

/** With mDNS, the name also exists with `.local`. Whether other machines can resolve it is not known here. */
function namesOfMachine(): string[] {
  const name = hostname().toLowerCase();
  return [name, `${name}.local`].filter((candidate) => hostNameSyntax.test(candidate));
}

const hostNameSyntax = /^[a-z0-9.-]+$/;
