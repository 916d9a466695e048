/** Names under which a machine reaches itself, with any port, as they stand in a Host header (RFC 9110 §7.2). */
const loopbackHost = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;
const loopbackOrigin = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;

export interface HostList {
  /** Whether a Host header (or `:authority`) names this server. */
  admitsHost(host: string | undefined): boolean;
  /** Whether a page of this Origin may call this server; a request without one comes from no browser page. */
  admitsOrigin(origin: string | undefined): boolean;
  /** Replaces the URLs, beside the loopback names, under which this server is reached. */
  setUrls(urls: readonly string[]): void;
}

/**
 * The names by which requests may call this server. A page that re-binds its own host name to this machine's address
 * (DNS rebinding) sends a name that is not on the list, whatever address it connects to.
 *
 * Loopback names are admitted with any port, other names only with the port of their URL.
 * @param allowedOrigins further origins whose pages may call, as browsers write them: `https://app.example`.
 */
export function createHostList(allowedOrigins: readonly string[] = []): HostList {
  const allowed = new Set(allowedOrigins);
  let hosts = new Set<string>();
  let origins = new Set<string>();
  return {
    admitsHost(host) {
      return host !== undefined && (loopbackHost.test(host) || hosts.has(host.toLowerCase()));
    },
    admitsOrigin(origin) {
      return (
        origin === undefined || loopbackOrigin.test(origin) || origins.has(origin.toLowerCase()) || allowed.has(origin)
      );
    },
    setUrls(urls) {
      const parsed = urls.map((url) => new URL(url));
      hosts = new Set(parsed.flatMap(hostForms));
      origins = new Set(parsed.map((url) => url.origin));
    },
  };
}

/** A client may spell out the scheme's default port or leave it away (RFC 9110 §4.2.1). */
function hostForms({ protocol, host, port }: URL): string[] {
  return port === '' ? [host, `${host}:${protocol === 'https:' ? 443 : 80}`] : [host];
}
