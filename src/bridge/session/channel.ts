import { jsonOfId } from '../../mcp/request-id.ts';
import {
  progressTokenOf,
  requestTokenOf,
  rpcCode,
  type RequestId,
  type RpcMessage,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
} from '../../mcp/json-rpc.ts';
import { cancelledBy } from '../../mcp/lifecycle.ts';
import { newNotification, newResult } from '../../mcp/new-message.ts';
import { makeRoom, maxOpenServerRequests, maxUnansweredCancelled } from '../limits.ts';
import type { PendingRequest, CallFailure, MessageSink, UpstreamMessage } from './pending-request.ts';
import { failureOf, maxCalls, notTaken, sessionEnded, tooManyCalls } from './call-failures.ts';
import { IdAliases } from './id-aliases.ts';
import { rejectServerRequest } from '../reject-server-request.ts';
import type { Upstream, UpstreamEnd } from '../upstream/upstream.ts';

/** Notifications that concern the whole connection rather than a call that happens to be under way. */
const connectionWide = /^notifications\/(?:.*list_changed|resources\/updated|elicitation\/complete)$/;

/** Why a message of the client was not taken. Nothing has been sent to the upstream. */
export interface Refusal {
  readonly code: number;
  readonly reason: string;
}

export interface ChannelOptions {
  readonly upstream: Upstream;
  /** Gets the messages that belong to no call. */
  readonly standalone: MessageSink;
  readonly onClose: (end: UpstreamEnd) => void;
}

/** A server request that the client has not answered, and the stream that it was sent on. */
interface ServerRequest {
  readonly message: RpcRequest;
  readonly sink: MessageSink;
  /** The same, where it is a call. */
  readonly call: PendingRequest | undefined;
}

interface PendingCall {
  call: PendingRequest | undefined;
  readonly progressToken: RequestId | undefined;
}

/**
 * Carries the messages of one client over one upstream connection, untouched: which response belongs to which request,
 * progress to its call by the token, cancellation, and for what carries no such mark the most plausible call.
 */
export class Channel {
  /** As in `Upstream`. */
  readonly isWritable = (): boolean => this.#upstream.isWritable();
  readonly whenWritable = (callback: () => void): void => this.#upstream.whenWritable(callback);
  readonly #upstream: Upstream;
  readonly #standalone: MessageSink;
  readonly #onClose: (end: UpstreamEnd) => void;
  readonly #pending = new Map<RequestId, PendingCall>();
  readonly #progressTokens = new Map<RequestId, PendingCall>();
  readonly #serverRequests = new Map<RequestId, ServerRequest>();
  /** A server may answer a cancelled call all the same; until then its id is in use. */
  readonly #cancelled = new Set<RequestId>();
  readonly #aliases = new IdAliases();
  #latest: PendingCall | undefined;
  #blocked = 0;
  #traffic = 0;

  constructor({ upstream, standalone, onClose }: ChannelOptions) {
    this.#upstream = upstream;
    this.#standalone = standalone;
    this.#onClose = onClose;
  }

  /**
   * Whether a client waits for a response. A call whose client has gone may go on, but nobody waits for it, unless it is
   * expected back at any moment.
   */
  isBusy(): boolean {
    return this.#newestCall((call) => call.isOpen() || call.absence?.() === 'short') !== undefined;
  }

  /** Whether a call goes on whose client has gone, and may come back for what it has missed. */
  isAwaited(): boolean {
    return this.#newestCall(isAway) !== undefined;
  }

  /** Number of messages so far, both ways: as long as it grows, the connection is in use. */
  traffic(): number {
    return this.#traffic;
  }

