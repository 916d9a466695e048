import { excerpt } from '../../../platform/text/sanitize.ts';
import { parseFields } from '../../../platform/json-fields.ts';
import { baseUrl, failure, urlWithin, type OutputEvent } from '../external/output-event.ts';
import type { OutputName } from '../external/tunnel-process.ts';

/**
 * localhost.run with `--output json`: one object per line, of which `tcpip-forward` names the host. It is repeated with another
 * host on the same connection (localhost.run/docs/forever-free: free names change regularly).
 */
export function readLocalhostRunLine(line: string): OutputEvent | undefined {
  const { event, authz_code: code, address, message } = parseFields(line);
  if (event !== 'tcpip-forward') return undefined;
  if (typeof code === 'string' && code !== 'OK') {
    const said = excerpt(typeof message === 'string' && message !== '' ? message : code);
    const hint = 'see https://localhost.run/docs for what is free, or use another --tunnel';
    return failure('tunnel_rejected', `localhost.run gives no tunnel: ${said}`, [hint]);
  }
  return found(typeof address === 'string' ? baseUrl(`https://${address}`) : undefined);
}

/** `Forwarding HTTP traffic from https://….serveousercontent.com` (serveo.net); its other lines contain other links. */
export function readServeoLine(line: string): OutputEvent | undefined {
  const [, rest = ''] = /\bForwarding HTTP traffic from (.*)$/.exec(line) ?? [];
  return found(urlBelow(rest, ['serveousercontent.com', 'serveo.net']));
}

/** `1: https://<26 letters and digits>.srv.us/, https://user.gh.srv.us/` (srv.us): the name by key, then that by account. */
export function readSrvUsLine(line: string): OutputEvent | undefined {
  const [, rest = ''] = /^\d+: (https:.*)$/.exec(line) ?? [];
  const urls = rest.split(/,\s*/).flatMap((part) => urlBelow(part, ['srv.us']) ?? []);
  return urls.length === 0 ? undefined : { kind: 'urls', urls };
}

/** Parent domains of Pinggy's tunnels (pinggy.io/docs); a token may have a domain of its own, which the user then specifies. */
const pinggyNames: readonly string[] =
  'pinggy-free.link free.pinggy.net free.pinggy.link free.pinggy.online a.pinggy.io pinggy.link pinggy.online'.split(
    ' ',
  );

/** Pinggy's text: links to its own pages, the lifetime of the tunnel, and the URLs, http first. */
export function readPinggyLine(line: string): OutputEvent | undefined {
  const [, count, unit] = /\bexpires? in (\d+) (minute|hour)s?\b/i.exec(line) ?? [];
  if (count !== undefined) {
    return { kind: 'expiry', inMs: Number(count) * (unit?.toLowerCase() === 'hour' ? 60 : 1) * 60_000 };
  }
  return found(urlBelow(line, pinggyNames));
}

/** Pinggy's message when the token has a tunnel already; `+force` in the user name replaces that one. */
export function isPinggyTaken(line: string): boolean {
  return /tunnel with the same token\b.*\balready active/i.test(line);
}

/**
 * `HTTP: http://sub.host` and `HTTPS: https://sub.host[:port]` (sish, sshmuxer/httphandler.go). The line of its console, which
 * has a link with a credential, is ignored.
 */
export function readSishLine(line: string): OutputEvent | undefined {
  const [, url = ''] = /^HTTPS?:\s*(https?:\/\/\S+)$/.exec(line) ?? [];
  return found(baseUrl(url));
}

/** What the lines of a server without a known dialect, and of ssh at LogLevel DEBUG1, mean. */
export type GenericSshOutputEvent =
  | OutputEvent
  /** The server listens; on this port, where it was to choose one. */
  | { readonly kind: 'forwarded'; readonly port?: number }
  /** The server has ended or refused the session; the connection continues, if it was requested without a session. */
  | { readonly kind: 'session over' };

/**
 * OpenSSH: clientloop.c and ssh.c, ssh_confirm_remote_forward. Only its standard output comes from the session: banners, which
 * are full of links, are on standard error.
 */
export function readGenericSshLine(line: string, output: OutputName): GenericSshOutputEvent | undefined {
  if (output === 'stdout') return found(anyUrl(line));
  const allocated = /^Allocated port (\d+) for remote forward to /.exec(line)?.[1];
  if (allocated !== undefined) return { kind: 'forwarded', port: Number(allocated) };
  if (line.startsWith('debug1: remote forward success for: listen ')) return { kind: 'forwarded' };
  if (/^debug1: Exit status \d+$|^(?:exec|shell) request failed on channel \d+$|^channel 0: open failed: /.test(line)) {
    return { kind: 'session over' };
  }
  return undefined;
}

export function isDebugLine(line: string): boolean {
  return /^debug\d: /.test(line);
}

/** The better of the known and the new URLs: for the same host, https. */
export function betterUrls(known: readonly string[], now: readonly string[]): readonly string[] {
  const [was = '', is = ''] = [known[0], now[0]];
  const isStepBack = was.startsWith('https:') && is.startsWith('http:') && hostOf(was) === hostOf(is);
  return isStepBack ? known : now;
}

function hostOf(url: string): string {
  return new URL(url).hostname;
}

function found(url: string | undefined): OutputEvent | undefined {
  return url === undefined ? undefined : { kind: 'urls', urls: [url] };
}

/** As `urlWithin`, without the names themselves and the pages of their owners. */
function urlBelow(line: string, names: readonly string[]): string | undefined {
  const url = urlWithin(line, names);
  if (url === undefined) return undefined;
  const host = hostOf(url);
  return names.includes(host) || ownerPages.has(host.split('.')[0] ?? '') ? undefined : url;
}

const ownerPages: ReadonlySet<string> = new Set(['www', 'dashboard', 'console', 'docs', 'api']);

function anyUrl(line: string): string | undefined {
  const urls = [...line.matchAll(/https?:\/\/[^\s"'<>|,;)\]]*(?:\][^\s"'<>|,;)\]]*)?/g)].flatMap(
    ([candidate]) => baseUrl(candidate.replace(/[.:/]+$/, '')) ?? [],
  );
  return urls.find((url) => url.startsWith('https:')) ?? urls[0];
}
