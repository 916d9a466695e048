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

/** A foreign text in quotes for a message: cut, and without anything that would break the line. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > maxShownLength ? `${text.slice(0, maxShownLength)}…` : text);
}
