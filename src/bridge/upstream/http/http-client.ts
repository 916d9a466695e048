import { Agent as PlainAgent, request as requestPlain, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as SecureAgent, request as requestSecure } from 'node:https';
import type { Socket } from 'node:net';

import { piecesOf, type Bytes } from '../../../platform/bytes.ts';
import type { Clock } from '../../../platform/clock.ts';
import { createDeferred, settledWithin } from '../../../platform/deferred.ts';
import { ExposeError } from '../../../errors.ts';
import { excerpt } from '../../../platform/text/sanitize.ts';
import { failureWords } from './http-failure.ts';
import { checkUpstreamHeaders } from './upstream-headers.ts';
import { guardedLookup, refuseCredentialHost } from './upstream-url.ts';

/**
 * A connection that waits for its next request is closed after this time, in milliseconds. Servers commonly close
 * theirs after 5 s; whoever is later sends a request into a connection that is being closed, and cannot repeat it.
 */
const idleSocketMs = 2000;

/** First probe of an idle connection, in milliseconds: a call may take hours, and its server may vanish meanwhile. */
const keepAliveMs = 30_000;

/** Redirects that are followed for one request. */
const maxRedirects = 3;

/** Sockets end at once when they are destroyed; in milliseconds. */
const socketEndMs = 1000;

/** As much of an address as is shown. */
const maxShownLocation = 200;

export interface HttpClientOptions {
  /** Only its protocol counts: every request goes to its origin. */
  readonly url: URL;
  /** Sent with every request, and nothing of the caller's own. */
  readonly headers: ReadonlyMap<string, string>;
  /** Certificates (PEM) to trust instead of the well-known authorities. */
  readonly ca?: string | Buffer;
  /** How long TCP and TLS may take together, in milliseconds. */
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly onWarning: (message: string) => void;
}

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Bytes;
  /** How long the head of the response may take, in milliseconds; without it there is no limit. */
  readonly headTimeoutMs?: number;
  /** The request is in the hands of the system. Called again for each redirect that is followed. */
  readonly onSent?: () => void;
}

export interface HttpResponse {
  readonly kind: 'response';
  readonly status: number;
  /** Not flowing yet. Its errors are listened to; `complete` tells of them at `close`. */
  readonly response: IncomingMessage;
  /** Where the response came from, after redirects. */
  readonly url: URL;
}

export interface HttpFailure {
  readonly kind: 'failed';
  /** Words without an address. */
  readonly reason: string;
  /** Not a byte of the request has left: it may be sent again, whatever it is. */
  readonly unsent: boolean;
  /** It would fail in the same way again. */
  readonly final: boolean;
  /** As `UpstreamEnd.advice`. */
  readonly advice?: string;
}

export interface HttpExchange {
  /** Never rejects. */
  readonly outcome: Promise<HttpResponse | HttpFailure>;
  /** Whether not a byte of the request has left so far. */
  isUnsent(): boolean;
  /** Ends the request or its response. */
  abort(): void;
}

export interface HttpClient {
  send(call: HttpCall): HttpExchange;
  /** Ends all requests and connections; resolves when none is left. */
  close(): Promise<void>;
}

