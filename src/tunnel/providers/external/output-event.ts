import type { ExposeError } from '../../../errors.ts';

/** What a line that a tunnel's program has written says, as far as it matters here. */
export type OutputEvent =
  /** The base URLs, the best first: all there are, in the place of those before. */
  | { readonly kind: 'urls'; readonly urls: readonly string[] }
  /** Requests can come through. */
  | { readonly kind: 'ready' }
  /** It ends the tunnel in so many milliseconds from now. */
  | { readonly kind: 'expiry'; readonly inMs: number }
  /** It will not do, whatever else it says. */
  | { readonly kind: 'failure'; readonly error: ExposeError }
  | { readonly kind: 'warning'; readonly message: string };

/** Reads one line, without its line break and without what only paints on a terminal. */
export type LineReader = (line: string) => OutputEvent | undefined;

/** An http(s) URL without a path at its end: what a base URL looks like. Undefined for anything else. */
export function baseUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, origin, username, password, pathname, search } = new URL(text);
  const isBase = /^https?:$/.test(protocol) && username + password === '' && pathname === '/' && search === '';
  return isBase ? origin : undefined;
}

/** The first http(s) base URL in a line whose host ends with one of these names, or is one. */
export function urlWithin(line: string, names: readonly string[]): string | undefined {
  for (const [candidate] of line.matchAll(/https?:\/\/[^\s"'<>|,;)\]]+/g)) {
    const url = baseUrl(candidate.replace(/[.:/]+$/, ''));
    if (url === undefined) continue;
    const { hostname } = new URL(url);
    if (names.some((name) => hostname === name || hostname.endsWith(`.${name}`))) return url;
  }
  return undefined;
}
