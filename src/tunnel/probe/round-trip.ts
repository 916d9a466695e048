import { request as requestPlain, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as requestSecure } from 'node:https';
import { isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { createDeferred } from '../../platform/deferred.ts';
import { messageOf } from '../../errors.ts';
import { createDeadline } from '../../platform/deadline.ts';
import { connectThroughProxy, proxyFor } from '../../platform/net/http-proxy.ts';
import type { HostEnvironment } from '../host-environment.ts';

/** As much of a body is read, in UTF-16 units: the answer to `initialize` may hold pictures. */
const maxBodyLength: number = 1024 * 1024;

export interface RoundTripRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** How long it may take in all, in milliseconds. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** The first bytes of the body have come, before its end. */
  readonly onFirstBytes?: () => void;
}

/** How far a request came. */
export type RoundTrip =
  | { readonly kind: 'no_dns' }
  | { readonly kind: 'tls'; readonly reason: string }
  | { readonly kind: 'unreachable'; readonly reason: string }
  /** No answer in time. */
  | { readonly kind: 'silent'; readonly reason: string }
  | {
      readonly kind: 'response';
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      /** What has come of it, which may not be all. */
      readonly body: string;
    };

/**
 * Sends a request to a URL of ours as a client elsewhere would: by the resolver, the proxy and the certificates of this
 * machine, except for the addresses that the user has given. Never rejects.
 */
export async function makeRoundTrip(
  environment: Pick<HostEnvironment, 'env' | 'overrides'>,
  options: RoundTripRequest,
): Promise<RoundTrip> {
  const { signal, cancel } = createDeadline(options.timeoutMs, options.signal);
  try {
    return await exchange(environment, options, signal);
  } catch (error) {
    return signal.aborted && !isTlsError(error)
      ? { kind: 'silent', reason: `no answer within ${options.timeoutMs / 1000} s` }
      : failureOf(error);
  } finally {
    cancel();
  }
}

async function exchange(
  { env, overrides }: Pick<HostEnvironment, 'env' | 'overrides'>,
  { method, url, headers, body, onFirstBytes }: RoundTripRequest,
  signal: AbortSignal,
): Promise<RoundTrip> {
  const isSecure = url.protocol === 'https:';
  const port = Number(url.port || (isSecure ? 443 : 80));
  const hasOverride = overrides.find(hostOf(url), port) !== undefined;
  const proxy = hasOverride ? undefined : proxyFor(url, env);
  const socket = proxy === undefined ? undefined : await connectThroughProxy(proxy, url, signal);
  const { promise, resolve, reject } = createDeferred<RoundTrip>();
  const request: ClientRequest = (isSecure ? requestSecure : requestPlain)(url, {
    method,
    signal,
    lookup: overrides.lookupFor(port),
    headers: {
      'User-Agent': 'mcp-expose',
      // What is compressed is held back.
      'Accept-Encoding': 'identity',
      ...(body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }),
      ...headers,
    },
    // With any agent, node:http would make a connection of its own.
    ...(socket === undefined ? { agent: false } : { createConnection: () => overSocket(socket, url, isSecure) }),
  });
  request.once('error', reject);
  request.once('response', (response) => readResponse(response, { resolve, reject, onFirstBytes }));
  request.end(body);
  try {
    return await promise;
  } finally {
    request.destroy();
    socket?.destroy();
  }
}

function overSocket(socket: Socket, url: URL, isSecure: boolean): Socket {
  if (!isSecure) return socket;
  const host = hostOf(url);
  // An address is no name for a server to choose a certificate by (RFC 6066 §3).
  const name = isIP(host) === 0 ? { servername: host } : {};
  return connectTls({ socket, host, ...name, ALPNProtocols: ['http/1.1'] });
}

interface Reading {
  readonly resolve: (outcome: RoundTrip) => void;
  readonly reject: (reason: unknown) => void;
  readonly onFirstBytes: (() => void) | undefined;
}

function readResponse(response: IncomingMessage, { resolve, reject, onFirstBytes }: Reading): void {
  let body = '';
  const finish = (): void =>
    resolve({ kind: 'response', status: response.statusCode ?? 0, headers: response.headers, body });
  response.setEncoding('utf8');
  response.on('data', (text: string) => {
    if (body === '') onFirstBytes?.();
    body += text;
    if (body.length > maxBodyLength) finish();
  });
  response.once('end', finish);
  response.once('error', reject);
}

/** Codes of Node for certificates that are not trusted, and what OpenSSL says of a peer that speaks no TLS. */
const tlsCode = /^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED|UNABLE_TO_|ERR_TLS_|ERR_SSL_|HOSTNAME_MISMATCH|EPROTO$)/;

function isTlsError(error: unknown): boolean {
  return tlsCode.test(codeOf(error));
}

function failureOf(error: unknown): RoundTrip {
  const code = codeOf(error);
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EAI_NODATA') return { kind: 'no_dns' };
  // Errors of several addresses have no message of their own.
  const reason = messageOf(error) === '' ? code : messageOf(error);
  return { kind: isTlsError(error) ? 'tls' : 'unreachable', reason };
}

/** The code of an error, or of the first of several: Node tries every address of a host. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}