/**
 * HTTP/1.1 to one server: connections that are kept, redirects on the same origin (307 and 308 alone, which keep method
 * and body, RFC 9110 §15.4), addresses judged on every connection.
 * @throws ExposeError `usage` for headers that cannot be sent.
 */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { connectTimeoutMs, clock, onWarning } = options;
  const secure = options.url.protocol === 'https:';
  const agentOptions = { keepAlive: true, keepAliveMsecs: keepAliveMs, timeout: idleSocketMs };
  const agent = secure
    ? new SecureAgent({ ...agentOptions, ...(options.ca === undefined ? {} : { ca: options.ca }) })
    : new PlainAgent(agentOptions);
  const headers = {
    // Some firewalls refuse requests without one.
    ...(hasUserAgent(options.headers) ? {} : { 'User-Agent': 'mcp-expose' }),
    ...Object.fromEntries(checkUpstreamHeaders(options.headers)),
    // Bodies are measured and passed on as they come.
    'Accept-Encoding': 'identity',
  };
  const requests = new Set<ClientRequest>();
  const sockets = new Set<Socket>();
  const allSocketsGone = createDeferred<void>();
  let closed = false;

  function watchSocket(socket: Socket): void {
    if (sockets.has(socket)) return;
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      if (closed && sockets.size === 0) allSocketsGone.resolve();
    });
  }

  function send(call: HttpCall): HttpExchange {
    const { promise: outcome, resolve } = createDeferred<HttpResponse | HttpFailure>();
    let current: ClientRequest | undefined;
    let connected = false;
    const { headTimeoutMs } = call;
    const stopWaiting =
      headTimeoutMs === undefined
        ? undefined
        : clock.after(headTimeoutMs, () => current?.destroy(tooSlow(headTimeoutMs)));

    function settle(result: HttpResponse | HttpFailure): void {
      stopWaiting?.();
      resolve(result);
    }

    function attempt(url: URL, redirects: number): void {
      let stopConnecting: (() => void) | undefined;
      const fail = (cause: unknown): void => {
        stopConnecting?.();
        const final = cause instanceof ExposeError;
        // Names of the network inside are for whoever runs this, not for its clients.
        if (final) onWarning(cause.message);
        settle({ kind: 'failed', reason: failureWords(cause), unsent: !connected, final });
      };
      const own = call.body === undefined ? {} : { 'Content-Length': String(call.body.length) };
      let request: ClientRequest;
      try {
        refuseCredentialHost(url);
        request = (secure ? requestSecure : requestPlain)(url, {
          method: call.method,
          headers: { ...headers, ...call.headers, ...own },
          agent,
          lookup: guardedLookup,
        });
      } catch (cause) {
        fail(cause);
        return;
      }
      current = request;
      requests.add(request);
      request.once('close', () => {
        requests.delete(request);
        // Not of one whose redirect has been followed.
        if (current === request) fail(new Error('the request was given up'));
      });
      request.once('socket', (socket) => {
        watchSocket(socket);
        // One whose first request was given up early may still be connecting.
        if (request.reusedSocket && !socket.connecting) {
          connected = true;
          return;
        }
        stopConnecting = clock.after(connectTimeoutMs, () => request.destroy(tooSlow(connectTimeoutMs)));
        // Before the end of the handshake nothing of the request is written.
        socket.once(secure ? 'secureConnect' : 'connect', () => {
          connected = true;
          stopConnecting?.();
        });
      });
      request.once('finish', () => call.onSent?.());
      request.on('error', (cause) => {
        if (current === request) fail(cause);
      });
      request.once('response', (response) => {
        response.on('error', () => {});
        const status = response.statusCode ?? 0;
        if (!isRedirect(status)) {
          settle({ kind: 'response', status, response, url });
          return;
        }
        response.destroy();
        const target = redirectTarget(url, response.headers.location);
        const isFollowed = target?.origin === url.origin && (status === 307 || status === 308);
        if (isFollowed && redirects < maxRedirects) {
          attempt(target, redirects + 1);
        } else {
          const shown =
            target === undefined ? 'nowhere' : excerpt(`${target.origin}${target.pathname}`, maxShownLocation);
          onWarning(`the server redirects to ${shown} (${status}), which is not followed`);
          const reason = isFollowed ? 'it redirects too often' : `it redirects elsewhere (${status})`;
          const advice = target === undefined ? {} : { advice: `give ${shown} if that is the right address` };
          settle({ kind: 'failed', reason, unsent: false, final: true, ...advice });
        }
      });
      const pieces = call.body === undefined ? [] : piecesOf(call.body);
      for (const piece of pieces.slice(0, -1)) request.write(piece);
      // The last one goes with the end, and what is short with the headers.
      request.end(pieces.at(-1));
    }

    if (closed) settle({ kind: 'failed', reason: 'the connection was closed', unsent: true, final: true });
    else attempt(call.url, 0);
    return {
      outcome,
      isUnsent: () => !connected,
      abort() {
        stopWaiting?.();
        current?.destroy();
      },
    };
  }

  return {
    send,
    async close() {
      closed = true;
      for (const request of requests) request.destroy();
      agent.destroy();
      if (sockets.size > 0) await settledWithin(allSocketsGone.promise, socketEndMs);
    },
  };
}

function isRedirect(status: number): boolean {
  return status >= 301 && status <= 308 && status !== 304;
}

/** Where a redirect leads; undefined where it names nothing that can be called. */
function redirectTarget(from: URL, location: string | undefined): URL | undefined {
  const target = location !== undefined && URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  return target?.protocol === 'http:' || target?.protocol === 'https:' ? target : undefined;
}

function tooSlow(limitMs: number): Error {
  return new Error(`it did not answer within ${limitMs / 1000} s`);
}

function hasUserAgent(headers: ReadonlyMap<string, string>): boolean {
  return [...headers.keys()].some((name) => name.toLowerCase() === 'user-agent');
}
