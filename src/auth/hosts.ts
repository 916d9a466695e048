/** Names under which a machine reaches itself, as they stand in a Host header (RFC 9110 §7.2). */
const loopbackNames: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);
const loopbackOrigin = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;

/** What is known of the way in from the Host header alone. */
export interface HostMatch {
  /** The label in front of one of our names, `files` of `files.k3v9.relay.example`, where such labels are known. */
  readonly label?: string;
  /** The path in front of all of ours under this host, without a trailing slash: a relay may give paths, not hosts. */
  readonly basePath: string;
}

export interface HostList {
  /** What a Host header (or `:authority`) that names this server says of the way in; undefined for any other. */
  matchHost(host: string | undefined): HostMatch | undefined;
  /**
   * Whether a page of this Origin may call this server; a request without one comes from no browser page.
   * @param host of the request, one of ours: a page that came from there may call it.
   */
  admitsOrigin(origin: string | undefined, host?: string): boolean;
  /** Replaces the URLs, beside the loopback names, under which this server is reached. */
  setUrls(urls: readonly string[]): void;
}

export interface HostListOptions {
  /** Whether pages of an origin that is none of ours may call. Default: none may. */
  readonly allowsOrigin?: (origin: string) => boolean;
  /** Whether `<label>.<name of ours>` is a name of ours too; asked in lower case. Default: none is. */
  readonly hasLabel?: (label: string) => boolean;
}

const loopback: HostMatch = { basePath: '' };

/**
 * The names by which requests may call this server. A page that re-binds its own host name to this machine's address
 * (DNS rebinding) sends a name that is not on the list, whatever address it connects to.
 *
 * A name is admitted with any port, since there may be another one in front (port mapping, a container, SSH): a page that
 * re-binds its name has that name with every port.
 */
export function createHostList(options: HostListOptions = {}): HostList {
  const { allowsOrigin = () => false, hasLabel = () => false } = options;
  let hosts = new Map<string, HostMatch>();
  let origins = new Set<string>();

  function matchLabel(name: string): HostMatch | undefined {
    const dot = name.indexOf('.');
    const label = name.slice(0, Math.max(dot, 0));
    const match = hosts.get(name.slice(dot + 1));
    // Where all of ours is behind a path, there are no hosts to give.
    return match?.basePath === '' && hasLabel(label) ? { label, basePath: '' } : undefined;
  }

  return {
    matchHost(host) {
      if (host === undefined) return undefined;
      const written = host.toLowerCase();
      const name = written.replace(/:\d{1,5}$/, '');
      // A relay may be on this machine, too: what is known of a name comes first.
      return hosts.get(written) ?? hosts.get(name) ?? (loopbackNames.has(name) ? loopback : matchLabel(name));
    },
    admitsOrigin(origin, host) {
      if (origin === undefined || loopbackOrigin.test(origin) || allowsOrigin(origin)) return true;
      return origins.has(origin.toLowerCase()) || isSameOrigin(origin, host);
    },
    setUrls(urls) {
      const parsed = urls.map((url) => new URL(url));
      hosts = hostsOf(parsed);
      origins = new Set(parsed.map((url) => url.origin));
    },
  };
}

/** By name alone, and with its port where a URL of the same name has another path. The first URL of a name stands for it. */
function hostsOf(urls: readonly URL[]): Map<string, HostMatch> {
  const hosts = new Map<string, HostMatch>();
  for (const { host, hostname, pathname } of urls) {
    const match = { basePath: pathname.replace(/\/+$/, '') };
    hosts.set(host, match);
    if (!hosts.has(hostname)) hosts.set(hostname, match);
  }
  return hosts;
}

/**
 * Whether the page came from the host, and the port, that it calls. Whether that was encrypted only a proxy in front knows, so
 * both schemes will do.
 */
function isSameOrigin(origin: string, host: string | undefined): boolean {
  const [, scheme, authority] = /^(https?):\/\/([^/]+)$/.exec(origin.toLowerCase()) ?? [];
  const defaultPort = scheme === 'https' ? /:443$/ : /:80$/;
  return authority !== undefined && authority.replace(defaultPort, '') === host?.toLowerCase().replace(defaultPort, '');
}
