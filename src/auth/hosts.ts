/** Names under which a machine reaches itself, with any port, as they stand in a Host header (RFC 9110 §7.2). */
const loopbackHost = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;
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
  /** Whether a page of this Origin may call this server; a request without one comes from no browser page. */
  admitsOrigin(origin: string | undefined): boolean;
  /** Replaces the URLs, beside the loopback names, under which this server is reached. */
  setUrls(urls: readonly string[]): void;
}

export interface HostListOptions {
  /** Further origins whose pages may call, as browsers write them: `https://app.example`. */
  readonly allowedOrigins?: readonly string[] | undefined;
  /** Whether `<label>.<name of ours>` is a name of ours too; asked in lower case. Default: none is. */
  readonly hasLabel?: (label: string) => boolean;
}

const loopback: HostMatch = { basePath: '' };

/**
 * The names by which requests may call this server. A page that re-binds its own host name to this machine's address
 * (DNS rebinding) sends a name that is not on the list, whatever address it connects to.
 *
 * Loopback names are admitted with any port, other names only with the port of their URL.
 */
export function createHostList({ allowedOrigins = [], hasLabel = () => false }: HostListOptions = {}): HostList {
  const allowed = new Set(allowedOrigins);
  let hosts = new Map<string, HostMatch>();
  let origins = new Set<string>();

  function matchLabel(host: string): HostMatch | undefined {
    const dot = host.indexOf('.');
    const label = host.slice(0, Math.max(dot, 0));
    const match = hosts.get(host.slice(dot + 1));
    // Where all of ours is behind a path, there are no hosts to give.
    return match?.basePath === '' && hasLabel(label) ? { label, basePath: '' } : undefined;
  }

  return {
    matchHost(host) {
      if (host === undefined) return undefined;
      const name = host.toLowerCase();
      // A relay may be on this machine, too: what is known of a name comes first.
      return hosts.get(name) ?? (loopbackHost.test(name) ? loopback : matchLabel(name));
    },
    admitsOrigin(origin) {
      return (
        origin === undefined || loopbackOrigin.test(origin) || origins.has(origin.toLowerCase()) || allowed.has(origin)
      );
    },
    setUrls(urls) {
      const parsed = urls.map((url) => new URL(url));
      hosts = new Map(
        parsed.flatMap((url) => {
          const match = { basePath: url.pathname.replace(/\/+$/, '') };
          return hostForms(url).map((form): [string, HostMatch] => [form, match]);
        }),
      );
      origins = new Set(parsed.map((url) => url.origin));
    },
  };
}

/** A client may spell out the scheme's default port or leave it away (RFC 9110 §4.2.1). */
function hostForms({ protocol, host, port }: URL): string[] {
  return port === '' ? [host, `${host}:${protocol === 'https:' ? 443 : 80}`] : [host];
}
