import { networkInterfaces } from 'node:os';
import { ExposeError } from '../../../errors.ts';
import { inUrl, isLoopbackAddress, isWildcardAddress } from '../../../platform/net/addresses.ts';
import { redactUrl } from '../../../platform/text/redact.ts';

/** Default ports that URLs omit; that depends on the agent's scheme, which a relay behind a proxy does not know. */
const defaultPorts: ReadonlySet<number> = new Set([80, 443]);

export interface RelayUrlsOptions {
  readonly host?: string;
  /** Addresses to listen on instead of `host`, all with one port. */
  readonly addresses?: readonly string[];
  /** 0 for a free one. */
  readonly port: number;
  /** The public URL of this relay, with scheme and port; a path is kept. */
  readonly publicUrl?: string;
  /** Domain below which every name is a host (`NAME.domain`), for a relay with wildcard DNS. */
  readonly domain?: string;
  /** Serves this one key only (raw Ed25519, base64url), whose agent gets every request at the root path. */
  readonly sole?: { readonly publicKey: string };
}

/** The addresses of a relay, and the URLs that follow from them. */
export class RelayUrls {
  readonly addresses: readonly string[];
  readonly publicUrl: URL | undefined;
  readonly domain: string | undefined;
  /** Path of the public URL without a trailing slash. */
  readonly basePath: string;
  /** The one that the relay listens on, once it does. */
  port: number;
  readonly #isSole: boolean;

  /** @throws ExposeError `usage` for an invalid public URL or domain. */
  constructor(options: RelayUrlsOptions) {
    this.addresses = options.addresses ?? [options.host ?? '127.0.0.1'];
    this.publicUrl = options.publicUrl === undefined ? undefined : parsePublicUrl(options.publicUrl);
    this.domain = options.domain === undefined ? undefined : parseDomain(options.domain);
    this.basePath = this.publicUrl?.pathname.replace(/\/+$/, '') ?? '';
    this.port = options.port;
    this.#isSole = options.sole !== undefined;
  }

  /** One URL per address, or only the public one. */
  all(): string[] {
    if (this.publicUrl !== undefined) return [`${this.publicUrl.origin}${this.basePath}`];
    return this.addresses.map((address) => `http://${urlHost(address)}:${this.port}`);
  }

  /** The URL for agents, if it is known. */
  forAgents(): string | undefined {
    if (this.publicUrl === undefined) return this.domain && `http://${this.domain}:${this.port}`;
    return this.all()[0];
  }

  /** Public base URLs of a name, for an agent that dialled `relayHost`. */
  ofName(name: string, relayHost: string): string[] {
    const { publicUrl, domain } = this;
    if (this.#isSole) return this.all();
    // A relay on all addresses does not know which of them others can reach; the agent has proved which one it dialled.
    const isOnAll = publicUrl === undefined && this.addresses.some(isWildcardAddress);
    const byPath = (isOnAll ? [`http://${relayHost}`] : this.all()).map((url) => `${url}/${name}`);
    if (domain === undefined) return byPath;
    const suffix = publicUrl === undefined ? `:${this.port}` : publicUrl.port && `:${publicUrl.port}`;
    return [`${publicUrl?.protocol ?? 'http:'}//${name}.${domain}${suffix}`, ...byPath];
  }

  /**
   * Every `host[:port]` under which an agent may have dialled this relay. A proof for any other host was made for another relay
   * and is being passed on. Loopback names are included only for a peer on this machine (`isLocalPeer`), since every machine
   * has a relay of that name.
   */
  acceptedHosts(isLocalPeer: boolean): ReadonlySet<string> {
    const { publicUrl, domain, port } = this;
    const hosts = new Set<string>();
    const addWithPort = (name: string): void => {
      hosts.add(`${name}:${port}`);
      if (defaultPorts.has(port)) hosts.add(name);
    };
    if (publicUrl !== undefined) hosts.add(publicUrl.host);
    if (domain !== undefined) {
      hosts.add(domain);
      addWithPort(domain);
      if (publicUrl !== undefined && publicUrl.port !== '') hosts.add(`${domain}:${publicUrl.port}`);
    }
    for (const address of this.addresses.flatMap(expandWildcard)) {
      if (isLocalPeer || !isLoopbackAddress(address)) addWithPort(inUrl(address).toLowerCase());
    }
    if (isLocalPeer) for (const name of ['localhost', '127.0.0.1', '[::1]']) addWithPort(name);
    return hosts;
  }

  /** Whether the operator has a proxy in front, as far as that is known: the relay speaks no TLS and listens on one port. */
  hasProxy(): boolean {
    const { publicUrl } = this;
    if (publicUrl === undefined) return false;
    return publicUrl.protocol === 'https:' || Number(publicUrl.port || 80) !== this.port;
  }

  /** Tells this relay from others with the same state file. */
  identity(): string {
    if (this.publicUrl !== undefined) return `${this.publicUrl.host}${this.basePath}`;
    return `${this.addresses.join(' ')}:${this.port}`;
  }
}

function expandWildcard(address: string): string[] {
  if (!isWildcardAddress(address)) return [address];
  return Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .map((entry) => entry.address);
}

function urlHost(address: string): string {
  return isWildcardAddress(address) ? '127.0.0.1' : inUrl(address).toLowerCase();
}

function parsePublicUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (url === undefined || !isHttp || url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new ExposeError('usage', `${JSON.stringify(redactUrl(text))} cannot be the public URL of a relay`, {
      hints: ['give it as in --public-url https://relay.example'],
    });
  }
  return url;
}

function parseDomain(text: string): string {
  const domain = text
    .toLowerCase()
    .replace(/^\*?\./, '')
    .replace(/\.$/, '');
  if (!/^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(domain)) {
    throw new ExposeError('usage', `${JSON.stringify(redactUrl(text))} cannot be the domain of a relay`, {
      hints: ['give it as in --domain relay.example, with *.relay.example in the DNS pointing here'],
    });
  }
  return domain;
}
