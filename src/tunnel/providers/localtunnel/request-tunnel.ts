import { get as getOverHttp, type IncomingMessage } from 'node:http';
import { get as getOverHttps } from 'node:https';

import { createDeferred } from '../../../platform/deferred.ts';
import { ExposeError, messageOf } from '../../../errors.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';
import { createDeadline, abortReason } from '../../../platform/deadline.ts';
import { baseUrl } from '../external/output-event.ts';
import type { HostEnvironment } from '../../host-environment.ts';
import { networkErrorWords } from '../../../platform/net/network-errors.ts';

/** How long the server may take to answer, in milliseconds. */
const timeoutMs = 15_000;

/** Longest answer that is read, in bytes; it is a few hundred. */
const maxAnswerBytes: number = 64 * 1024;

/** Longest part of what the server says that is shown. */
const maxShownLength = 160;

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
  const limit = createDeadline(timeoutMs, signal);
  let answer: Answer;
  try {
    answer = await getAnswer(url, environment, limit.signal);
  } catch (error) {
    if (signal.aborted) throw abortReason(signal);
    const why = limit.signal.aborted
      ? `no answer within ${timeoutMs / 1000} s`
      : (networkErrorWords(error) ?? excerpt(messageOf(error), maxShownLength));
    throw new ExposeError('tunnel_unreachable', `could not connect to ${server.host}: ${why}`, {
      hints: ['check that this machine is online, or use another --tunnel'],
      cause: error,
    });
  } finally {
    limit.cancel();
  }
  if (answer.status !== 200) throw refusal(server, answer);
  const grant = grantIn(answer.body, server);
  if (grant !== undefined) return grant;
  throw new ExposeError('tunnel_unavailable', `${server.host} answered with something that is not a tunnel`, {
    hints: ['it may be down: try again in some minutes, or use another --tunnel'],
  });
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function getAnswer(
  url: URL,
  { overrides }: Pick<HostEnvironment, 'overrides'>,
  signal: AbortSignal,
): Promise<Answer> {
  const { promise, resolve, reject } = createDeferred<Answer>();
  const isSecure = url.protocol === 'https:';
  const get = isSecure ? getOverHttps : getOverHttp;
  const request = get(url, {
    agent: false,
    signal,
    lookup: overrides.lookupFor(portOf(url)),
    headers: { accept: 'application/json' },
  });
  request.on('error', reject);
  request.once('response', (response: IncomingMessage) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxAnswerBytes) response.destroy(new Error('the answer is too long'));
      else chunks.push(chunk);
    });
    response.once('error', reject);
    response.once('end', () => {
      resolve({ status: response.statusCode ?? 0, body: objectIn(Buffer.concat(chunks).toString()) });
    });
  });
  return await promise;
}

/** The port that a URL leads to, also where it does not say so. */
export function portOf({ port, protocol }: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

function refusal(server: URL, { status, body }: Answer): ExposeError {
  const { message } = body;
  const said = typeof message === 'string' && message !== '' ? `: ${excerpt(message, maxShownLength)}` : '';
  const sentence = `${server.host} gives no tunnel, it answered with HTTP ${status}${said}`;
  // 429 and 5xx are about now, the rest of the 4xx about what was asked for.
  return status >= 400 && status < 500 && status !== 429 && status !== 408
    ? new ExposeError('tunnel_rejected', sentence, { hints: ['choose another --name, or omit it'] })
    : new ExposeError('tunnel_unavailable', sentence, {
        hints: ['it may be overloaded: try again in some minutes, or use another --tunnel'],
      });
}

function grantIn(body: Readonly<Record<string, unknown>>, server: URL): Grant | undefined {
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

function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null && !Array.isArray(json) ? { ...json } : {};
  } catch {
    return {};
  }
}
