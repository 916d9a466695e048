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
import { maxOpenServerRequests, maxUnansweredCancelled } from '../bounds.ts';
import type { PendingRequest, CallFailure, MessageSink, UpstreamMessage } from './pending-request.ts';
import { failureOf, maxCalls, notTaken, sessionEnded, tooManyCalls } from './call-failures.ts';
import { createIdAliases } from './id-aliases.ts';
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
  /** Where messages go that belong to no call. */
  readonly standalone: MessageSink;
  readonly onClose: (end: UpstreamEnd) => void;
}

export interface Channel {
  /**
   * Whether a client waits for a response. A call whose client has gone may go on, but nobody waits for it, unless it is
   * expected back at any moment.
   */
  isBusy(): boolean;
  /** Whether a call goes on whose client has gone, and may come back for what it has missed. */
  isAwaited(): boolean;
  /** Number of messages so far, both ways: as long as it grows, the connection is in use. */
  traffic(): number;
  /** As `Upstream.isWritable` and `Upstream.whenWritable`. */
  isWritable(): boolean;
  whenWritable(callback: () => void): void;
  /** Starts the upstream. */
  start(): void;
  /** Sends a request; `call` gets everything that belongs to it, and its end. */
  request(request: RpcRequest, call: PendingRequest): Refusal | undefined;
  /** Sends a notification, or the answer to an ask. */
  forward(message: RpcNotification | RpcResponse): Refusal | undefined;
  /** The general stream has opened: asks whose client has gone go there. */
  recover(): void;
  /** One of the streams that make the general stream has closed. */
  lostListener(): void;
  /** An ask has not reached the client, and never will: the server is told. */
  giveUp(serverRequest: RpcRequest): void;
  /** Ends the upstream; calls that are still in flight fail: the session was ended, unless another failure is given. */
  close(failure?: CallFailure): Promise<void>;
}

