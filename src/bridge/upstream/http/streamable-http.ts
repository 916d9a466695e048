import type { HttpResponse } from '../../../platform/net/http-client.ts';
import { settledWithin } from '../../../platform/deferred.ts';
import { memberOf, type RequestId, type RpcMessage, type RpcResponse } from '../../../mcp/json-rpc.ts';
import { cancelledBy, isInitialize, isInitialized } from '../../../mcp/lifecycle.ts';
import { isEventStream, isJsonResponse } from './follow-event-stream.ts';
import { drainResponse, saysSessionLost } from './http-response.ts';
import { HttpSession, type SessionStreamContext } from './http-session.ts';
import { HttpUpstream, type Refusal } from './http-upstream.ts';
import { OpenAnswers } from './open-answers.ts';
import type { OutgoingPost } from './outgoing-posts.ts';
import {
  brokeWords,
  connectFailure,
  notMcp,
  openingFailure,
  statusWithExcerpt,
  unreachableWords,
} from './response-problems.ts';
import { openStandaloneStream, type StandaloneStream } from './standalone-stream.ts';
import type { PostOptions, UpstreamExchange, UpstreamFailure } from './upstream-client.ts';

/** Requests under way at once, each with its own connection; further ones wait. */
const maxRequests = 256;

/** Tries for one message to a server that cannot be connected to, before the upstream ends. */
const maxTries = 3;

/** Wait before the second try, doubled before the third, in milliseconds: a server that restarts is soon back. */
const retryStepMs = 200;

/** How long to wait for the responses to what was sent into a lost session, in milliseconds. */
const lostSessionMs = 2000;

/** How long calls wait for the standalone stream, in milliseconds; many servers send its head late. */
const standaloneStreamMs = 250;

/** How long the server may take to confirm the end of the session, in milliseconds. */
const removalMs = 2000;

/** With these statuses, a JSON-RPC error in the body is not taken as the server's answer to `initialize`. */
const openingStatuses: ReadonlySet<number> = new Set([401, 403, 429, 502, 503, 504]);

/**
 * `new`: nothing was sent. `opening`: `initialize` has no answer. `confirming`: `initialized` is not accepted, or the
 * standalone stream not open. `lost`: the session is lost, or the upstream has ended. Messages are sent only in `new`
 * and `open`; in the other phases they wait.
 */
type Phase = 'new' | 'opening' | 'confirming' | 'open' | 'lost';

/**
 * MCP over Streamable HTTP (2025-03-26 to 2025-11-25): one session, one POST per message. Each message from the server
 * is delivered with the request on whose stream it came.
 * @throws ExposeError `upstream_url_refused`, or `usage` for headers that cannot be sent.
 */
