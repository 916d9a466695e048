import { systemClock } from '../../../platform/clock.ts';
import { settledWithin } from '../../../platform/deferred.ts';
import { isJson } from '../../../mcp/headers.ts';
import { memberOf, type RequestId, type RpcMessage } from '../../../mcp/json-rpc.ts';
import { cancelledBy, isInitialize, isInitialized } from '../../../mcp/lifecycle.ts';
import { drainResponse, readResponseBody } from './response-body.ts';
import { isCompressed, isEventStream } from './follow-event-stream.ts';
import { openStandaloneStream, type StandaloneStream } from './standalone-stream.ts';
import { errorIn, retryAfterOf, saysSessionLost } from './http-response.ts';
import { notMcp, openingFailure, statusWithExcerpt } from './response-problems.ts';
import type { HttpResponse } from '../../../platform/net/http-client.ts';
import { createUpstreamClient, type UpstreamExchange, type UpstreamFailure } from './upstream-client.ts';
import { createHttpSession } from './http-session.ts';
import {
  defaultConnectTimeoutMs,
  defaultResponseTimeoutMs,
  maxErrorBodyBytes,
  type HttpUpstreamOptions,
} from './http-upstream-options.ts';
import { createMessageDecoder } from '../message-decoder.ts';
import { createPausableStreams } from './pausable-streams.ts';
import { createPendingResponse, type PendingResponse } from './pending-response.ts';
import { nameOf, untakenOf, type SessionPost } from './outgoing-post.ts';
import { createPostQueue } from './post-queue.ts';
import { createWriteWindow } from '../stdio/write-window.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream.ts';
import { checkUpstreamUrl } from './upstream-url.ts';

/** Requests that are under way at once, each with a connection of its own; further ones wait for their turn. */
const maxRequests = 256;

/** What is sent to a server that cannot be connected to is tried as often, then the connection is given up. */
const maxTries = 3;

/** Wait before the second try, twice as long before the third, in milliseconds: a server that restarts is soon back. */
const retryStepMs = 200;

/** For how long the answers to what was sent into a lost session are waited for, in milliseconds. */
const lostSessionMs = 2000;

/** For how long the general stream is waited for before calls begin, in milliseconds; many servers answer only late. */
const standaloneStreamMs = 250;

/** How long the server may take to confirm the end of the session, in milliseconds. */
const removalMs = 2000;

/** What these say of `initialize` is not the server's answer to it, whatever their body is. */
const openingStatuses: ReadonlySet<number> = new Set([401, 403, 429, 502, 503, 504]);

/**
 * `new`: nothing was sent. `opening`: `initialize` has no answer. `confirming`: `initialized` is not accepted, or the
 * general stream not open. `leaving`: the session is lost. While it is `opening`, `confirming` or `leaving`, messages wait.
 */
type Phase = 'new' | 'opening' | 'open' | 'confirming' | 'leaving' | 'ended';

/**
 * Speaks MCP to a server over Streamable HTTP (MCP 2025-03-26 to 2025-11-25): one session, one POST per message, and
 * every message comes with the request on whose own stream it came.
 * @throws ExposeError `upstream_url_refused`, or `usage` for headers that cannot be sent.
 */
