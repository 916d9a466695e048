import { ExposeError } from '../../../errors.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';
import { parseFields, type Fields } from '../../../platform/json-fields.ts';
import { baseUrl, type OutputEvent } from '../external/output-event.ts';
import { isLoopbackHost } from '../../../platform/net/addresses.ts';

/** What is specific to cloudflared, in addition to the events of every program. */
export type CloudflaredOutputEvent =
  | OutputEvent
  /** A flag that this version does not know. */
  | { readonly kind: 'unknown flag' }
  /** QUIC connections fail; HTTP/2 may work where UDP does not. */
  | { readonly kind: 'no quic' }
  /** Cloudflare does not know the tunnel, or not yet: cloudflared tries again, since a new one is not known everywhere at once. */
  | { readonly kind: 'unauthorized'; readonly error: ExposeError }
  /** The address of its metrics server, `host:port`. */
  | { readonly kind: 'metrics'; readonly address: string };

/** Only the line of the box around the URL: other lines contain data from clients, and tables of checks. */
const quickUrlRow = /^\|\s+(https:\/\/(?!api\.)[a-z0-9-]+\.trycloudflare\.com)\s+\|$/;

/**
 * Reads a line of cloudflared's log: JSON with `--output json`, `<time> <level> <message>` in versions without it. A line of
 * level error alone means little, since cloudflared continues after most of them. Every pattern is anchored at the start of the
 * message, since the fields after it may contain data from clients.
 * @param port on 127.0.0.1 that the tunnel leads to.
 */
export function readCloudflaredLine(line: string, port: number): CloudflaredOutputEvent | undefined {
  const entry = entryOf(line);
  const message = textOf(entry['message']);
  const url = quickUrlRow.exec(message)?.[1];
  if (url !== undefined) return { kind: 'urls', urls: [url] };
  if (message.startsWith('Registered tunnel connection')) return { kind: 'ready' };
  const metrics = /^Starting metrics server on ([^/\s]+)\/metrics/.exec(message)?.[1];
  if (metrics !== undefined) return { kind: 'metrics', address: metrics };
  if (message.startsWith('Updated to new configuration')) return readConfiguration(entry, message, port);
  if (/^Incorrect Usage\b.*flag provided but not defined/i.test(message)) return { kind: 'unknown flag' };
  if (/^Failed to (?:dial a|create new) quic connection/i.test(message)) return { kind: 'no quic' };
  return errorIn([message, entry['error'], entry['status_code']].map(textOf).join(' '));
}

/** Plain text becomes a message; zerolog writes fields as `name=value` after it. */
function entryOf(line: string): Fields {
  const entry = parseFields(line);
  return 'message' in entry ? entry : { message: line.replace(/^\S+Z (?:DBG|INF|WRN|ERR|FTL) /, '') };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/**
 * A named tunnel gets its rules from Cloudflare. The public name is the host whose rule leads to our port, or else the first
 * one: that port may belong to a local proxy that forwards to us.
 */
function readConfiguration(entry: Fields, message: string, port: number): OutputEvent | undefined {
  const written = entry['config'] ?? /config="((?:[^"\\]|\\.)*)"/.exec(message)?.[1]?.replaceAll(/\\(["\\])/g, '$1');
  const hosts = rulesIn(written).flatMap((rule) => {
    const { hostname, service } = rule;
    const url = typeof hostname === 'string' && !hostname.includes('*') ? baseUrl(`https://${hostname}`) : undefined;
    return url === undefined ? [] : [{ url, isOurs: leadsTo(service, port) }];
  });
  const host = hosts.find(({ isOurs }) => isOurs) ?? hosts[0];
  return host === undefined ? undefined : { kind: 'urls', urls: [host.url] };
}

interface Rule {
  readonly hostname?: unknown;
  readonly service?: unknown;
}

function rulesIn(config: unknown): readonly Rule[] {
  if (typeof config !== 'string') return [];
  const { ingress } = parseFields(config);
  return Array.isArray(ingress)
    ? ingress.filter((rule): rule is Rule => typeof rule === 'object' && rule !== null)
    : [];
}

function leadsTo(service: unknown, port: number): boolean {
  if (typeof service !== 'string' || !URL.canParse(service)) return false;
  const url = new URL(service);
  return isLoopbackHost(url.hostname) && url.port === String(port);
}

function errorIn(detail: string): CloudflaredOutputEvent | undefined {
  const said = excerpt(detail.trim());
  if (/^Provided tunnel token is not valid/i.test(detail)) {
    return { kind: 'failure', error: tokenRefused(said) };
  }
  if (/^Register tunnel error from server side\b.*\bunauthorized\b/i.test(detail)) {
    return { kind: 'unauthorized', error: tokenRefused(said) };
  }
  if (!/^(?:failed to \w+|error unmarshaling) quick-?\s?tunnel/i.test(detail)) return undefined;
  const error = /\b429\b|\b1015\b|too many requests/i.test(detail)
    ? new ExposeError('tunnel_unavailable', `Cloudflare gives out no more quick tunnels at the moment: ${said}`, {
        hints: ['try again in some minutes, or use another --tunnel'],
      })
    : new ExposeError('tunnel_unavailable', `Cloudflare gave no quick tunnel: ${said}`, {
        hints: ['check that this machine reaches api.trycloudflare.com, or use another --tunnel'],
      });
  return { kind: 'failure', error };
}

function tokenRefused(said: string): ExposeError {
  return new ExposeError('tunnel_rejected', `Cloudflare does not accept the tunnel's token: ${said}`, {
    hints: ['copy the token of the tunnel again from the Zero Trust dashboard into TUNNEL_TOKEN'],
  });
}