export class StreamableHttpUpstream extends HttpUpstream {
  readonly #session = new HttpSession(this.client, this.url);
  readonly #streamContext: SessionStreamContext = {
    ...this.context,
    session: this.#session,
    clock: this.clock,
    onSessionLost: () => this.#lose(),
  };
  #phase: Phase = 'new';
  /** The `initialize` request. */
  #opening: OutgoingPost | undefined;
  readonly #answers = new OpenAnswers({
    context: this.#streamContext,
    posts: this.posts,
    onMessage: (id, message) => this.#receiveFor(id, message),
    isInUse: () => this.#phase !== 'lost',
  });
  #standalone: StandaloneStream | undefined;
  #cancelLeaving: (() => void) | undefined;

  send(message: RpcMessage): boolean {
    const cancelled = cancelledBy(message);
    if (cancelled !== undefined) {
      this.context.decoder.sent(message);
      // The server has not got this request, so it needs no cancellation.
      const withdrawn = this.posts.withdraw(cancelled);
      withdrawn?.answer?.abort();
      if (withdrawn !== undefined) return true;
    }
    const outgoing = this.accept(message);
    if (outgoing === undefined) return false;
    // The server may need an answer, for example to ping, before it continues the handshake.
    if (message.kind === 'response' && this.#phase !== 'lost') void this.sendNow(outgoing);
    else this.posts.enqueue(outgoing);
    // The server need not answer a cancelled request or end its stream. Closing the stream is not a cancellation.
    if (cancelled !== undefined) this.#answers.release(cancelled);
    this.posts.drain();
    return true;
  }

  protected isOpen(): boolean {
    return this.#phase === 'new' || this.#phase === 'open';
  }

  protected override hasRoomForRequest(): boolean {
    return this.#answers.size < maxRequests;
  }

  protected post(outgoing: OutgoingPost, options: PostOptions): UpstreamExchange {
    const { message } = outgoing;
    if (this.#phase === 'new' && isInitialize(message)) {
      this.#phase = 'opening';
      this.#opening = outgoing;
    } else if (this.#phase === 'open' && isInitialized(message) && this.#standalone === undefined) {
      this.#phase = 'confirming';
    }
    if (message.kind === 'request') outgoing.answer ??= this.#answers.expect(outgoing, message);
    return this.#session.post(message.bytes, options);
  }

  #receiveFor(id: RequestId, message: RpcMessage): void {
    // A server that resumes a stream may repeat the answer.
    const isRepeated = message.kind === 'response' && message.id === id && this.#answers.find(id) === undefined;
    if (!isRepeated) this.receive(message, id);
  }

  protected onAnswer({ id, json }: RpcResponse): boolean {
    const answer = this.#answers.answered(id);
    if (answer === undefined) return false;
    if (answer === this.#opening?.answer) {
      const revision = memberOf(json['result'], 'protocolVersion');
      if (typeof revision === 'string') this.#session.agree(revision);
      if (this.#phase === 'opening') this.#phase = 'open';
    }
    return true;
  }

  protected onFailed(outgoing: OutgoingPost, failure: UpstreamFailure): void {
    const { reason, isUnsent, isFinal } = failure;
    if (outgoing === this.#opening || (isFinal && isUnsent)) {
      outgoing.untaken = true;
      this.end(connectFailure(failure));
    } else if (isFinal) {
      this.#drop(outgoing, unreachableWords(failure), { reason: 'upstream_http_error' });
    } else if (!isUnsent) {
      this.#drop(outgoing, brokeWords(reason), { reason: 'upstream_stream_lost' });
    } else if (this.#phase === 'lost') {
      outgoing.untaken = true;
      this.#leaveIfSettled();
    } else if (outgoing.tries >= maxTries) {
      this.end(connectFailure(failure));
    } else {
      this.posts.retry(outgoing, outgoing.tries * retryStepMs);
    }
  }

  protected onAccepted(outgoing: OutgoingPost, accepted: HttpResponse): void {
    const { message } = outgoing;
    const { response } = accepted;
    if (outgoing === this.#opening) {
      if (!isEventStream(response) && !isJsonResponse(response)) {
        outgoing.untaken = true;
        this.end(notMcp('--http', response));
        return;
      }
      if (!this.#session.adopt(accepted)) {
        this.end({ code: 'upstream_refused', reason: 'the server gave a session id that no header can hold' });
        return;
      }
    }
    this.posts.settle(outgoing);
    if (message.kind === 'request') {
      outgoing.answer?.read(response);
    } else {
      // There should be no body, and a stream would never end.
      if (isEventStream(response)) response.destroy();
      else drainResponse(response, this.clock);
      if (isInitialized(message)) void this.#confirm(true);
    }
    this.#leaveIfSettled();
  }

  protected onRefused(outgoing: OutgoingPost, refusal: Refusal): void {
    const { message } = outgoing;
    const { status, response, body, error } = refusal;
    const id = message.kind === 'request' ? message.id : undefined;
    const isOpening = outgoing === this.#opening;
    if (isOpening && (error === undefined || openingStatuses.has(status))) {
      outgoing.untaken = true;
      this.end(openingFailure('--http', refusal, this.clock.now()));
    } else if (!isOpening && this.#session.id !== undefined && saysSessionLost(status, body, id)) {
      outgoing.untaken = true;
      this.#lose();
    } else if (error !== undefined) {
      this.posts.settle(outgoing);
      this.#receiveFor(error.id, error);
      this.#leaveIfSettled();
    } else {
      this.#drop(outgoing, statusWithExcerpt(status, response, body), { reason: 'upstream_http_error', status });
    }
  }

  #drop(outgoing: OutgoingPost, words: string, data: Readonly<Record<string, unknown>>): void {
    const { message } = outgoing;
    this.posts.settle(outgoing);
    if (message.kind === 'request') {
      outgoing.answer?.fail(words, data);
    } else {
      this.reportUndelivered(message, words);
      if (isInitialized(message)) void this.#confirm(false);
    }
    this.#leaveIfSettled();
  }

  /** Ends the handshake. Calls wait for the standalone stream, without which servers drop messages. */
  async #confirm(isAccepted: boolean): Promise<void> {
    if (this.#phase !== 'confirming') return;
    if (isAccepted) {
      this.#standalone = openStandaloneStream({
        context: this.#streamContext,
        onMessage: (message) => this.receive(message),
        onWarning: this.onWarning,
      });
      await settledWithin(this.#standalone.answered, standaloneStreamMs);
      if (this.#phase !== 'confirming') return;
    }
    this.#phase = 'open';
    this.posts.drain();
  }

  /** The server no longer knows the session; it will say so of everything else that was sent into it. */
  #lose(): void {
    if (this.#phase !== 'lost') {
      this.#phase = 'lost';
      this.#standalone?.close();
      this.posts.cancelRetries();
      this.#cancelLeaving = this.clock.after(lostSessionMs, () => this.#leave());
    }
    this.#leaveIfSettled();
  }

  #leaveIfSettled(): void {
    if (this.#phase === 'lost' && this.posts.isAllUntaken()) this.#leave();
  }

  #leave(): void {
    this.end({ code: 'upstream_session_lost', reason: 'the server no longer knows the session' });
  }

  protected override beforeEnd(reason: string): void {
    this.#phase = 'lost';
    for (const { answer } of this.posts.untaken()) answer?.abort();
    this.#answers.lose(brokeWords(reason));
  }

  protected override stop(): void {
    super.stop();
    this.#phase = 'lost';
    this.#cancelLeaving?.();
    this.#standalone?.close();
    this.#answers.end();
  }

  protected override async finish(): Promise<void> {
    const isOpen = this.#phase !== 'lost' && this.#session.id !== undefined;
    this.stop();
    if (isOpen) {
      const outcome = await this.#session.remove(removalMs).outcome;
      if (outcome.kind === 'response') outcome.response.destroy();
    }
    await super.finish();
  }
}
