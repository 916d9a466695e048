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
  /** Whether connections are used for several requests; never those to a proxy that forwards http. Default true. */
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

/**
 * HTTP/1.1 to one origin, directly or through the proxy that the environment names: by CONNECT for https, as an absolute
 * request target (RFC 9112 §3.2.2) for http, since few proxies allow CONNECT to port 80. Redirects are not followed.
 */
export class HttpClient {
  readonly #options: HttpClientOptions;
  /** A proxy to which requests for http are sent. */
  readonly #forwardingProxy: URL | undefined;
  /** A proxy that connects to the origin. */
  readonly #connectProxy: URL | undefined;
  readonly #isPeerSecure: boolean;
  readonly #agent: PlainAgent;
  readonly #closing = new AbortController();
  readonly #requests = new Set<ClientRequest>();
  readonly #sockets = new Set<Socket>();
  readonly #allSocketsGone = createDeferred<void>();

  constructor(options: HttpClientOptions) {
    const { url: origin, env, ca, keepAlive = true } = options;
    const proxy = proxyFor(origin, env);
    const isSecure = origin.protocol === 'https:';
    this.#options = options;
    this.#forwardingProxy = isSecure ? undefined : proxy;
    this.#connectProxy = isSecure ? proxy : undefined;
    this.#isPeerSecure = (this.#forwardingProxy ?? origin).protocol === 'https:';
    // Some proxies (tinyproxy) end the connection after each answer without having said so: a POST that is under way by
    // then is lost, and cannot be repeated.
    const isKept = keepAlive && this.#forwardingProxy === undefined;
    const agentOptions = {
      keepAlive: isKept,
      keepAliveMsecs: keepAliveMs,
      ...(isKept ? { timeout: idleSocketMs } : {}),
      ...(ca === undefined ? {} : { ca }),
    };
    this.#agent =
      this.#connectProxy === undefined
        ? new (this.#isPeerSecure ? SecureAgent : PlainAgent)(agentOptions)
        : createConnectAgent(this.#connectProxy, origin, this.#closing.signal, agentOptions);
  }

  send(call: HttpCall): HttpExchange {
    const { connectTimeoutMs, clock = systemClock } = this.#options;
    const pending = new PendingCall(clock, { connectTimeoutMs, headTimeoutMs: call.headTimeoutMs }, (cause) =>
      this.#forwardingProxy === undefined ? cause : proxyFailure(this.#forwardingProxy, cause),
    );
    if (this.#closing.signal.aborted) {
      pending.fail(new Error('the connection was closed'));
      return pending;
    }
    try {
      pending.request = this.#start(call, pending);
      // The socket of a proxy comes when the proxy has connected.
      if (this.#connectProxy !== undefined) pending.limitConnecting();
    } catch (cause) {
      pending.fail(cause);
    }
    return pending;
  }

  /** Ends all requests and connections; resolves when none is left. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the connection was closed'));
    for (const request of this.#requests) request.destroy();
    this.#agent.destroy();
    if (this.#sockets.size > 0) await settledWithin(this.#allSocketsGone.promise, socketEndMs);
  }

  #start(call: HttpCall, pending: PendingCall): ClientRequest {
    const request = this.#createRequest(call);
    this.#requests.add(request);
    request.once('close', () => {
      this.#requests.delete(request);
      pending.fail(new Error('the request was aborted'));
    });
    request.once('socket', (socket) => {
      this.#watchSocket(socket);
      pending.connecting(socket, { isReused: request.reusedSocket, isSecure: this.#isPeerSecure });
    });
    request.once('finish', () => call.onSent?.());
    request.on('error', (cause) => pending.fail(cause));
    request.once('response', (response) => {
      response.on('error', () => {});
      pending.settle({ kind: 'response', status: response.statusCode ?? 0, response, url: call.url });
    });
    const pieces = call.body === undefined ? [] : piecesOf(call.body);
    for (const piece of pieces.slice(0, -1)) request.write(piece);
    // The last piece goes with the end, and a short body in one packet with the headers.
    request.end(pieces.at(-1));
    return request;
  }

  #createRequest({ method, url, headers: own, body }: HttpCall): ClientRequest {
    const { headers, lookup } = this.#options;
    const proxy = this.#forwardingProxy;
    const length = body === undefined ? {} : { 'Content-Length': String(body.length) };
    const all = { ...headers, ...own, ...length };
    const create = this.#isPeerSecure ? requestSecure : requestPlain;
    const shared = { method, agent: this.#agent };
    if (proxy === undefined) return create(url, { ...shared, ...(lookup && { lookup }), headers: all });
    const path = `${url.origin}${url.pathname}${url.search}`;
    return create(proxy, {
      ...shared,
      auth: null,
      path,
      headers: { ...all, Host: url.host, ...proxyAuthorization(proxy) },
    });
  }

  #watchSocket(socket: Socket): void {
    if (this.#sockets.has(socket)) return;
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      if (this.#closing.signal.aborted && this.#sockets.size === 0) this.#allSocketsGone.resolve();
    });
  }
}

interface CallLimits {
  readonly connectTimeoutMs: number;
  readonly headTimeoutMs: number | undefined;
}

/** A call without an outcome, and its time limits. */
class PendingCall implements HttpExchange {
  readonly outcome: Promise<HttpResponse | HttpFailure>;
  request: ClientRequest | undefined;
  readonly #resolve: (outcome: HttpResponse | HttpFailure) => void;
  readonly #clock: Clock;
  readonly #connectTimeoutMs: number;
  readonly #beforeConnected: (cause: unknown) => unknown;
  readonly #stopWaiting: (() => void) | undefined;
  #stopConnecting: (() => void) | undefined;
  #isConnected = false;

  /** @param beforeConnected the cause of a failure that comes before the connection. */
  constructor(clock: Clock, limits: CallLimits, beforeConnected: (cause: unknown) => unknown) {
    const { connectTimeoutMs, headTimeoutMs } = limits;
    ({ promise: this.outcome, resolve: this.#resolve } = createDeferred<HttpResponse | HttpFailure>());
    this.#clock = clock;
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#beforeConnected = beforeConnected;
    if (headTimeoutMs !== undefined)
      this.#stopWaiting = clock.after(headTimeoutMs, () => this.#giveUp(tooSlow(headTimeoutMs)));
  }

  isUnsent(): boolean {
    return !this.#isConnected;
  }

  abort(): void {
    this.#giveUp(new Error('the request was aborted'));
  }

  settle(outcome: HttpResponse | HttpFailure): void {
    this.#stopConnecting?.();
    this.#stopWaiting?.();
    this.#resolve(outcome);
  }

  fail(thrown: unknown): void {
    const isUnsent = !this.#isConnected;
    this.settle({ kind: 'failed', cause: isUnsent ? this.#beforeConnected(thrown) : thrown, isUnsent });
  }

  limitConnecting(): void {
    const limitMs = this.#connectTimeoutMs;
    this.#stopConnecting ??= this.#clock.after(limitMs, () => this.#giveUp(tooSlow(limitMs)));
  }

  /**
   * The request has a socket. Nothing of it is written before the end of the handshake. A socket whose first request was
   * aborted may still be connecting when it is reused.
   */
  connecting(socket: Socket, { isReused, isSecure }: { readonly isReused: boolean; readonly isSecure: boolean }): void {
    const connected = (): void => {
      this.#isConnected = true;
      this.#stopConnecting?.();
    };
    if (!socket.connecting && (isReused || !isSecure)) {
      connected();
      return;
    }
    this.limitConnecting();
    socket.once(isSecure ? 'secureConnect' : 'connect', connected);
  }

  #giveUp(cause: Error): void {
    // node:http tells nothing of a request without a socket until there is one, which a proxy may take long for.
    if ((this.request?.socket ?? undefined) === undefined) this.fail(cause);
    this.request?.destroy(cause);
  }
}

function tooSlow(limitMs: number): Error {
  return new Error(`it did not answer within ${limitMs / 1000} s`);
}
