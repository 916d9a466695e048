/** Whose the origin of a public URL is: `host` is its host without port, which the path names of a relay share. */
export interface PublicOrigin {
  readonly host: string;
  readonly isShared: boolean;
}

/** Speak for the connection to the relay, which is not the agent's: where else the host is to be found, and which errors count. */
const ofConnection: readonly string[] = [
  'alt-svc',
  'expect-ct',
  'nel',
  'public-key-pins',
  'public-key-pins-report-only',
  // Clears the cookies of the whole registrable domain.
  'clear-site-data',
];

/** Orders to a proxy in front of the relay, which would serve its own files or fetch what it alone can reach. */
const ofProxy: readonly string[] = ['x-sendfile', 'x-lighttpd-send-file', 'x-litespeed-location', 'x-reproxy-url'];
const nginxPrefix = 'x-accel-';

/** Hold for the whole origin. */
const ofOrigin: readonly string[] = [
  'accept-ch',
  'accept-ch-lifetime',
  'activate-storage-access',
  'critical-ch',
  'origin-agent-cluster',
  'report-to',
  'reporting-endpoints',
  'secure-session-registration',
  'service-worker-allowed',
  'set-cookie',
  'set-cookie2',
  'set-login',
  'strict-transport-security',
  'use-as-dictionary',
];

const neverPassed: ReadonlySet<string> = new Set([...ofConnection, ...ofProxy]);
const ownOriginOnly: ReadonlySet<string> = new Set(ofOrigin);

/**
 * What of a header of an agent's answer may reach a browser. Agents do not trust each other: one must not say anything that
 * holds for the pages of another, or for the relay. Undefined when nothing is left.
 */
export function passedOn(name: string, value: string | string[], origin: PublicOrigin): string | string[] | undefined {
  if (neverPassed.has(name) || name.startsWith(nginxPrefix)) return undefined;
  if (origin.isShared) return ownOriginOnly.has(name) ? undefined : value;
  if (name !== 'set-cookie') return value;
  const cookies = [value].flat().filter((cookie) => staysAt(origin.host, cookie));
  return cookies.length === 0 ? undefined : cookies;
}

/** A cookie with the Domain of a parent goes to all hosts below it (RFC 6265, section 5.1.3), those of other agents among them. */
function staysAt(host: string, cookie: string): boolean {
  return cookie.split(';').every((part) => {
    const [attribute = '', domain = ''] = part.split('=', 2);
    if (attribute.trim().toLowerCase() !== 'domain') return true;
    const named = domain.trim().toLowerCase().replace(/^\./, '');
    return named === '' || named === host;
  });
}
