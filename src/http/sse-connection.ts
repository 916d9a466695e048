import type { Caller } from '../auth/caller.ts';
import type { Session } from '../bridge/session/session.ts';
import type { Sessions } from '../bridge/session/sessions.ts';
import type { CallFailure } from '../bridge/session/pending-request.ts';
import { classifyLegacy } from '../mcp/classify.ts';
import { revisionHeader } from '../mcp/headers.ts';
import { rpcCode, type RequestId, type RpcBatch, type RpcMessage, type RpcRequest } from '../mcp/json-rpc.ts';
import { encodeEndpoint } from '../mcp/sse.ts';
import { isAffordable, isClaimed, usedAlready, usedUp } from './credential-limits.ts';
import type { PolicyOf } from './find-session.ts';
import { valueOf, type HttpRequest, type HttpResponse } from './message.ts';
import type { ActiveResponses } from './responses/active-responses.ts';
import type { EventStream } from './responses/event-stream.ts';
import { refuse, refuseMessage, refuseSession } from './responses/json-response.ts';
import { listeningStream, MessageStream } from './responses/message-stream.ts';
import { StreamCall, type StreamCallOptions } from './responses/stream-call.ts';

const accepted = Buffer.from('Accepted');

export interface SseConnectionOptions {
  /** Who opened the connection; nobody else may use it. */
  readonly caller: Caller;
  readonly events: EventStream;
  /** Where the client is to POST its messages. */
  readonly path: string;
  readonly sessions: Sessions;
  readonly policyOf: PolicyOf | undefined;
  readonly active: ActiveResponses;
  /** How long the connection may be open without a session, in milliseconds. */
  readonly startTimeoutMs: number;
  /** Called when the connection has a session. */
  readonly onSession: () => void;
}

/** One client of HTTP+SSE: an event stream for all messages to it, and the session that its `initialize` has opened. */
export class SseConnection {
  readonly #options: SseConnectionOptions;
  readonly #stream = new MessageStream();
  /** The session, while it is open or opening. */
  session: Session | undefined;
  #startTimeout: NodeJS.Timeout | undefined;

  constructor(options: SseConnectionOptions) {
    this.#options = options;
    this.#expectSession();
    const { events, path } = options;
    events.write(encodeEndpoint(path));
    this.#stream.connect(events);
    events.whenClosed(() => {
      clearTimeout(this.#startTimeout);
      void this.session?.close();
    });
  }

  isOpenFor(caller: Caller): boolean {
    return this.#options.caller.id === caller.id && this.#options.events.isOpen();
  }

  /** Ends the connection if it is of this caller. */
  endFor(callerId: string): void {
    if (this.#options.caller.id === callerId && this.session === undefined) this.#options.events.end();
  }

  /** Serves a message that was POSTed for this connection. */
  receive(request: HttpRequest, response: HttpResponse, message: RpcMessage | RpcBatch): void {
    if (message.kind === 'batch') {
      refuseMessage(request, response, { code: rpcCode.invalidRequest, reason: 'batches are not served here' });
      return;
    }
    const { sessions, active, caller } = this.#options;
    const session = this.session;
    const verdict = classifyLegacy(message, valueOf(request, revisionHeader), session?.revision);
    if (verdict.kind === 'reject' && message.kind === 'request') {
      const { code, reason, data } = verdict;
      accept(response);
      this.#fail(message.id, { code, message: reason, ...(data === undefined ? {} : { data }) });
    } else if (verdict.kind === 'reject') {
      refuse(request, response, { status: verdict.status, code: verdict.code, message: verdict.reason });
    } else if (verdict.kind === 'opening' && message.kind === 'request' && session === undefined) {
      this.#openSession(request, response, message);
    } else if (verdict.kind === 'opening' && message.kind === 'request') {
      accept(response);
      this.#fail(message.id, { code: rpcCode.invalidRequest, message: 'the session is initialized already' });
    } else if (session?.revision === undefined || sessions.find(session.id, caller.id) === undefined) {
      refuse(request, response, { status: 400, message: 'no session yet: send initialize first' });
    } else if (message.kind === 'request' && !isAffordable(caller, message)) {
      accept(response);
      active.report(message, caller, session)?.refused(usedUp);
      this.#fail(message.id, usedUp);
    } else if (message.kind === 'request') {
      accept(response);
      const call = this.#beginCall(message, active.end);
      const refusal = session.request(message, call);
      if (refusal === undefined) return;
      call.reported?.refused(refusal);
      call.end();
      // The error has no id, since the request's id may be that of another call that is in flight.
      this.#fail(null, { code: refusal.code, message: refusal.reason });
    } else if (message.kind === 'notification' && !isAffordable(caller, message)) {
      refuseMessage(request, response, { code: usedUp.code, reason: usedUp.message });
    } else {
      const refusal = session.forward(message);
      if (refusal === undefined) accept(response);
      else refuseMessage(request, response, refusal);
    }
  }

  #openSession(request: HttpRequest, response: HttpResponse, initialize: RpcRequest): void {
    const { sessions, active, caller, policyOf } = this.#options;
    if (!isClaimed(caller, initialize)) {
      active.report(initialize, caller)?.refused(usedAlready);
      refuse(request, response, { ...usedAlready, id: initialize.id });
      return;
    }
    clearTimeout(this.#startTimeout);
    const call = this.#beginCall(initialize, () => {
      active.end(call);
      this.#onAnswered();
    });
    const session = sessions.open(caller, initialize, call, policyOf?.(caller));
    if (session === undefined) {
      call.reported?.refused({ code: rpcCode.badRequest });
      call.end();
      refuseSession(request, response, initialize.id);
      return;
    }
    accept(response);
    call.reported?.opens(session);
    if (call.isOpen()) this.session = session;
  }

  /** `initialize` has its response. If there is no session, the client may try again. */
  #onAnswered(): void {
    const session = this.session;
    if (session?.revision === undefined) {
      this.session = undefined;
      this.#expectSession();
      return;
    }
    const { events, onSession } = this.#options;
    onSession();
    session.listen(listeningStream(this.#stream, events));
  }

  #expectSession(): void {
    const { events, startTimeoutMs } = this.#options;
    clearTimeout(this.#startTimeout);
    this.#startTimeout = setTimeout(() => events.end(), startTimeoutMs).unref();
  }

  #beginCall(request: RpcRequest, onOver: StreamCallOptions['onOver']): StreamCall {
    const call = new StreamCall({ stream: this.#stream, id: request.id, onOver });
    this.#options.active.begin(call, request, this.#options.caller, this.session);
    return call;
  }

  /** Sends an error where the client expects the response: some clients stop for good when a POST is refused. */
  #fail(id: RequestId | null, failure: CallFailure): void {
    new StreamCall({ stream: this.#stream, id }).fail(failure);
  }
}

function accept(response: HttpResponse): void {
  response.writeHead(202, { 'content-type': 'text/plain', 'content-length': accepted.length });
  response.end(accepted);
}
