import { Agent as PlainAgent, request as requestPlain, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as SecureAgent, request as requestSecure } from 'node:https';
import type { LookupFunction, Socket } from 'node:net';

import { piecesOf, type Bytes } from '../bytes.ts';
import { systemClock, type Clock } from '../clock.ts';
import { createDeferred, settledWithin } from '../deferred.ts';
import { proxyFor } from './http-proxy.ts';
import { createConnectAgent, proxyAuthorization, proxyFailure } from './proxy-connection.ts';

/**
 * An idle connection is closed after this time, in milliseconds. Servers commonly close theirs after 5 s; whoever is
 * later sends a request into a connection that is being closed, and cannot repeat it.
 */
const idleSocketMs = 2000;

/** First TCP keep-alive probe of an idle connection, in milliseconds: a call may take hours, and its server may vanish. */
const keepAliveMs = 30_000;

/** Sockets close at once when they are destroyed; in milliseconds. */
const socketEndMs = 1000;

export interface HttpClientOptions {
  /** Every request goes to the origin of this URL. */
  readonly url: URL;
  /** Where `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are read; `{}` for direct connections. */
  readonly env: NodeJS.ProcessEnv;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Certificates (PEM) to trust instead of the well-known authorities. */
  readonly ca?: string | Buffer;
  /** Replaces the system's resolver for direct connections; a proxy resolves names itself. */
  readonly lookup?: LookupFunction;
  /** Whether connections are used for several requests. Default true. */
  readonly keepAlive?: boolean;
  /** How long the proxy, TCP and TLS may take together, in milliseconds. */
  readonly connectTimeoutMs: number;
  readonly clock?: Clock;
}

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Bytes;
  /** How long the head of the response may take, in milliseconds; without it there is no limit. */
  readonly headTimeoutMs?: number;
  /** The operating system has taken the whole request. */
  readonly onSent?: () => void;
}

export interface HttpResponse {
  readonly kind: 'response';
  readonly status: number;
  /** Not flowing yet. Its errors are handled; after its `close` event, `complete` says whether all of it arrived. */
  readonly response: IncomingMessage;
  readonly url: URL;
}

export interface HttpFailure {
  readonly kind: 'failed';
  /** What node:net, node:tls, node:http or the lookup threw, or a `ProxyError`. */
  readonly cause: unknown;
  /** Not a byte of the request has left: it can be sent again, whatever it is. */
  readonly isUnsent: boolean;
}

export interface HttpExchange<Outcome = HttpResponse | HttpFailure> {
  /** Never rejects. */
  readonly outcome: Promise<Outcome>;
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
 * HTTP/1.1 to one origin, directly or through the proxy that the environment names: by CONNECT for https, as an absolute
 * request target (RFC 9112 §3.2.2) for http, since few proxies allow CONNECT to port 80. Redirects are not followed.
 */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const {
    url: origin,
    env,
    headers = {},
    ca,
    lookup,
    keepAlive = true,
    connectTimeoutMs,
    clock = systemClock,
  } = options;
  const closing = new AbortController();
  const isSecure = origin.protocol === 'https:';
  const proxy = proxyFor(origin, env);
  const forwardingProxy = isSecure ? undefined : proxy;
  const isPeerSecure = (forwardingProxy ?? origin).protocol === 'https:';
  const agentOptions = {
    keepAlive,
    keepAliveMsecs: keepAliveMs,
    ...(keepAlive ? { timeout: idleSocketMs } : {}),
    ...(ca === undefined ? {} : { ca }),
  };
  const connectProxy = isSecure ? proxy : undefined;
  const agent =
    connectProxy === undefined
      ? new (isPeerSecure ? SecureAgent : PlainAgent)(agentOptions)
      : createConnectAgent({ proxy: connectProxy, target: origin, signal: closing.signal, agentOptions });
  const requests = new Set<ClientRequest>();
  const sockets = new Set<Socket>();
  const allSocketsGone = createDeferred<void>();

