import { ExposeError, messageOf } from '../../../errors.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';
import { TimeoutError, abortReason } from '../../../platform/deadline.ts';
import { baseUrl } from '../external/output-event.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import { portOf } from '../../../platform/net/http-proxy.ts';
import { networkErrorWords } from '../../../platform/net/network-errors.ts';
import { requestText, type TextResponse } from '../../../platform/net/request-text.ts';
import { parseFields, type Fields } from '../../../platform/json-fields.ts';

/** How long the server may take to answer, in milliseconds. */
const timeoutMs = 15_000;

/** Longest answer that is read, in bytes; it is a few hundred. */
const maxAnswerBytes: number = 64 * 1024;

/** Sockets at most, however many the server would take. */
const maxSockets = 10;

/** What the server gives: a name, and a port of its own to which the sockets of that name are to be opened. */
export interface Grant {
  readonly id: string;
  readonly url: string;
  readonly port: number;
  /** The address to open them to, where it says one. */
  readonly address: string | undefined;
  readonly sockets: number;
}

export interface TunnelRequest {
  readonly server: URL;
  readonly name: string | undefined;
  readonly environment: Pick<HostEnvironment, 'overrides'>;
  readonly signal: AbortSignal;
}

/**
 * Asks a localtunnel server for a tunnel: `GET /<name>`, or `GET /?new` for any name (localtunnel/server, server.js).
 * @throws ExposeError `tunnel_unreachable`, `tunnel_unavailable`, `tunnel_rejected`; the signal's reason.
 */
export async function requestTunnel({ server, name, environment, signal }: TunnelRequest): Promise<Grant> {
  const url = new URL(name === undefined ? '/?new' : `/${name}`, server);
  let response: TextResponse;
  try {
    response = await requestText({
      method: 'GET',
      url,
      headers: { accept: 'application/json' },
      // The sockets of the tunnel do not go through a proxy, either.
      env: {},
      lookup: environment.overrides.lookupFor(portOf(url)),
      timeoutMs,
      signal,
      maxBytes: maxAnswerBytes,
    });
  } catch (error) {
    if (signal.aborted) throw abortReason(signal);
    const why =
      error instanceof TimeoutError
        ? `no answer within ${timeoutMs / 1000} s`
        : (networkErrorWords(error) ?? excerpt(messageOf(error)));
    throw new ExposeError('tunnel_unreachable', `could not connect to ${server.host}: ${why}`, {
      hints: ['check that this machine is online, or use another --tunnel'],
      cause: error,
    });
  }
  const body = parseFields(response.text);
  if (response.status !== 200) throw refusal(server, response.status, body);
  const grant = grantIn(body, server);
  if (grant !== undefined) return grant;
  throw new ExposeError('tunnel_unavailable', `${server.host} answered with something that is not a tunnel`, {
    hints: ['it may be down: try again in some minutes, or use another --tunnel'],
  });
}

function refusal(server: URL, status: number, body: Fields): ExposeError {
  const { message } = body;
  const said = typeof message === 'string' && message !== '' ? `: ${excerpt(message)}` : '';
  const sentence = `${server.host} gives no tunnel, it answered with HTTP ${status}${said}`;
  // 429 and 5xx are about now, the rest of the 4xx about what was asked for.
  return status >= 400 && status < 500 && status !== 429 && status !== 408
    ? new ExposeError('tunnel_rejected', sentence, { hints: ['choose another --name, or omit it'] })
    : new ExposeError('tunnel_unavailable', sentence, {
        hints: ['it may be overloaded: try again in some minutes, or use another --tunnel'],
      });
}

function grantIn(body: Fields, server: URL): Grant | undefined {
  const { id, url, port, ip, max_conn_count: count } = body;
  if (typeof id !== 'string' || typeof url !== 'string' || !isPort(port)) return undefined;
  const base = baseUrl(url);
  if (base === undefined || !isBelow(new URL(base).hostname, [server.hostname, 'loca.lt'])) return undefined;
  const wanted = typeof count === 'number' && Number.isInteger(count) ? count : 1;
  return {
    id,
    url: base,
    port,
    address: typeof ip === 'string' && ip !== '' ? ip : undefined,
    sockets: Math.min(Math.max(wanted, 1), maxSockets),
  };
}

function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536;
}

function isBelow(host: string, names: readonly string[]): boolean {
  return names.some((name) => host.endsWith(`.${name}`));
}
