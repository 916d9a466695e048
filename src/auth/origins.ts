import { ExposeError } from '../errors.ts';

/** `https://app.example`, and those of apps, extensions and web views; a file's has no host. */
const originSyntax = /^(?<scheme>[a-z][a-z0-9+.-]*):\/\/(?<host>[^/?#@\\\s]*)\/?$/;

/** Of those other than of web pages, which no URL parser knows: a name, an id, a dot. */
const appHostSyntax = /^[\w.~%-]+(?::\d{1,5})?$/;

/** What `*` stands for: one label of a host name, or the whole of an id. */
const labelSyntax = /^[\w~%-]+$/;

/** In `https://*.app.example`, stands where the label does. */
const labelInPlace = 'label';

/** No page has an origin of these. */
const pagelessSchemes: ReadonlySet<string> = new Set(['ws', 'wss', 'ftp']);

/**
 * Tells whether an origin is one of those that the user allows.
 * @param allowed each as `--allow-origin` takes it: an origin (RFC 6454 §6.2), with or without the default port, a slash at its
 * end and upper case; `*` may stand for exactly one label in front, `https://*.app.example`, or for the id of an app,
 * `vscode-webview://*`.
 * @throws ExposeError `usage` for anything that no page's Origin header would ever be, or too many would.
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
    // Browsers write those of pages in lower case; the ids of apps have no such rule.
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

/** As browsers write it, maybe with one `*`. */
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