  start(): void {
    this.#upstream.start({
      onMessage: (message, origin) => this.#receive(message, origin),
      onLost: (end) => this.#lose(end),
      onClose: (end) => {
        this.#failAll(failureOf(end));
        this.#onClose(end);
      },
    });
  }

  /** Sends a request; `call` gets everything that belongs to it, and its end. */
  request(request: RpcRequest, call: PendingRequest): Refusal | undefined {
    this.#traffic++;
    const { id } = request;
    if (this.#pending.has(id)) return invalid(`the id ${jsonOfId(id)} is in use by a request that is still in flight`);
    if (this.#cancelled.has(id)) {
      return invalid(`the id ${jsonOfId(id)} is that of a cancelled request whose answer may still come`);
    }
    const progressToken = requestTokenOf(request);
    if (progressToken !== undefined && this.#progressTokens.has(progressToken)) {
      return invalid('the progress token is in use by a request that is still in flight');
    }
    if (this.#pending.size >= maxCalls) {
      call.fail(tooManyCalls);
      return undefined;
    }
    const entry = { call, progressToken };
    this.#latest = entry;
    this.#pending.set(id, entry);
    if (progressToken !== undefined) this.#progressTokens.set(progressToken, entry);
    const sent = this.#aliases.toServer(request);
    if (!this.#upstream.send(sent)) this.#settle(id)?.fail(notTaken);
    const withdraw = sent.kind === 'request' ? this.#upstream.withdrawalOf?.(sent.id) : undefined;
    if (withdraw !== undefined) {
      call.whenGone(() => {
        if (call.absence?.() === undefined) withdraw();
      });
    }
    return undefined;
  }

  /** Sends a notification, or the response to a server request. */
  forward(message: RpcNotification | RpcResponse): Refusal | undefined {
    this.#traffic++;
    // A response to a request that the server has withdrawn, or never made, would only confuse it.
    const asked = message.kind === 'response' ? this.#serverRequests.get(message.id) : undefined;
    if (message.kind === 'response' && asked === undefined) return undefined;
    // The client may send again what was not taken.
    if (!this.#send(message)) return { code: notTaken.code, reason: notTaken.message };
    if (asked !== undefined) this.#forget(asked);
    const cancelledId = cancelledBy(message);
    if (cancelledId !== undefined) this.#cancel(cancelledId);
    return undefined;
  }

  /** One of the streams that make up the standalone stream has closed. */
  lostListener(): void {
    for (const { message, sink } of this.#serverRequests.values()) {
      if (sink === this.#standalone && message.method === 'ping') this.#pingAgain(message);
    }
  }

  /** Ends the upstream; calls that are still in flight fail. */
  close(failure: CallFailure = sessionEnded): Promise<void> {
    this.#failAll(failure);
    return this.#upstream.close();
  }

  #send(message: RpcMessage): boolean {
    return this.#upstream.send(this.#aliases.toServer(message));
  }

  #receive(sent: RpcMessage, request?: RequestId): void {
    this.#traffic++;
    const origin = request === undefined ? undefined : this.#aliases.idOf(request);
    const message = this.#aliases.toClient(sent);
    switch (message.kind) {
      case 'response':
        this.#receiveResponse(message);
        return;
      case 'request':
        if (message.method === 'ping' && !this.#canTakeServerRequests()) {
          this.#send(newResult(message.id, {}));
          return;
        }
        this.#refuse(makeRoom(this.#serverRequests, maxOpenServerRequests));
        this.#receiveServerRequest(message, this.#callFor(origin));
        return;
      case 'notification':
        this.#receiveNotification(message, origin);
    }
  }

  /** Whether a client is connected. Without one, the channel answers a ping itself. */
  #canTakeServerRequests(): boolean {
    return this.#standalone.isOpen() || this.#newestCall(takesMessages) !== undefined;
  }

  /** A client that takes only responses is not expected to open a stream: the server gets an error at once. */
  #receiveServerRequest(message: RpcRequest, call: PendingRequest | undefined): void {
    if (call === undefined && !this.#standalone.isOpen() && this.#newestCall(isResponseOnly) !== undefined) {
      this.#send(rejectServerRequest(message.id, 'client_not_listening'));
    } else {
      this.#putServerRequest(message, call);
    }
  }

  #refuse(givenUp: RequestId | undefined): void {
    if (givenUp !== undefined) this.#send(rejectServerRequest(givenUp, 'too_many_asks'));
  }

  /** Sends a server request to the client. If the client goes without an answer, another stream may carry it. */
  #putServerRequest(message: RpcRequest, call: PendingRequest | undefined): void {
    const sink = call ?? this.#standalone;
    this.#serverRequests.set(message.id, { message, sink, call });
    call?.whenGone(() => {
      if (this.#serverRequests.get(message.id)?.sink === call) this.#rerouteServerRequest(message, call);
    });
    this.#deliver(sink, message);
  }

  /** Returns false for a server request that is no longer open: a later one may have its id. */
  #forget({ message }: Pick<ServerRequest, 'message'>): boolean {
    return this.#serverRequests.get(message.id)?.message === message && this.#serverRequests.delete(message.id);
  }

  /** Moves a server request to another stream. Sent on both, it would prompt the user twice. */
  #rerouteServerRequest(message: RpcRequest, gone: PendingRequest): void {
    if (message.method === 'ping') {
      this.#pingAgain(message);
      return;
    }
    const other = this.#newestCall(takesMessages);
    if (other === undefined && !this.#standalone.isOpen() && isAway(gone)) return;
    if (gone.recall?.(message) !== false) this.#putServerRequest(message, other);
  }

  /** A ping tests the connection, so it cannot wait for the client to return. */
  #pingAgain(message: RpcRequest): void {
    if (this.#canTakeServerRequests()) this.#putServerRequest(message, this.#newestCall(takesMessages));
    else this.giveUp(message);
  }

  /** A server request cannot reach the client: the server gets an error. */
  giveUp(given: RpcRequest): void {
    if (!this.#forget({ message: given })) return;
    this.#send(
      given.method === 'ping' ? newResult(given.id, {}) : rejectServerRequest(given.id, 'client_not_listening'),
    );
  }

  /** The standalone stream has opened: server requests whose client has gone are sent on it. */
  recover(): void {
    for (const { message, call } of this.#serverRequests.values()) {
      if (call?.absence?.() === 'long') this.#rerouteServerRequest(message, call);
    }
  }

  /** A response that nobody waits for comes late, after its call was cancelled: it is dropped. */
  #receiveResponse(response: RpcResponse): void {
    if (this.#cancelled.delete(response.id)) return;
    const call = this.#settle(response.id);
    if (call !== undefined && !call.finish(response)) this.#waitFor(call);
  }

  #receiveNotification(message: RpcNotification, origin: RequestId | undefined): void {
    if (message.method === 'notifications/progress') {
      const token = progressTokenOf(message);
      const call = token === undefined ? undefined : this.#progressTokens.get(token)?.call;
      if (call !== undefined && (takesMessages(call) || isAway(call))) this.#deliver(call, message);
    } else if (message.method === 'notifications/cancelled') {
      const id = cancelledBy(message);
      const { sink = this.#standalone, call } = (id === undefined ? undefined : this.#serverRequests.get(id)) ?? {};
      if (id !== undefined) this.#serverRequests.delete(id);
      this.#deliver(sink.isOpen() || (call !== undefined && isAway(call)) ? sink : this.#standalone, message);
    } else if (this.#standalone.isOpen() && connectionWide.test(message.method)) {
      this.#deliver(this.#standalone, message);
    } else {
      this.#deliver(this.#callFor(origin) ?? this.#standalone, message);
    }
  }

  /** The call that gets a message without a progress token; undefined for the standalone stream. */
  #callFor(origin: RequestId | undefined): PendingRequest | undefined {
    const here = this.#openCall(origin) ?? this.#newestCall(takesMessages);
    return here !== undefined || this.#standalone.isOpen() ? here : this.#newestCall(isAway);
  }

  #openCall(id: RequestId | undefined): PendingRequest | undefined {
    const call = id === undefined ? undefined : this.#pending.get(id)?.call;
    return call !== undefined && takesMessages(call) ? call : undefined;
  }

  /**
   * Walks over the calls in flight when the latest does not fit. Only log messages and server requests need it: progress
   * and responses name their call.
   */
  #newestCall(fits: (call: PendingRequest) => boolean): PendingRequest | undefined {
    if (this.#latest?.call !== undefined && fits(this.#latest.call)) return this.#latest.call;
    let newest: PendingRequest | undefined;
    for (const { call } of this.#pending.values()) if (call !== undefined && fits(call)) newest = call;
    return newest;
  }

  #deliver(sink: MessageSink, message: UpstreamMessage): void {
    if (!sink.send(message)) this.#waitFor(sink);
  }

  /** Back-pressure: while a client does not take what it was sent, nothing more is read from its upstream. */
  #waitFor(sink: MessageSink): void {
    if (++this.#blocked === 1) this.#upstream.pause();
    sink.whenWritable(() => {
      if (--this.#blocked === 0) this.#upstream.resume();
    });
  }

  #settle(id: RequestId): PendingRequest | undefined {
    const entry = this.#pending.get(id);
    if (entry === undefined) return undefined;
    this.#pending.delete(id);
    if (entry.progressToken !== undefined) this.#progressTokens.delete(entry.progressToken);
    const { call } = entry;
    // V8 keeps what was in a table that a Map has outgrown until a full collection: 3 KB per call, with its socket.
    entry.call = undefined;
    return call;
  }

  #cancel(id: RequestId): void {
    const call = this.#settle(id);
    if (call === undefined) return;
    makeRoom(this.#cancelled, maxUnansweredCancelled);
    this.#cancelled.add(id);
    call.end();
  }

  /** @param surviving ids of requests that will be sent again. */
  #failAll(failure: CallFailure, surviving: ReadonlySet<RequestId> = new Set()): void {
    for (const id of this.#pending.keys()) if (!surviving.has(id)) this.#settle(id)?.fail(failure);
    this.#serverRequests.clear();
  }

  /** The restarted server knows neither its earlier requests nor what was cancelled. */
  #lose(end: UpstreamEnd): void {
    const open = [...this.#serverRequests];
    const untaken = (end.untaken ?? []).filter((message) => message.kind === 'request');
    this.#failAll(failureOf(end), new Set(untaken.map(({ id }) => this.#aliases.idOf(id))));
    this.#cancelled.clear();
    for (const [requestId, { sink }] of open) {
      const withdrawal = newNotification('notifications/cancelled', { requestId, reason: end.reason });
      this.#deliver(sink.isOpen() ? sink : this.#standalone, withdrawal);
    }
  }
}

/** Its client is there, and takes more than the response. */
function takesMessages(call: PendingRequest): boolean {
  return call.isResponseOnly !== true && call.isOpen();
}

function isResponseOnly(call: PendingRequest): boolean {
  return call.isResponseOnly === true && call.isOpen();
}

/** Its client has gone, and what it is sent is kept for it. */
function isAway(call: PendingRequest): boolean {
  return call.absence?.() !== undefined;
}

function invalid(reason: string): Refusal {
  return { code: rpcCode.invalidRequest, reason };
}