/** A request of the server that the client has not answered, and the way that it went. */
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
export function createChannel({ upstream, standalone, onClose }: ChannelOptions): Channel {
  const pending = new Map<RequestId, PendingCall>();
  const progressTokens = new Map<RequestId, PendingCall>();
  const serverRequests = new Map<RequestId, ServerRequest>();
  /** A server may answer a cancelled call all the same; until then its id cannot stand for another one. */
  const cancelled = new Set<RequestId>();
  const names = createIdAliases();
  /** The last call that began. */
  let latest: PendingCall | undefined;
  let blocked = 0;
  let traffic = 0;

  function send(message: RpcMessage): boolean {
    return upstream.send(names.toServer(message));
  }

  function receive(sent: RpcMessage, request?: RequestId): void {
    traffic++;
    const origin = request === undefined ? undefined : names.idOf(request);
    const message = names.toClient(sent);
    switch (message.kind) {
      case 'response':
        receiveResponse(message);
        return;
      case 'request':
        if (message.method === 'ping' && !canTakeServerRequests()) {
          send(newResult(message.id, {}));
          return;
        }
        refuse(makeRoom(serverRequests, maxOpenServerRequests));
        receiveServerRequest(message, callFor(origin));
        return;
      case 'notification':
        receiveNotification(message, origin);
    }
  }

  /** Whether a client is there. Where none is, a server that wants to know whether it is alone hears us. */
  function canTakeServerRequests(): boolean {
    return standalone.isOpen() || newestCall(takesMessages) !== undefined;
  }

  /** A client that takes nothing but responses is not expected to begin to listen: its server need not wait for that. */
  function receiveServerRequest(message: RpcRequest, call: PendingRequest | undefined): void {
    if (call === undefined && !standalone.isOpen() && newestCall(isResponseOnly) !== undefined) {
      send(rejectServerRequest(message.id, 'client_not_listening'));
    } else {
      serverRequest(message, call);
    }
  }

  function refuse(givenUp: RequestId | undefined): void {
    if (givenUp !== undefined) send(rejectServerRequest(givenUp, 'too_many_asks'));
  }

  /** Puts an ask to the client; when it goes without having answered, it may come back on another way. */
  function serverRequest(message: RpcRequest, call: PendingRequest | undefined): void {
    const sink = call ?? standalone;
    serverRequests.set(message.id, { message, sink, call });
    call?.whenGone(() => {
      if (serverRequests.get(message.id)?.sink === call) rerouteServerRequest(message, call);
    });
    deliver(sink, message);
  }

  /** Returns false for an ask that is no longer open: its id may be that of a later one. */
  function forget({ message }: Pick<ServerRequest, 'message'>): boolean {
    return serverRequests.get(message.id)?.message === message && serverRequests.delete(message.id);
  }

  /** Another way takes the place of the first: where both brought the ask, a user would be asked twice. */
  function rerouteServerRequest(message: RpcRequest, gone: PendingRequest): void {
    if (message.method === 'ping') {
      pingAgain(message);
      return;
    }
    const other = newestCall(takesMessages);
    if (other === undefined && !standalone.isOpen() && isAway(gone)) return;
    if (gone.recall?.(message) !== false) serverRequest(message, other);
  }

  /** It asks whether somebody is there, so its answer cannot wait until somebody is. */
  function pingAgain(message: RpcRequest): void {
    if (canTakeServerRequests()) serverRequest(message, newestCall(takesMessages));
    else giveUp(message);
  }

  function giveUp(given: RpcRequest): void {
    if (!forget({ message: given })) return;
    send(given.method === 'ping' ? newResult(given.id, {}) : rejectServerRequest(given.id, 'client_not_listening'));
  }

  function recover(): void {
    for (const { message, call } of serverRequests.values()) {
      if (call?.absence?.() === 'long') rerouteServerRequest(message, call);
    }
  }

  /** A response that nobody waits for comes late, after its call was cancelled: it is dropped. */
  function receiveResponse(response: RpcResponse): void {
    if (cancelled.delete(response.id)) return;
    const call = settle(response.id);
    if (call !== undefined && !call.finish(response)) waitFor(call);
  }

  function receiveNotification(message: RpcNotification, origin: RequestId | undefined): void {
    if (message.method === 'notifications/progress') {
      const token = progressTokenOf(message);
      const call = token === undefined ? undefined : progressTokens.get(token)?.call;
      if (call !== undefined && (takesMessages(call) || isAway(call))) deliver(call, message);
    } else if (message.method === 'notifications/cancelled') {
      const id = cancelledBy(message);
      const { sink = standalone, call } = (id === undefined ? undefined : serverRequests.get(id)) ?? {};
      if (id !== undefined) serverRequests.delete(id);
      deliver(sink.isOpen() || (call !== undefined && isAway(call)) ? sink : standalone, message);
    } else if (standalone.isOpen() && connectionWide.test(message.method)) {
      deliver(standalone, message);
    } else {
      deliver(callFor(origin) ?? standalone, message);
    }
  }

  /** Where a message goes that names no call; undefined for the general stream. */
  function callFor(origin: RequestId | undefined): PendingRequest | undefined {
    const here = openCall(origin) ?? newestCall(takesMessages);
    return here !== undefined || standalone.isOpen() ? here : newestCall(isAway);
  }

  function openCall(id: RequestId | undefined): PendingRequest | undefined {
    const call = id === undefined ? undefined : pending.get(id)?.call;
    return call !== undefined && takesMessages(call) ? call : undefined;
  }

  /**
   * Costs a walk over the calls in flight where the latest does not fit; only logs and asks need it, progress and
   * responses name their call.
   */
  function newestCall(fits: (call: PendingRequest) => boolean): PendingRequest | undefined {
    if (latest?.call !== undefined && fits(latest.call)) return latest.call;
    let newest: PendingRequest | undefined;
    for (const { call } of pending.values()) if (call !== undefined && fits(call)) newest = call;
    return newest;
  }

  function deliver(sink: MessageSink, message: UpstreamMessage): void {
    if (!sink.send(message)) waitFor(sink);
  }

  /** Back-pressure: while a client does not take what it was sent, nothing more is read from its upstream. */
  function waitFor(sink: MessageSink): void {
    if (++blocked === 1) upstream.pause();
    sink.whenWritable(() => {
      if (--blocked === 0) upstream.resume();
    });
  }

  /** Takes a call out of the books. */
  function settle(id: RequestId): PendingRequest | undefined {
    const entry = pending.get(id);
    if (entry === undefined) return undefined;
    pending.delete(id);
    if (entry.progressToken !== undefined) progressTokens.delete(entry.progressToken);
    const { call } = entry;
    // V8 keeps what was in a table that a Map has outgrown until a full collection: 3 KB per call, with its socket.
    entry.call = undefined;
    return call;
  }

  function cancel(id: RequestId): void {
    const call = settle(id);
    if (call === undefined) return;
    makeRoom(cancelled, maxUnansweredCancelled);
    cancelled.add(id);
    call.end();
  }

  /** @param surviving ids of requests that will be sent again. */
  function failAll(failure: CallFailure, surviving: ReadonlySet<RequestId> = new Set()): void {
    for (const id of pending.keys()) if (!surviving.has(id)) settle(id)?.fail(failure);
    serverRequests.clear();
  }

  /** The server that comes back knows nothing of what it asked, nor of what was cancelled. */
  function lose(end: UpstreamEnd): void {
    const open = [...serverRequests];
    const untaken = (end.untaken ?? []).filter((message) => message.kind === 'request');
    failAll(failureOf(end), new Set(untaken.map(({ id }) => names.idOf(id))));
    cancelled.clear();
    for (const [requestId, { sink }] of open) {
      const withdrawal = newNotification('notifications/cancelled', { requestId, reason: end.reason });
      deliver(sink.isOpen() ? sink : standalone, withdrawal);
    }
  }

  return {
    isBusy: () => newestCall((call) => call.isOpen() || call.absence?.() === 'short') !== undefined,
    isAwaited: () => newestCall(isAway) !== undefined,
    traffic: () => traffic,
    isWritable: upstream.isWritable,
    whenWritable: upstream.whenWritable,
    start: () =>
      upstream.start({
        onMessage: receive,
        onLost: lose,
        onClose(end) {
          failAll(failureOf(end));
          onClose(end);
        },
      }),
    request(request, call) {
      traffic++;
      const { id } = request;
      if (pending.has(id)) return invalid(`the id ${jsonOfId(id)} is in use by a request that is still in flight`);
      if (cancelled.has(id)) {
        return invalid(`the id ${jsonOfId(id)} is that of a cancelled request whose answer may still come`);
      }
      const progressToken = requestTokenOf(request);
      if (progressToken !== undefined && progressTokens.has(progressToken)) {
        return invalid('the progress token is in use by a request that is still in flight');
      }
      if (pending.size >= maxCalls) {
        call.fail(tooManyCalls);
        return undefined;
      }
      const entry = { call, progressToken };
      latest = entry;
      pending.set(id, entry);
      if (progressToken !== undefined) progressTokens.set(progressToken, entry);
      if (!send(request)) settle(id)?.fail(notTaken);
      return undefined;
    },
    forward(message) {
      traffic++;
      // An answer to an ask that the server has withdrawn, or never made, would only confuse it.
      const asked = message.kind === 'response' ? serverRequests.get(message.id) : undefined;
      if (message.kind === 'response' && asked === undefined) return undefined;
      // One that is not taken may be given again.
      if (!send(message)) return { code: notTaken.code, reason: notTaken.message };
      if (asked !== undefined) forget(asked);
      const cancelledId = cancelledBy(message);
      if (cancelledId !== undefined) cancel(cancelledId);
      return undefined;
    },
    recover,
    lostListener() {
      for (const { message, sink } of serverRequests.values()) {
        if (sink === standalone && message.method === 'ping') pingAgain(message);
      }
    },
    giveUp,
    close(failure = sessionEnded) {
      failAll(failure);
      return upstream.close();
    },
  };
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

/** Forgets the oldest of a collection that is full, and returns its id. */
function makeRoom(full: Map<RequestId, unknown> | Set<RequestId>, max: number): RequestId | undefined {
  if (full.size < max) return undefined;
  for (const oldest of full.keys()) {
    full.delete(oldest);
    return oldest;
  }
  return undefined;
}

function invalid(reason: string): Refusal {
  return { code: rpcCode.invalidRequest, reason };
}
