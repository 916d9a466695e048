import { lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';

import { ExposeError } from '../../errors.ts';

/** Addresses to use for some hosts and ports instead of DNS, as in curl's `--resolve`. */
export class HostOverrides {
  readonly #addresses = new Map<string, readonly string[]>();

  /**
   * @param entries each `host:port:address[,address]…`; the host may be `*`, and an address may be in brackets.
   * @throws ExposeError `usage`.
   */
  constructor(entries: readonly string[] = []) {
    for (const entry of entries) {
      const { key, addresses } = parseEntry(entry);
      this.#addresses.set(key, addresses);
    }
  }

  /** The addresses for this host and port; undefined if DNS is to be used. */
  find(host: string, port: number): readonly string[] | undefined {
    return this.#addresses.get(keyOf(host, port)) ?? this.#addresses.get(keyOf('*', port));
  }

  /** For the `lookup` option of a connection to this port. */
  lookupFor(port: number): LookupFunction {
    return (host, options, callback) => {
      const addresses = this.find(host, port);
      const [first] = addresses ?? [];
      if (addresses === undefined || first === undefined) lookup(host, options, callback);
      else if (options.all === true)
        callback(
          null,
          addresses.map((address) => ({ address, family: isIP(address) })),
        );
      else callback(null, first, isIP(first));
    };
  }
}

function parseEntry(entry: string): { key: string; addresses: string[] } {
  const [, host = '', port = '', list = ''] = /^(\*|[^:*]+|\[[^\]]+\]):(\d{1,5}):(.+)$/.exec(entry) ?? [];
  const addresses = list.split(',').map((address) => address.trim().replace(/^\[(.*)\]$/, '$1'));
  if (host === '' || Number(port) < 1 || Number(port) > 65_535 || !addresses.every((address) => isIP(address) !== 0)) {
    throw new ExposeError('usage', `${JSON.stringify(entry)} does not say which address a host has`, {
      hints: ['write host:port:address, for example mcp.example:443:127.0.0.1'],
    });
  }
  return { key: keyOf(host, Number(port)), addresses };
}

/** One spelling for all spellings of a host. */
function keyOf(host: string, port: number): string {
  return `${host.toLowerCase().replaceAll(/^\[|\]$|\.$/g, '')}:${port}`;
}
