import { lookup, type LookupAddress, type LookupAllOptions } from 'node:dns';
import type { LookupFunction } from 'node:net';

import { ExposeError } from '../../../errors.ts';
import { redactUrl } from '../../../platform/text/redact.ts';
import { isLoopbackAddress, isLoopbackHost, withoutBrackets } from '../../../platform/net/addresses.ts';
import { isCredentialAddress } from '../../../platform/net/credential-addresses.ts';

const credentialNames: ReadonlySet<string> = new Set(
  'metadata metadata.google.internal metadata.goog instance-data instance-data.ec2.internal'.split(' '),
);

/** Characters of a URL that are shown. */
const maxShown = 200;

type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * Parses the URL of `--http` or `--sse`, and checks that mcp-expose may call it.
 * @throws ExposeError `upstream_url_refused`; its message contains neither the query nor credentials.
 */
export function checkUpstreamUrl(text: string, { allowPlainHttp }: { readonly allowPlainHttp: boolean }): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw refused(`${JSON.stringify(redactUrl(text).slice(0, maxShown))} is not an http(s) URL`, [
      'give the whole address of the server, for example http://127.0.0.1:3000/mcp',
    ]);
  }
  if (url.username !== '' || url.password !== '') {
    throw refused('the URL of the server has a user name or a password in it', [
      'give it as a header: --upstream-header "Authorization: Basic …"',
    ]);
  }
  refuseCredentialHost(url);
  if (url.protocol === 'http:' && !allowPlainHttp && !isLoopbackHost(hostOf(url))) {
    throw refused(`${redactUrl(url.href).slice(0, maxShown)} is not encrypted on its way to another machine`, [
      'use https://',
      'if you trust the network in between, add --allow-plain-http',
    ]);
  }
  url.hash = '';
  return url;
}

/**
 * Checks the host of a URL without resolving it: Node calls no `lookup` for a literal address.
 * @throws ExposeError `upstream_url_refused`
 */
export function refuseCredentialHost(url: URL): void {
  const host = hostOf(url);
  if (credentialNames.has(host) || isCredentialAddress(host)) throw credentialHost(host);
}

/**
 * For `lookup` of node:http and node:https: checks the addresses that the connection uses, so that a change of address
 * between two lookups has no effect. Names of loopback must resolve to loopback (RFC 6761 §6.3).
 */
export const guardedLookup: LookupFunction = guardLookup(lookup);

/** `guardedLookup` with another resolver. */
export function guardLookup(resolve: Resolve): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) {
        callback(error, []);
        return;
      }
      const refusal = refusalOf(hostname, found);
      const [first] = found;
      if (refusal !== undefined) callback(refusal, []);
      else if (options.all === true || first === undefined) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}

function refusalOf(hostname: string, found: readonly { readonly address: string }[]): ExposeError | undefined {
  const host = withoutFinalDot(hostname.toLowerCase());
  if (found.some(({ address }) => isCredentialAddress(address))) return credentialHost(host);
  if (isLoopbackHost(host) && found.some(({ address }) => !isLoopbackAddress(address))) {
    return refused(`${host} does not resolve to this machine`, ['check the hosts file, or use 127.0.0.1']);
  }
  return undefined;
}

function credentialHost(host: string): ExposeError {
  return refused(`${host} is a cloud metadata address, to which mcp-expose sends no requests`, []);
}

/** Without the brackets of an IPv6 address and the final dot of a fully qualified name. */
function hostOf({ hostname }: URL): string {
  return withoutFinalDot(withoutBrackets(hostname));
}

/** A fully qualified name may end with a dot (RFC 1034 §3.1). */
function withoutFinalDot(name: string): string {
  return name.replace(/\.$/, '');
}

function refused(message: string, hints: readonly string[]): ExposeError {
  return new ExposeError('upstream_url_refused', message, { hints });
}