export function createStreamableHttpUpstream(options: HttpUpstreamOptions): Upstream {
  const { allowPlainHttp = false, maxMessageBytes, onWarning, clock = systemClock } = options;
  const { connectTimeoutMs = defaultConnectTimeoutMs, responseTimeoutMs = defaultResponseTimeoutMs } = options;
  const url = checkUpstreamUrl(options.url, { allowPlainHttp });
  const client = createUpstreamClient({ ...options, url, connectTimeoutMs, clock });
  const session = createHttpSession(client, url);
  const streams = createPausableStreams();
  const unread = createWriteWindow();
  const decoder = createMessageDecoder({ maxMessageBytes, onWarning });
  let events: UpstreamEvents | undefined;
  let phase: Phase = 'new';
  let openingId: RequestId | undefined;
  let sent = 0;
  let isTold = false;
  let standalone: StandaloneStream | undefined;
  let closing: Promise<void> | undefined;
  let stopLeaving: (() => void) | undefined;
  const line = createPostQueue<SessionPost>({
    isOpen: () => phase === 'new' || phase === 'open',
    hasRoomForRequest: () => answers.size < maxRequests,
    post,
  });
  /** What has no response yet, or none that counts. */
  const underWay = new Set<SessionPost>();
  /** Of the requests that have no answer. */
  const answers = new Map<RequestId, PendingResponse>();
  /** The same, and those of which something is left to read. */
  const openAnswers = new Set<PendingResponse>();

  function post(outgoing: SessionPost): void {
    const { message, isOpening } = outgoing;
    if (isOpening && message.kind === 'request') {
      phase = 'opening';
      openingId = message.id;
    } else if (isInitialized(message) && standalone === undefined && phase === 'open') {
      phase = 'confirming';
    }
    if (message.kind === 'request') outgoing.answer ??= expectAnswer(outgoing, message.id);
    underWay.add(outgoing);
    outgoing.tries++;
    const hasLimit = isOpening || message.kind !== 'request';
    outgoing.exchange = session.post(message.bytes, {
      onSent: outgoing.release,
      ...(hasLimit ? { headTimeoutMs: responseTimeoutMs } : {}),
    });
    void followUp(outgoing, outgoing.exchange);
  }

  async function followUp(outgoing: SessionPost, { outcome }: UpstreamExchange): Promise<void> {
    const known = await outcome;
    if (!isUnderWay(outgoing)) return;
    if (known.kind === 'failed') notSent(outgoing, known);
    else if (known.status >= 200 && known.status < 300) take(outgoing, known);
    else await readRefusal(outgoing, known);
  }

  function isUnderWay(outgoing: SessionPost): boolean {
    return phase !== 'ended' && underWay.has(outgoing);
  }

  function expectAnswer(outgoing: SessionPost, id: RequestId): PendingResponse {
    const answer = createPendingResponse({
      id,
      session,
      streams,
      decoder,
      maxMessageBytes,
      clock,
      onMessage: (message) => receive(message, id),
      onSessionLost: lose,
      onOver() {
        openAnswers.delete(answer);
        if (answers.get(id) === answer) answers.delete(id);
        // Nobody waits for the response to the POST, either.
        if (phase !== 'leaving' && isUnderWay(outgoing)) {
          settle(outgoing);
          outgoing.exchange?.abort();
        }
        line.drain();
      },
    });
    answers.get(id)?.abort();
    answers.set(id, answer);
    openAnswers.add(answer);
    return answer;
  }

  function receive(given: RpcMessage, origin?: RequestId): void {
    if (phase === 'ended') return;
    // Answered before: a server that resumes a stream may say more than it should.
    if (given.kind === 'response' && given.id === origin && !answers.has(origin)) return;
    const message = given.kind === 'response' ? decoder.admit(given) : given;
    if (message === undefined) return;
    if (message.kind === 'response') {
      const answer = answers.get(message.id);
      if (answer === undefined) return;
      answers.delete(message.id);
      answer.release();
      if (message.id === openingId) {
        openingId = undefined;
        const revision = memberOf(message.json['result'], 'protocolVersion');
        if (typeof revision === 'string') session.agree(revision);
        if (phase === 'opening') phase = 'open';
      }
    }
    events?.onMessage(message, origin);
    line.drain();
  }

  function notSent(outgoing: SessionPost, { reason, isUnsent, isFinal, advice }: UpstreamFailure): void {
    if (outgoing.isOpening || isFinal) {
      outgoing.untaken = isUnsent || outgoing.isOpening;
      const code = isFinal ? 'upstream_refused' : 'upstream_unreachable';
      if (outgoing.isOpening || isUnsent) end({ code, reason: unreachable(reason), advice });
      else drop(outgoing, unreachable(reason), 'upstream_http_error');
    } else if (!isUnsent) {
      drop(outgoing, `the connection broke before the server had answered: ${reason}`, 'upstream_stream_lost');
    } else if (phase === 'leaving') {
      outgoing.untaken = true;
      leaveWhenReady();
    } else if (outgoing.tries >= maxTries) {
      end({ code: 'upstream_unreachable', reason: unreachable(reason), advice });
    } else {
      outgoing.untaken = true;
      outgoing.cancelTimer = clock.after(outgoing.tries * retryStepMs, () => {
        outgoing.untaken = false;
        post(outgoing);
      });
    }
  }

  /** Takes back a request that waits for its next try. Returns false when none does. */
  function cancelRetry(id: RequestId): boolean {
    for (const outgoing of underWay) {
      const { message, cancelTimer, untaken } = outgoing;
      if (!untaken || cancelTimer === undefined || message.kind !== 'request' || message.id !== id) continue;
      cancelTimer();
      settle(outgoing);
      outgoing.answer?.abort();
      return true;
    }
    return false;
  }

  async function readRefusal(outgoing: SessionPost, outcome: HttpResponse): Promise<void> {
    const { response } = outcome;
    const stopReading = clock.after(responseTimeoutMs, () => void response.destroy());
    const read = await readResponseBody(response, maxErrorBodyBytes);
    stopReading();
    if (isUnderWay(outgoing)) refuse(outgoing, outcome, typeof read === 'string' ? Buffer.alloc(0) : read);
  }

  function take(outgoing: SessionPost, outcome: HttpResponse): void {
    const { message } = outgoing;
    const { response } = outcome;
    if (outgoing.isOpening) {
      if ((!isJson(response.headers['content-type']) || isCompressed(response)) && !isEventStream(response)) {
        outgoing.untaken = true;
        end(notMcp('--http', response));
        return;
      }
      if (!session.adopt(outcome)) {
        end({ code: 'upstream_refused', reason: 'the server gave a session id that no header can hold' });
        return;
      }
    }
    settle(outgoing);
    if (message.kind === 'request') {
      outgoing.answer?.read(response);
    } else {
      // There should be no body, and a stream would never end.
      if (isEventStream(response)) response.destroy();
      else drainResponse(response, clock);
      if (isInitialized(message)) void confirm(true);
    }
    leaveWhenReady();
  }

  function refuse(outgoing: SessionPost, { status, response }: HttpResponse, body: Buffer): void {
    const { message } = outgoing;
    const id = message.kind === 'request' ? message.id : undefined;
    const own = id === undefined ? undefined : errorIn(body, id);
    if (outgoing.isOpening && (own === undefined || openingStatuses.has(status))) {
      outgoing.untaken = true;
      end(openingFailure(status, '--http', response, retryAfterOf(response, clock.now())));
    } else if (!outgoing.isOpening && session.id !== undefined && saysSessionLost(status, body, id)) {
      outgoing.untaken = true;
      lose();
    } else if (own !== undefined) {
      settle(outgoing);
      receive(own, own.id);
      leaveWhenReady();
    } else {
      drop(outgoing, statusWithExcerpt(status, response, body), 'upstream_http_error', { status });
    }
  }

  /** The server has it, or never will. */
  function settle(outgoing: SessionPost): void {
    underWay.delete(outgoing);
    outgoing.release();
  }

  function drop(outgoing: SessionPost, words: string, reason: string, data?: Readonly<Record<string, unknown>>): void {
    const { message } = outgoing;
    settle(outgoing);
    if (message.kind === 'request') {
      outgoing.answer?.fail(words, reason, data);
    } else {
      onWarning(`${nameOf(message)} did not reach the server: ${words}`);
      if (isInitialized(message)) void confirm(false);
    }
    leaveWhenReady();
  }

  /** Ends the handshake: servers drop what they want to say while there is no general stream. */
  async function confirm(accepted: boolean): Promise<void> {
    if (phase !== 'confirming') return;
    if (accepted) {
      standalone = openStandaloneStream({
        session,
        streams,
        decoder,
        maxMessageBytes,
        clock,
        onMessage: receive,
        onSessionLost: lose,
        onWarning,
      });
      await settledWithin(standalone.answered, standaloneStreamMs);
    }
    if (phase !== 'confirming') return;
    phase = 'open';
    line.drain();
  }

  /** The server no longer knows the session; what else was sent into it will be told so too. */
  function lose(): void {
    if (phase !== 'leaving' && phase !== 'ended') {
      phase = 'leaving';
      standalone?.close();
      for (const { cancelTimer } of underWay) cancelTimer?.();
      stopLeaving = clock.after(lostSessionMs, leave);
    }
    leaveWhenReady();
  }

  function leaveWhenReady(): void {
    if (phase === 'leaving' && [...underWay].every(({ untaken }) => untaken)) leave();
  }

  function leave(): void {
    end({ code: 'upstream_session_lost', reason: 'the server no longer knows the session' });
  }

  function end(cause: Pick<UpstreamEnd, 'code' | 'reason' | 'advice' | 'retryAfterMs'>): void {
    if (phase === 'ended' || closing !== undefined) return;
    phase = 'leaving';
    for (const outgoing of underWay) outgoing.untaken ||= outgoing.exchange?.isUnsent() === true;
    for (const { untaken, answer } of underWay) if (untaken) answer?.abort();
    const words = `the connection broke before the server had answered: ${cause.reason}`;
    for (const answer of answers.values()) answer.fail(words, 'upstream_stream_lost');
    const untaken = untakenOf(underWay, line.waiting());
    stop();
    void client.close();
    tell({ ...cause, stderr: '', untaken });
  }

  function tell(how: UpstreamEnd): void {
    if (isTold) return;
    isTold = true;
    events?.onClose(how);
  }

  /** Nothing is delivered, sent or waited for any more. */
  function stop(): void {
    phase = 'ended';
    stopLeaving?.();
    standalone?.close();
    for (const { cancelTimer } of underWay) cancelTimer?.();
    for (const answer of openAnswers) answer.abort();
    line.clear();
    unread.end();
  }

  async function finish(): Promise<void> {
    const isKnown = phase !== 'ended' && phase !== 'leaving' && session.id !== undefined;
    stop();
    if (isKnown) {
      const outcome = await session.remove(removalMs).outcome;
      if (outcome.kind === 'response') outcome.response.destroy();
    }
    await client.close();
    tell({ code: 'upstream_exited', reason: 'the connection to the server was closed', stderr: '' });
  }

  return {
    start(given) {
      events = given;
    },
    send(message) {
      if (phase === 'ended' || events === undefined) return false;
      const cancelled = cancelledBy(message);
      if (cancelled !== undefined) decoder.sent(message);
      // What the server has not heard of, it need not be told to give up.
      if (cancelled !== undefined && (line.withdraw(cancelled) || cancelRetry(cancelled))) return true;
      const release = unread.add(message.bytes.length);
      if (release === false) return false;
      if (message.kind === 'request') decoder.sent(message);
      const isOpening = phase === 'new' && isInitialize(message);
      const outgoing: SessionPost = { message, order: sent++, release, isOpening, tries: 0, untaken: false };
      // The server may ask something, such as ping, before it goes on with the handshake.
      if (message.kind === 'response' && phase !== 'leaving') post(outgoing);
      else line.add(outgoing);
      // The server need not answer a cancelled request, nor end its stream; to close that is no cancellation by itself.
      if (cancelled !== undefined) answers.get(cancelled)?.release();
      line.drain();
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

function unreachable(reason: string): string {
  return `the server cannot be reached: ${reason}`;
}
