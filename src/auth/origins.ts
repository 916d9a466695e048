import { ExposeError } from '../errors.ts';

/** `https://app.example`, and the origins of apps, extensions and web views; that of a file has no host. */
const originSyntax = /^(?<scheme>[a-z][a-z0-9+.-]*):\/\/(?<host>[^/?#@\\\s]*)\/?$/;

/** The host of an origin that is not a web page's, which URL parsers do not know: a name, an id, a dot. */
const appHostSyntax = /^[\w.~%-]+(?::\d{1,5})?$/;

/** What `*` matches: one label of a host name, or a whole id. */
const labelSyntax = /^[\w~%-]+$/;

/** Replaces `*` in `https://*.app.example` for the URL parser. */
const labelInPlace = 'label';

/** Schemes that are never those of an origin. */
const pagelessSchemes: ReadonlySet<string> = new Set(['ws', 'wss', 'ftp']);

/**
 * Returns whether an origin is allowed by the user.
 * @param allowed each as in `--allow-origin`: an origin (RFC 6454 §6.2), with or without the default port, a trailing slash and
 * upper case; `*` may replace exactly the first label, `https://*.app.example`, or the id of an app, `vscode-webview://*`.
 * @throws ExposeError `usage` for a value that no Origin header can have, or that allows too much.
 */
export function createOriginMatcher(allowed: readonly string[]): (origin: string) => boolean {
  const exact = new Set<string>();
  const patterns: { readonly before: string; readonly after: string }[] = [];
  for (const value of allowed) {
    const origin = readOrigin(value);
    const [before, after] = origin.split('*');
    if (before !== undefined && after !== undefined) patterns.push({ before, after });
    else exact.add(origin);
  }
  return (origin) => {
    // Browsers write origins of pages in lower case; for the ids of apps there is no such rule.
    const name = /^https?:/i.test(origin) ? origin : origin.toLowerCase();
    if (exact.has(name)) return true;
    return patterns.some(
      ({ before, after }) =>
        name.startsWith(before) &&
        name.endsWith(after) &&
        labelSyntax.test(name.slice(before.length, name.length - after.length)),
    );
  };
}

/** The origin as browsers write it, possibly with one `*`. */
function readOrigin(value: string): string {
  if (value === '*') throw refusal(value, 'any web page could use the server', 'name each origin');
  if (value.toLowerCase() === 'null') {
    const why = 'any web page can have the origin null, in a sandboxed frame';
    throw refusal(value, why, 'serve the page from an origin of its own, such as http://localhost:3000');
  }
  const { scheme, host = '' } = originSyntax.exec(value.toLowerCase())?.groups ?? {};
  if (scheme === undefined || pagelessSchemes.has(scheme)) throw refusal(value, 'it is not an origin', hint);
  if (scheme === 'http' || scheme === 'https') {
    const isPattern = /^\*\.[^.]/.test(host);
    const url = `${scheme}://${isPattern ? labelInPlace + host.slice(1) : host}`;
    if (URL.canParse(url) && !host.slice(isPattern ? 1 : 0).includes('*')) {
      const { origin } = new URL(url);
      return isPattern ? origin.replace(labelInPlace, '*') : origin;
    }
  } else if (scheme === 'file' ? host === '' : host === '*' || appHostSyntax.test(host)) {
    return `${scheme}://${host}`;
  }
  throw host.includes('*')
    ? refusal(value, '* can only stand for the first label of a host name, or for the id of an app', wildcardHint)
    : refusal(value, 'it is not an origin', hint);
}

const hint =
  'an origin is a scheme, a host and, if it is not the default, a port: https://app.example, tauri://localhost';
const wildcardHint = 'write https://*.app.example, which is every host exactly one label below app.example';

function refusal(value: string, why: string, remedy: string): ExposeError {
  return new ExposeError('usage', `--allow-origin ${JSON.stringify(value.slice(0, 253))}: ${why}`, { hints: [remedy] });
}
