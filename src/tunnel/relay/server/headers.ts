/** Headers of one connection (RFC 9110, section 7.6.1), and `expect`, which the relay answers itself. */
const hopByHop: ReadonlySet<string> = new Set(
  [
    'connection expect http2-settings keep-alive proxy-authenticate proxy-authentication-info proxy-authorization',
    'proxy-connection te trailer transfer-encoding upgrade',
  ].flatMap((line) => line.split(' ')),
);

/** Never valid twice: a mistake, or an attempt to make two parsers disagree. */
const singleValue: ReadonlySet<string> = new Set(
  [
    'access-control-request-method age authorization content-length content-location content-md5 content-range',
    'content-type date dnt etag expires from host if-modified-since if-range if-unmodified-since last-modified',
    'location max-forwards origin proxy-authorization range referer retry-after tk upgrade-insecure-requests',
    'user-agent access-control-allow-credentials access-control-max-age x-content-type-options',
  ].flatMap((line) => line.split(' ')),
);

export interface ReceivedHead {
  /** As in IncomingMessage.rawHeaders: names and values in turn. */
  readonly rawHeaders: readonly string[];
  readonly scheme: 'http' | 'https';
  /** Undefined if it is not known. */
  readonly clientAddress: string | undefined;
  /** Other agents have the same host, so cookies are not forwarded. */
  readonly sharesOrigin?: boolean;
}

export type RequestHeaders =
  | { readonly ok: true; readonly headers: readonly string[]; readonly hasBody: boolean }
  | { readonly ok: false; readonly status: number; readonly message: string };

/**
 * The headers for the agent, names in lower case and values in turn: the client's without those of the connection and without
 * forwarding headers, which only the relay sets. Refuses duplicates of single-value headers and transfer codings other than
 * `chunked`.
 */
export function toRequestHeaders(head: ReceivedHead): RequestHeaders {
  const values = new Map<string, string[]>();
  for (let index = 0; index + 1 < head.rawHeaders.length; index += 2) {
    const name = (head.rawHeaders[index] ?? '').toLowerCase();
    const value = head.rawHeaders[index + 1] ?? '';
    const present = values.get(name);
    if (present === undefined) values.set(name, [value]);
    else if (singleValue.has(name)) return refuse(400, `the request has more than one ${name} header`);
    else present.push(value);
  }
  const host = values.get('host')?.[0] ?? '';
  if (!/^[\w.:[\]-]+$/.test(host)) return refuse(400, 'the request has no usable Host header');
  const coding = values.get('transfer-encoding')?.join(',').trim().toLowerCase();
  if (coding !== undefined && coding !== 'chunked')
    return refuse(501, 'the only transfer coding that this relay knows is chunked');

  const dropped = new Set((values.get('connection') ?? []).flatMap((value) => value.toLowerCase().split(/\s*,\s*/)));
  const headers = ['host', host];
  for (const [name, list] of values) {
    if (name === 'host' || hopByHop.has(name) || dropped.has(name) || isForwarding(name)) continue;
    if (name === 'cookie' && head.sharesOrigin === true) {
      const own = list.flatMap((cookies) => cookies.split('; ')).filter(isConsentCookie);
      if (own.length > 0) headers.push(name, own.join('; '));
      continue;
    }
    for (const value of list) headers.push(name, value);
  }
  if (head.clientAddress !== undefined) headers.push('x-forwarded-for', head.clientAddress);
  headers.push('x-forwarded-proto', head.scheme, 'x-forwarded-host', host);
  const length = values.get('content-length')?.[0];
  const hasBody = coding !== undefined || (length !== undefined && Number(length) > 0);
  return { ok: true, headers, hasBody };
}

/**
 * The headers for the client, by name in lower case: the agent's without those of the connection, and those that affect more than
 * its own responses. Event streams get headers that stop proxies from buffering them (`X-Accel-Buffering`, `no-transform` of
 * RFC 9111, section 5.2.2.6).
 * @param headers names and values in turn.
 * @throws TypeError if a header that has a single value is repeated.
 */