  function watchSocket(socket: Socket): void {
    if (sockets.has(socket)) return;
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      if (closing.signal.aborted && sockets.size === 0) allSocketsGone.resolve();
    });
  }

  function makeRequest({ method, url, headers: own, body }: HttpCall): ClientRequest {
    const length = body === undefined ? {} : { 'Content-Length': String(body.length) };
    const all = { ...headers, ...own, ...length };
    const direct = { method, agent, ...(lookup === undefined ? {} : { lookup }) };
    const request = isPeerSecure ? requestSecure : requestPlain;
    if (forwardingProxy === undefined) return request(url, { ...direct, headers: all });
    return request(forwardingProxy, {
      method,
      agent,
      auth: null,
      path: `${url.origin}${url.pathname}${url.search}`,
      headers: { ...all, Host: url.host, ...proxyAuthorization(forwardingProxy) },
    });
  }

  function send(call: HttpCall): HttpExchange {
    const { promise: outcome, resolve } = createDeferred<HttpResponse | HttpFailure>();
    let request: ClientRequest | undefined;
    let isConnected = false;
    let stopConnecting: (() => void) | undefined;
    const { headTimeoutMs } = call;
    const stopWaiting =
      headTimeoutMs === undefined ? undefined : clock.after(headTimeoutMs, () => giveUp(tooSlow(headTimeoutMs)));

    function settle(result: HttpResponse | HttpFailure): void {
      stopConnecting?.();
      stopWaiting?.();
      resolve(result);
    }

    function fail(thrown: unknown): void {
      const isOfProxy = forwardingProxy !== undefined && !isConnected;
      const cause = isOfProxy ? proxyFailure(forwardingProxy, thrown) : thrown;
      settle({ kind: 'failed', cause, isUnsent: !isConnected });
    }

    function giveUp(cause: Error): void {
      // node:http tells nothing of a request without a socket until there is one, which a proxy may take long for.
      if ((request?.socket ?? undefined) === undefined) fail(cause);
      request?.destroy(cause);
    }

    function limitConnecting(): void {
      stopConnecting ??= clock.after(connectTimeoutMs, () => giveUp(tooSlow(connectTimeoutMs)));
    }

    function connected(): void {
      isConnected = true;
      stopConnecting?.();
    }

    function start(): ClientRequest {
      const started = makeRequest(call);
      requests.add(started);
      started.once('close', () => {
        requests.delete(started);
        fail(new Error('the request was aborted'));
      });
      started.once('socket', (socket) => {
        watchSocket(socket);
        // Nothing of the request is written before the end of the handshake. A socket whose first request was aborted
        // may still be connecting when it is reused; the socket to a proxy is connected already.
        if (!socket.connecting && (started.reusedSocket || !isPeerSecure)) {
          connected();
          return;
        }
        limitConnecting();
        socket.once(isPeerSecure ? 'secureConnect' : 'connect', connected);
      });
      started.once('finish', () => call.onSent?.());
      started.on('error', fail);
      started.once('response', (response) => {
        response.on('error', () => {});
        settle({ kind: 'response', status: response.statusCode ?? 0, response, url: call.url });
      });
      const pieces = call.body === undefined ? [] : piecesOf(call.body);
      for (const piece of pieces.slice(0, -1)) started.write(piece);
      // The last piece goes with the end, and a short body in one packet with the headers.
      started.end(pieces.at(-1));
      return started;
    }

    if (closing.signal.aborted) {
      fail(new Error('the connection was closed'));
    } else {
      try {
        request = start();
        // The socket of a proxy comes when the proxy has connected.
        if (connectProxy !== undefined) limitConnecting();
      } catch (cause) {
        fail(cause);
      }
    }
    return { outcome, isUnsent: () => !isConnected, abort: () => giveUp(new Error('the request was aborted')) };
  }

  return {
    send,
    async close() {
      closing.abort(new Error('the connection was closed'));
      for (const request of requests) request.destroy();
      agent.destroy();
      if (sockets.size > 0) await settledWithin(allSocketsGone.promise, socketEndMs);
    },
  };
}

function tooSlow(limitMs: number): Error {
  return new Error(`it did not answer within ${limitMs / 1000} s`);
}
