/** Names of the loopback interface, as in a Host header (RFC 9110 §7.2). */
const loopbackNames: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);
const loopbackOrigin = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;

/** What the Host header says about a request. */
export interface HostMatch {
  /** A known label before one of the host names of this server: `files` of `files.k3v9.relay.example`. */
  readonly label?: string;
  /** The prefix of all paths under this host, without a trailing slash: a relay may assign paths instead of hosts. */
  readonly basePath: string;
}

export interface HostList {
  /** For a Host header that names this server; undefined for any other. */
  matchHost(host: string | undefined): HostMatch | undefined;
  /**
   * Whether a page of this Origin may call this server; a request without one does not come from a web page.
   * @param host of the request, which is accepted: a page from that host may call it.
   */
  admitsOrigin(origin: string | undefined, host?: string): boolean;
  /** Replaces the URLs of this server; the loopback names are always accepted. */
  setUrls(urls: readonly string[]): void;
}

export interface HostListOptions {
  /** Whether pages of a foreign origin may call. Default: none may. */
  readonly allowsOrigin?: (origin: string) => boolean;
  /** Whether `<label>.<host name of this server>` is accepted too; called in lower case. Default: never. */
  readonly hasLabel?: (label: string) => boolean;
}

const loopback: HostMatch = { basePath: '' };

/**
 * The host names that requests may use for this server. A page that resolves its own host name to the address of this machine
 * (DNS rebinding) sends a name that is not in the list, whatever address it connects to.
 *
 * A name is accepted with any port, since clients may use another port (port mapping, a container, SSH). That is safe, because
 * a page with a rebound name sends that name with every port.
 */
export function createHostList(options: HostListOptions = {}): HostList {
  const { allowsOrigin = () => false, hasLabel = () => false } = options;
  let hosts = new Map<string, HostMatch>();
  let origins = new Set<string>();

  function matchLabel(name: string): HostMatch | undefined {
    const dot = name.indexOf('.');
    const label = name.slice(0, Math.max(dot, 0));
    const match = hosts.get(name.slice(dot + 1));
    // Below a path prefix, there are no host names with labels.
    return match?.basePath === '' && hasLabel(label) ? { label, basePath: '' } : undefined;
  }

  return {
    matchHost(host) {
      if (host === undefined) return undefined;
      const written = host.toLowerCase();
      const name = written.replace(/:\d{1,5}$/, '');
      // Known names come first, since a relay may also be on this machine.
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

/** By name, and by name with port if a URL with the same name has another path. The first URL of a name counts. */
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
 * Whether the page is from the host and port that it calls. Only a reverse proxy knows whether that was encrypted, so both
 * schemes are accepted.
 */
function isSameOrigin(origin: string, host: string | undefined): boolean {
  const [, scheme, authority] = /^(https?):\/\/([^/]+)$/.exec(origin.toLowerCase()) ?? [];
  const defaultPort = scheme === 'https' ? /:443$/ : /:80$/;
  return authority !== undefined && authority.replace(defaultPort, '') === host?.toLowerCase().replace(defaultPort, '');
}
