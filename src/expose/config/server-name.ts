import { hash } from 'node:crypto';

/** As long as a label of a host name may be (RFC 1035 §2.3.4), in characters. */
const maxNameLength = 63;

/** Longest piece of a foreign text that is shown, in characters. */
const maxShownLength = 80;

const nameSyntax = /^(?!\.)[A-Za-z0-9._-]{1,63}$/;

/** Paths of our own, where a server would hide them or be hidden. */
const reserved: ReadonlySet<string> = new Set(['mcp', 'sse', 'messages', 'healthz', 'readyz', '.well-known']);

/** Whether a name can stand in a URL's path as it is: 1 to 63 of `A-Z a-z 0-9 . _ -`, the first of them no dot. */
export function isServerName(name: string): boolean {
  return nameSyntax.test(name);
}

/** Whether a path of our own has this name. */
export function isReservedName(name: string): boolean {
  return reserved.has(name.toLowerCase());
}

/**
 * The name under which a server is served: its own one, or one made of it, always the same for the same name. Accents
 * go, letters become lower case, and what is left of other characters becomes `-`.
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

/** Under which name an entry is served, and why that is not its own name as a path would have it. */
export interface ClaimedName {
  readonly served: string;
  readonly why?: string;
}

/**
 * The name under which each of these is served, in their order. No two are the same, not even without case, which host names
 * do not have: whoever finds its name taken gets a number behind it. Names that can stay as they are have precedence, so that
 * no server loses its own name to another one.
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

/** A foreign text in quotes for a message: cut, and without anything that would break the line. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > maxShownLength ? `${text.slice(0, maxShownLength)}…` : text);
}
