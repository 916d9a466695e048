import { isDerivedForm, isValidName } from '../protocol/identity.ts';

/** Names that a relay needs for itself, or that look like the operator's. */
const reservedNames: ReadonlySet<string> = new Set(
  [
    'about abuse account accounts admin api app assets auth blog cdn',
    'console dashboard dev dns docs download favicon ftp health healthz help home host hostmaster imap localhost login',
    'logout mail mcp mcp-expose message messages metrics mta-sts mx new ns ns1 ns2 oauth operator pop postmaster',
    'privacy ready readyz register registry relay robots root security signup smtp sse ssl static status support system',
    'terms token tunnel web webmail webmaster well-known whois www wpad',
  ].flatMap((line) => line.split(' ')),
);

/**
 * Why the key whose derived name is `ownName` cannot have a wished name; undefined when it can. `extra` are names that this
 * relay needs, for example the first segment of its own path.
 */
export function nameObjection(wish: string, ownName: string, extra: ReadonlySet<string>): string | undefined {
  if (wish === ownName) return undefined;
  if (!isValidName(wish)) {
    return 'a name is 3 to 63 lower-case letters, digits and dashes, with no dash at either end';
  }
  if (reservedNames.has(wish) || extra.has(wish)) return `the name ${wish} is reserved`;
  // Punycode can make a name look like another one.
  if (wish.startsWith('xn--')) return 'names in punycode (xn--) are reserved';
  // Otherwise anybody could take the URL of an agent that is offline, and receive its clients' tokens.
  if (isDerivedForm(wish)) {
    return `the name ${wish} has the form of the names that are derived from keys (10 characters of a-z and 2-7), only its own key may have it`;
  }
  return undefined;
}
