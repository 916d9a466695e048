import { systemClock } from '../../../platform/clock.ts';
import { rpcCode, type RequestId, type RpcMessage } from '../../../mcp/json-rpc.ts';
import { isInitialize, isInitialized } from '../../../mcp/lifecycle.ts';
import { newError } from '../../../mcp/new-message.ts';
import { eventStreamType } from '../../../mcp/sse.ts';
import { drainResponse, readResponseBody } from '../http/response-body.ts';
import { followEventStream, isEventStream, type StreamCursor, type StreamEnd } from '../http/follow-event-stream.ts';
import { errorIn, retryAfterOf } from '../http/http-response.ts';
import { notMcp, openingFailure, statusWithExcerpt } from '../http/response-problems.ts';
import type { HttpResponse } from '../../../platform/net/http-client.ts';
import { createUpstreamClient, type UpstreamExchange } from '../http/upstream-client.ts';
import {
  defaultConnectTimeoutMs,
  defaultResponseTimeoutMs,
  maxErrorBodyBytes,
  type HttpUpstreamOptions,
} from '../http/http-upstream-options.ts';
import { createMessageDecoder } from '../message-decoder.ts';
import { createPausableStreams } from '../http/pausable-streams.ts';
import { nameOf, untakenOf, type OutgoingPost } from '../http/outgoing-post.ts';
import { createWriteWindow } from '../stdio/write-window.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream.ts';
import { checkUpstreamUrl } from '../http/upstream-url.ts';

/**
 * Speaks MCP over the older HTTP transport (MCP 2024-11-05, HTTP with SSE): one event stream carries everything that the
 * server says, and names the endpoint to which messages are sent. The session is as long as the stream.
 * @throws ExposeError `upstream_url_refused`, or `usage` for headers that cannot be sent.
 */