export function toResponseHeaders(
  headers: readonly string[],
  origin: PublicOrigin = { host: '', isShared: true },
): Map<string, string | string[]> {
  const received = new Map<string, string | string[]>();
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = (headers[at] ?? '').toLowerCase();
    const value = headers[at + 1] ?? '';
    const present = received.get(name);
    if (present === undefined) received.set(name, value);
    else if (singleValue.has(name)) throw new TypeError(`more than one ${name} header`);
    else if (typeof present === 'string') received.set(name, [present, value]);
    else present.push(value);
  }
  const result = new Map<string, string | string[]>();
  for (const [name, value] of received) {
    if (hopByHop.has(name)) continue;
    const passed = passedOn(name, value, origin);
    if (passed !== undefined) result.set(name, passed);
  }
  const type = [received.get('content-type') ?? ''].flat()[0]?.split(';', 1)[0]?.trim().toLowerCase();
  if (type === 'text/event-stream') {
    result.set('x-accel-buffering', 'no');
    const cacheControl = [received.get('cache-control') ?? []].flat().join(', ');
    if (!/(?:^|[\s,])no-transform(?:$|[\s,])/i.test(cacheControl)) {
      result.set('cache-control', cacheControl === '' ? 'no-transform' : `${cacheControl}, no-transform`);
    }
  }
  return result;
}

function isForwarding(name: string): boolean {
  return name === 'forwarded' || name.startsWith('x-forwarded-') || name === 'x-real-ip';
}

function refuse(status: number, message: string): RequestHeaders {
  return { ok: false, status, message };
}

/** The origin of a public URL: its host without port, and whether several agents have it because their names are in the path. */
export interface PublicOrigin {
  readonly host: string;
  readonly isShared: boolean;
  /** The agent's part of a shared origin: `/k3v9`. */
  readonly path?: string;
}

/**
 * Never forwarded: headers about the connection to the relay, which is not the agent's (other hosts to use, errors to
 * report), and orders to a proxy in front of the relay, which would serve its own files or fetch what only it can reach.
 * `clear-site-data` clears the cookies of the whole registrable domain.
 */
const neverForwarded: ReadonlySet<string> = new Set(
  [
    'alt-svc expect-ct nel public-key-pins public-key-pins-report-only clear-site-data',
    'x-sendfile x-lighttpd-send-file x-litespeed-location x-reproxy-url',
  ].flatMap((line) => line.split(' ')),
);
/** The same, of nginx. */
const nginxPrefix = 'x-accel-';

/** Apply to a whole origin. */
const originWide: ReadonlySet<string> = new Set(
  [
    'accept-ch accept-ch-lifetime activate-storage-access critical-ch origin-agent-cluster report-to reporting-endpoints',
    'secure-session-registration service-worker-allowed set-cookie set-cookie2 set-login strict-transport-security',
    'use-as-dictionary',
  ].flatMap((line) => line.split(' ')),
);

/**
 * What of a header of an agent's response may reach a browser. Agents do not trust each other: none may affect the pages of
 * another, or the relay. Undefined when nothing is left.
 */
function passedOn(name: string, value: string | string[], origin: PublicOrigin): string | string[] | undefined {
  if (neverForwarded.has(name) || name.startsWith(nginxPrefix)) return undefined;
  if (origin.isShared && name !== 'set-cookie') return originWide.has(name) ? undefined : value;
  if (name !== 'set-cookie') return value;
  const cookies = [value]
    .flat()
    .filter((cookie) => staysAt(origin.host, cookie) && (!origin.isShared || isOwnConsent(cookie, origin.path)));
  return cookies.length === 0 ? undefined : cookies;
}

/** The cookie of the page on which an owner lets a client sign in, and its form with TLS (RFC 6265bis §4.1.3). */
const consentCookie = /^(?:__Secure-)?mcp-expose-consent=/;

function isConsentCookie(cookie: string): boolean {
  return consentCookie.test(cookie.trim());
}

/** Whether browsers send the cookie to this agent alone: its Path is that of the agent (RFC 6265 §5.1.4). */
function isOwnConsent(cookie: string, path: string | undefined): boolean {
  // Browsers take the last Path.
  const paths = cookie.split(';').filter((part) => /^\s*path\s*=/i.test(part));
  return isConsentCookie(cookie) && paths.length === 1 && paths[0]?.trim().toLowerCase() === `path=${path}`;
}

/**
 * A cookie with the Domain of a parent is sent to all hosts below it (RFC 6265, section 5.1.3), including those of other
 * agents.
 */
function staysAt(host: string, cookie: string): boolean {
  return cookie.split(';').every((part) => {
    const [attribute = '', domain = ''] = part.split('=', 2);
    if (attribute.trim().toLowerCase() !== 'domain') return true;
    const named = domain.trim().toLowerCase().replace(/^\./, '');
    return named === '' || named === host;
  });
}
