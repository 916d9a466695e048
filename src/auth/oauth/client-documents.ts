import { once } from 'node:events';
import { lookup as lookUp } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';

import { abortReason, createDeadline } from '../../platform/deadline.ts';
import { isIn, withoutBrackets } from '../../platform/net/addresses.ts';
import { isCredentialAddress } from '../../platform/net/credential-addresses.ts';
import { requestText } from '../../platform/net/request-text.ts';

/** Limits of a document, as draft-ietf-oauth-client-id-metadata-document §6.6 recommends them. */
const maxDocumentBytes: number = 5 * 1024;
const documentTimeoutMs = 5000;

/** Everything that is not on the Internet, or leads elsewhere (IANA's special-purpose address registries, RFC 6890). */
const special = { ipv4: new BlockList(), ipv6: new BlockList() };
for (const [family, networks] of [
  ['ipv4', '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24'],
  ['ipv4', '192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3'],
  // Only 2000::/3 is global unicast; in it, tunnels to IPv4 addresses and documentation.
  ['ipv6', '::/3 4000::/2 8000::/1 2001::/23 2001:db8::/32 2002::/16 3fff::/20'],
] as const) {
  for (const network of networks.split(' ')) {
    const [address = '', prefix] = network.split('/');
    special[family].addSubnet(address, Number(prefix), family);
  }
}

export interface ClientDocument {
  readonly text: string;
  readonly cacheControl: string | undefined;
}

/**
 * Fetches a client metadata document.
 * @param url one that `clientDocumentUrl` accepts.
 * @throws an Error whose message says why there is none.
 */
export type FetchDocument = (url: URL, signal: AbortSignal) => Promise<ClientDocument>;

export interface DocumentFetcherOptions {
  /** All addresses of a host name. Default: the system's resolver. */
  readonly resolve?: (host: string) => Promise<readonly Address[]>;
  /** Default: over the network. */
  readonly send?: typeof requestText;
}

export interface Address {
  readonly address: string;
  readonly family: number;
}

/** The URL of a client id that is one: https, port 443, a path, in its one canonical form; otherwise undefined. */
export function clientDocumentUrl(clientId: string): URL | undefined {
  if (!clientId.startsWith('https://') || clientId.includes('#') || !URL.canParse(clientId)) return undefined;
  const url = new URL(clientId);
  // The parser removes dot segments and default ports, and writes the host in lower case.
  const isCanonical = url.href === clientId;
  return isCanonical && url.port === '' && url.username === '' && url.password === '' && url.pathname !== '/'
    ? url
    : undefined;
}

/**
 * Fetches documents from the Internet only: strangers choose the URL, and this machine can reach more than they can.
 * The addresses of the host are checked, and the connection is made to these very addresses.
 */
export function createDocumentFetcher(options: DocumentFetcherOptions = {}): FetchDocument {
  const { resolve = (host: string) => lookUp(host, { all: true }), send = requestText } = options;
  return async (url, outerSignal) => {
    const { signal, cancel } = createDeadline(documentTimeoutMs, outerSignal);
    try {
      const host = withoutBrackets(url.hostname);
      const family = isIP(host);
      const addresses = family === 0 ? await unlessAborted(resolve(host), signal) : [{ address: host, family }];
      if (addresses.length === 0 || !addresses.every(({ address }) => isPublicAddress(address))) {
        throw new Error('its host is not on the public Internet');
      }
      const { status, headers, text } = await send({
        method: 'GET',
        url,
        headers: { Accept: 'application/json' },
        env: {},
        lookup: pinnedTo(addresses),
        timeoutMs: documentTimeoutMs,
        signal,
        maxBytes: maxDocumentBytes,
      });
      if (status !== 200) throw new Error(`its host answered with status ${status}`);
      if (!/^application\/(?:[\w.+-]*\+)?json\s*(?:;|$)/i.test(headers['content-type'] ?? '')) {
        throw new Error('it is not JSON');
      }
      if (Buffer.byteLength(text) > maxDocumentBytes) throw new Error(`it is larger than ${maxDocumentBytes} bytes`);
      return { text, cacheControl: headers['cache-control'] };
    } finally {
      cancel();
    }
  };
}

function isPublicAddress(address: string): boolean {
  return !isIn(special[isIP(address) === 6 ? 'ipv6' : 'ipv4'], address) && !isCredentialAddress(address);
}

/** Gives the addresses that were checked: the name could have others by now (DNS rebinding). */
function pinnedTo(addresses: readonly Address[]): LookupFunction {
  return (_host, { all }, callback) => {
    const [first] = addresses;
    if (all === true) callback(null, [...addresses]);
    else callback(null, first?.address ?? '', first?.family);
  };
}

/** The system's resolver cannot be stopped. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = once(signal, 'abort').then(() => Promise.reject(abortReason(signal)));
  return Promise.race([promise, aborted]);
}
