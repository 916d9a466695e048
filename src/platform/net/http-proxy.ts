import { BlockList, isIP } from 'node:net';

import { isIn, isLoopbackHost, withoutBrackets } from './addresses.ts';

/** Why a proxy gave no connection. `message` names the proxy and the target; `words` names neither. */
export class ProxyError extends Error {
  readonly words: string;

  constructor(message: string, words: string, options?: ErrorOptions) {
    super(message, options);
    this.words = words;
  }
}

/**
 * The proxy to use for `target` by HTTPS_PROXY (for wss), HTTP_PROXY (for ws), ALL_PROXY and NO_PROXY, in lower or
 * upper case, or undefined. Loopback is never proxied. A value that is no http(s) URL is ignored. NO_PROXY holds names, also
 * of parent domains, addresses, networks (`10.0.0.0/8`) or `*`, each with a port where only that one is meant.
 */
export function proxyFor(target: URL, env: NodeJS.ProcessEnv): URL | undefined {
  const secure = target.protocol === 'wss:' || target.protocol === 'https:';
  const value = readEither(env, secure ? 'https_proxy' : 'http_proxy') ?? readEither(env, 'all_proxy');
  if (value === undefined || isLoopbackHost(target.hostname)) return undefined;
  if (isExempt(target, readEither(env, 'no_proxy') ?? '')) return undefined;
  const text = value.includes('://') ? value : `http://${value}`;
  if (!URL.canParse(text)) return undefined;
  const proxy = new URL(text);
  return proxy.protocol === 'http:' || proxy.protocol === 'https:' ? proxy : undefined;
}

function isExempt(target: URL, list: string): boolean {
  const host = withoutBrackets(target.hostname).toLowerCase();
  return list.split(/[\s,]+/).some((entry) => {
    if (entry === '*' || (isIP(entry) !== 0 && entry === host)) return true;
    if (isIP(entry) !== 0) return false;
    const [, network = '', prefix = ''] = /^(.+)\/(\d{1,3})$/.exec(entry) ?? [];
    if (isIP(network) !== 0) return isInNetwork(host, network, Number(prefix));
    const [, name = '', port] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
    if (name === '' || (port !== undefined && Number(port) !== portOf(target))) return false;
    const suffix = name.replace(/^\*?\.?/, '');
    return host === suffix || host.endsWith(`.${suffix}`);
  });
}

/** An entry of NO_PROXY such as `10.0.0.0/8`. */
function isInNetwork(host: string, network: string, prefix: number): boolean {
  const family = isIP(network) === 4 ? 'ipv4' : 'ipv6';
  if (prefix > (family === 'ipv4' ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(network, prefix, family);
  return isIn(list, host);
}

function readEither(env: NodeJS.ProcessEnv, name: string): string | undefined {
  return env[name] || env[name.toUpperCase()] || undefined;
}

/** The port that an http, https, ws or wss URL leads to. */
export function portOf({ port, protocol }: URL): number {
  return port === '' ? (protocol === 'https:' || protocol === 'wss:' ? 443 : 80) : Number(port);
}
