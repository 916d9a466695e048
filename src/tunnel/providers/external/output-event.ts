import { ExposeError } from '../../../errors.ts';

/** What a line of a program's output means for the tunnel. */
export type OutputEvent =
  /** All base URLs, the best first; they replace the previous ones. */
  | { readonly kind: 'urls'; readonly urls: readonly string[] }
  /** Requests can come through. */
  | { readonly kind: 'ready' }
  /** The service ends the tunnel in this many milliseconds. */
  | { readonly kind: 'expiry'; readonly inMs: number }
  /** The tunnel has failed, whatever follows. */
  | { readonly kind: 'failure'; readonly error: ExposeError }
  | { readonly kind: 'warning'; readonly message: string };

/** Reads one line, without its line break and without escape sequences. */
export type LineReader = (line: string) => OutputEvent | undefined;

/** Why there is no tunnel, and what to do. */
export function failure(code: ExposeError['code'], message: string, hints: readonly string[] = []): OutputEvent {
  return { kind: 'failure', error: new ExposeError(code, message, { hints }) };
}

/** The origin of an http(s) URL that is a base URL without a path. Undefined for anything else. */
export function baseUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, origin, username, password, pathname, search } = new URL(text);
  const isBase = /^https?:$/.test(protocol) && username + password === '' && pathname === '/' && search === '';
  return isBase ? origin : undefined;
}

/** The first http(s) base URL in a line whose host is one of these names, or below one. */
export function urlWithin(line: string, names: readonly string[]): string | undefined {
  for (const [candidate] of line.matchAll(/https?:\/\/[^\s"'<>|,;)\]]+/g)) {
    const url = baseUrl(candidate.replace(/[.:/]+$/, ''));
    if (url === undefined) continue;
    const { hostname } = new URL(url);
    if (names.some((name) => hostname === name || hostname.endsWith(`.${name}`))) return url;
  }
  return undefined;
}
