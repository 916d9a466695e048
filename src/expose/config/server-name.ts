import { hash } from 'node:crypto';

/** Greatest length of a label of a host name (RFC 1035 §2.3.4), in characters. */
const maxNameLength = 63;

/** Longest part of a name of the file that is shown, in characters. */
const maxShownLength = 80;

const nameSyntax = /^(?!\.)[A-Za-z0-9._-]{1,63}$/;

/** Paths of mcp-expose itself, which no server can have. */
const reserved: ReadonlySet<string> = new Set([
  'mcp',
  'sse',
  'messages',
  'healthz',
  'readyz',
  '.well-known',
  // Of the authorization server.
  'authorize',
  'token',
  'register',
  'revoke',
  'oauth-callback',
]);

/** Whether a name can be used in a URL path unchanged: 1 to 63 of `A-Z a-z 0-9 . _ -`, not starting with a dot. */
export function isServerName(name: string): boolean {
  return nameSyntax.test(name);
}

/** Whether a path of mcp-expose itself has this name. */
export function isReservedName(name: string): boolean {
  return reserved.has(name.toLowerCase());
}

/**
 * The name under which a server is served: its own, or one derived from it, always in the same way. Accents are removed,
 * letters become lower case, and other characters become `-`.
 */
export function servedName(name: string): string {
  if (isServerName(name)) return name;
  const slug = name
    .normalize('NFKD')
    .replaceAll(/\p{Mark}/gu, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replace(/^[.-]+/, '')
    .slice(0, maxNameLength)
    .replace(/[.-]+$/, '');
  return slug === '' ? `server-${hash('sha256', name).slice(0, 8)}` : slug;
}

/** The name under which an entry is served, and why a number was added to it. */
export interface ClaimedName {
  readonly served: string;
  readonly why?: string;
}

/**
 * The names under which servers are served, in their order. No two are the same, even without case, which host names do not
 * have: if a name is taken, a number is added. Names that stay unchanged have precedence, so that no server loses its own
 * name to another one.
 */
export function claimNames(names: readonly string[]): ClaimedName[] {
  const claimed = new Map<number, ClaimedName>();
  const taken = new Set<string>();
  const isFree = (name: string): boolean => !isReservedName(name) && !taken.has(name.toLowerCase());
  const claim = (index: number, name: ClaimedName): void => {
    taken.add(name.served.toLowerCase());
    claimed.set(index, name);
  };
  for (const [index, name] of names.entries()) if (isServerName(name) && isFree(name)) claim(index, { served: name });
  for (const [index, name] of names.entries()) {
    if (claimed.has(index)) continue;
    const wanted = servedName(name);
    if (isFree(wanted)) claim(index, { served: wanted });
    else claim(index, { served: numbered(wanted, isFree), why: whyTaken(wanted) });
  }
  return names.map((name, index) => claimed.get(index) ?? { served: name });
}

function numbered(name: string, isFree: (name: string) => boolean): string {
  for (let number = 2; ; number++) {
    const suffix = `-${number}`;
    const candidate = name.slice(0, maxNameLength - suffix.length) + suffix;
    if (isFree(candidate)) return candidate;
  }
}

function whyTaken(name: string): string {
  return isReservedName(name) ? `/${name} is a path of mcp-expose itself` : `another one is served as ${name}`;
}

/** A name of the file in quotes for a message: cut, and on one line. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > maxShownLength ? `${text.slice(0, maxShownLength)}…` : text);
}