export function createLegacySseUpstream(options: HttpUpstreamOptions): Upstream {
  const { allowPlainHttp = false, maxMessageBytes, onWarning, clock = systemClock } = options;
  const { connectTimeoutMs = defaultConnectTimeoutMs, responseTimeoutMs = defaultResponseTimeoutMs } = options;
  const url = checkUpstreamUrl(options.url, { allowPlainHttp });
  const client = createUpstreamClient({ ...options, url, connectTimeoutMs, clock });
  const streams = createPausableStreams();
  const unread = createWriteWindow();
  const decoder = createMessageDecoder({ maxMessageBytes, onWarning });
  const cursor: StreamCursor = { lastEventId: undefined, retryMs: undefined };
  let events: UpstreamEvents | undefined;
  let endpoint: URL | undefined;
  let sent = 0;
  let ended = false;
  let isTold = false;
  let closing: Promise<void> | undefined;
  let cancelStartTimeout: (() => void) | undefined;
  let waiting: OutgoingPost[] = [];
  const underWay = new Set<OutgoingPost>();
  /** Requests that have neither been answered on the stream nor been taken by the endpoint. */
  const unanswered = new Set<RequestId>();
  /** A message of the handshake that the endpoint has not taken; those behind it could overtake it. */
  let handshake: OutgoingPost | undefined;

  async function open(): Promise<void> {
    cancelStartTimeout = clock.after(responseTimeoutMs, () => {
      const reason = `the server named no endpoint within ${responseTimeoutMs / 1000} s`;
      end({ code: 'upstream_unreachable', reason });
    });
    const outcome = await client.send({ method: 'GET', url, headers: { Accept: eventStreamType } }).outcome;
    if (ended) return;
    if (outcome.kind === 'failed') {
      const code = outcome.isFinal ? 'upstream_refused' : 'upstream_unreachable';
      end({ code, reason: `the server cannot be reached: ${outcome.reason}`, advice: outcome.advice });
    } else if (outcome.status !== 200) {
      const { status, response } = outcome;
      end(openingFailure(status, '--sse', response, retryAfterOf(response, clock.now())));
    } else if (!isEventStream(outcome.response)) {
      end(notMcp('--sse', outcome.response));
    } else {
      follow(outcome);
    }
  }

  function follow(opened: HttpResponse): void {
    followEventStream({
      response: opened.response,
      streams,
      decoder,
      maxMessageBytes,
      cursor,
      onMessage: receive,
      onOtherEvent(name, data) {
        if (name === 'endpoint' && endpoint === undefined && !ended) learnEndpoint(opened.url, data);
      },
      onEnd: loseStream,
    });
  }

  function learnEndpoint(from: URL, text: string): void {
    const named = URL.canParse(text, from.href) ? new URL(text, from) : undefined;
    // Whoever controls the stream must not choose where the user's credentials and messages go.
    if (named?.origin !== from.origin) {
      end({ code: 'upstream_refused', reason: 'the server named an endpoint on another origin than its own' });
      return;
    }
    cancelStartTimeout?.();
    endpoint = named;
    drain();
  }

  function loseStream({ isClean }: StreamEnd): void {
    if (ended) return;
    const { retryMs } = cursor;
    const retry = retryMs === undefined ? {} : { retryAfterMs: retryMs };
    if (endpoint === undefined) {
      end({ code: 'upstream_refused', reason: 'the event stream of the server ended without naming an endpoint' });
    } else {
      const how = isClean ? 'the event stream of the server ended' : 'the event stream of the server broke off';
      end({ code: 'upstream_exited', reason: how, ...retry });
    }
  }

  function receive(given: RpcMessage): void {
    if (ended) return;
    const message = given.kind === 'response' ? decoder.admit(given) : given;
    if (message === undefined) return;
    if (message.kind === 'response') {
      unanswered.delete(message.id);
      const { message: first } = handshake ?? {};
      if (first?.kind === 'request' && first.id === message.id) handshake = undefined;
    }
    events?.onMessage(message);
    drain();
  }

  function drain(): void {
    const to = endpoint;
    if (to === undefined) return;
    while (handshake === undefined) {
      const next = waiting.shift();
      if (next === undefined) return;
      post(next, to);
    }
  }

  function post(outgoing: OutgoingPost, to: URL): void {
    const { message } = outgoing;
    if (isInitialize(message) || isInitialized(message)) handshake = outgoing;
    if (message.kind === 'request') unanswered.add(message.id);
    underWay.add(outgoing);
    outgoing.exchange = client.send({
      method: 'POST',
      url: to,
      body: message.bytes,
      headers: { 'Content-Type': 'application/json' },
      // Some servers answer only when the call is done, which may take hours.
      ...(message.kind === 'request' && handshake !== outgoing ? {} : { headTimeoutMs: responseTimeoutMs }),
      onSent: outgoing.release,
    });
    void followUp(outgoing, outgoing.exchange);
  }

  async function followUp(outgoing: OutgoingPost, { outcome }: UpstreamExchange): Promise<void> {
    const known = await outcome;
    if (ended) return;
    if (known.kind === 'failed') {
      const reason = known.isUnsent ? 'upstream_unreachable' : 'upstream_stream_lost';
      drop(outgoing, `the server cannot be reached: ${known.reason}`, { reason });
    } else if (known.status >= 200 && known.status < 300) {
      // The answer comes on the stream; what stands here is a word of politeness.
      drainResponse(known.response, clock);
      settle(outgoing);
    } else {
      await readRefusal(outgoing, known);
    }
    drain();
  }

  async function readRefusal(outgoing: OutgoingPost, { status, response }: HttpResponse): Promise<void> {
    const { message } = outgoing;
    const stopReading = clock.after(responseTimeoutMs, () => void response.destroy());
    const read = await readResponseBody(response, maxErrorBodyBytes);
    stopReading();
    if (ended) return;
    const body = typeof read === 'string' ? Buffer.alloc(0) : read;
    const own = message.kind === 'request' ? errorIn(body, message.id) : undefined;
    if (isInitialize(message) && own === undefined) {
      end(openingFailure(status, '--sse', response, retryAfterOf(response, clock.now())));
    } else if (own !== undefined && unanswered.has(own.id)) {
      settle(outgoing);
      receive(own);
    } else {
      drop(outgoing, statusWithExcerpt(status, response, body), { reason: 'upstream_http_error', status });
    }
  }

  function settle(outgoing: OutgoingPost): void {
    underWay.delete(outgoing);
    outgoing.release();
    if (outgoing.message.kind === 'request') unanswered.delete(outgoing.message.id);
    if (handshake === outgoing) handshake = undefined;
  }

  function drop(outgoing: OutgoingPost, words: string, data: Readonly<Record<string, unknown>>): void {
    const { message } = outgoing;
    const isAwaited = message.kind === 'request' && unanswered.has(message.id);
    settle(outgoing);
    if (isAwaited) receive(newError({ id: message.id, code: rpcCode.internalError, message: words, data }));
    else if (message.kind !== 'request') onWarning(`${nameOf(message)} did not reach the server: ${words}`);
  }

  function end(cause: Pick<UpstreamEnd, 'code' | 'reason' | 'advice' | 'retryAfterMs'>): void {
    if (ended || closing !== undefined) return;
    for (const outgoing of underWay) outgoing.untaken = outgoing.exchange?.isUnsent() === true;
    const untaken = untakenOf(underWay, waiting);
    stop();
    void client.close();
    tell({ ...cause, stderr: '', untaken });
  }

  function tell(how: UpstreamEnd): void {
    if (isTold) return;
    isTold = true;
    events?.onClose(how);
  }

  function stop(): void {
    ended = true;
    cancelStartTimeout?.();
    waiting = [];
    unread.end();
  }

  async function finish(): Promise<void> {
    stop();
    await client.close();
    tell({ code: 'upstream_exited', reason: 'the connection to the server was closed', stderr: '' });
  }

  return {
    start(given) {
      events = given;
      void open();
    },
    send(message) {
      if (ended || events === undefined) return false;
      const release = unread.add(message.bytes.length);
      if (release === false) return false;
      decoder.sent(message);
      waiting.push({ message, order: sent++, release, untaken: false });
      drain();
      return true;
    },
    isWritable: unread.isWritable,
    whenWritable: unread.whenWritable,
    pause: streams.pause,
    resume: streams.resume,
    close() {
      closing ??= finish();
      return closing;
    },
  };
}
