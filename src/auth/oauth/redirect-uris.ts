/** Longest redirect URI, in characters: each registration is kept in memory, and long ones belong in `state`. */
const maxLength = 1024;

/** Printable ASCII without the backslash, which browsers read as a slash. */
const allowedCharacters = /^[\x21-\x5b\x5d-\x7e]+$/;

/** An http URI on loopback: host, path and query. The port is chosen by the client at each start (RFC 8252 §7.3). */
const loopbackSyntax = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?([/?].*)?$/;

/** The URI of an app: a private-use scheme (RFC 8252 §7.1), a slash, and what the app needs. */
const appSyntax = /^[a-z][a-z0-9+.-]*:\//i;

/** Schemes with which a browser or the system runs code, opens files, or that are not those of an app. */
const dangerousSchemes: ReadonlySet<string> = new Set(
  [
    'javascript vbscript data file blob filesystem about view-source jar resource chrome chrome-extension moz-extension',
    'edge brave opera safari-extension devtools intent shell search search-ms help hcp res mk mhtml ldap smb nfs afp',
    'ftp ftps sftp ssh telnet ws wss mailto tel sms facetime rdp vnc',
  ].flatMap((line) => line.split(' ')),
);

/** Where a redirect leads: to a web site, to a program on the user's computer, or to an app that claimed a scheme. */
export type RedirectKind = 'web' | 'loopback' | 'app';

/** Why a client may not have this redirect URI; undefined if it may. */
export function redirectUriProblem(uri: string): string | undefined {
  if (uri.length > maxLength) return `it is longer than ${maxLength} characters`;
  if (!allowedCharacters.test(uri))
    return 'it has spaces, backslashes, control characters or characters outside of ASCII';
  if (uri.includes('#')) return 'it has a fragment';
  if (!URL.canParse(uri)) return 'it is not an absolute URL';
  const { protocol, username, password } = new URL(uri);
  if (username !== '' || password !== '' || /^[^/]*\/\/[^/?]*@/.test(uri)) return 'it has a user name or a password';
  if (protocol === 'https:') return /^https:\/\/[^/?]/i.test(uri) ? undefined : 'it has no host';
  if (protocol === 'http:') return loopbackSyntax.test(uri) ? undefined : 'http is allowed for localhost only';
  if (dangerousSchemes.has(protocol.slice(0, -1)) || protocol.startsWith('ms-')) {
    return `the scheme ${protocol} is not allowed`;
  }
  return appSyntax.test(uri) ? undefined : 'there is no slash after its scheme';
}

/** @param uri without a problem. */
export function redirectKind(uri: string): RedirectKind {
  const { protocol } = new URL(uri);
  return protocol === 'https:' ? 'web' : protocol === 'http:' ? 'loopback' : 'app';
}

/** The host that a redirect leads to, in ASCII; of an app with the scheme. */
export function redirectHost(uri: string): string {
  const { host, protocol } = new URL(uri);
  return redirectKind(uri) === 'app' ? `${protocol}//${host}` : host;
}

/** Whether a client with these redirect URIs may use `uri`: the same string, on loopback with any port. */
export function isRegisteredUri(registered: readonly string[], uri: string): boolean {
  if (redirectUriProblem(uri) !== undefined) return false;
  return registered.some((own) => own === uri || (loopbackSyntax.test(uri) && withoutPort(own) === withoutPort(uri)));
}

function withoutPort(uri: string): string | undefined {
  const match = loopbackSyntax.exec(uri);
  return match === null ? undefined : `${match[1]}${match[2] ?? '/'}`;
}

/** The URI with further parameters; what is in its query stays as it is (RFC 6749 §3.1.2). */
export function withParameters(uri: string, params: Readonly<Record<string, string | undefined>>): string {
  const added = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== undefined) added.set(name, value);
  return `${uri}${uri.includes('?') ? '&' : '?'}${added.toString()}`;
}
