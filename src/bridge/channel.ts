import { jsonOfId } from '../mcp/exact-number.ts';
import {
  progressTokenOf,
  requestTokenOf,
  rpcCode,
  type RequestId,
  type RpcMessage,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
} from '../mcp/json-rpc.ts';
import { cancelledBy } from '../mcp/lifecycle.ts';
import { newNotification, newResult } from '../mcp/new-message.ts';
import { maxOpenAsks, maxUnansweredCancelled } from './bounds.ts';
import type { Call, CallFailure, Outlet, UpstreamMessage } from './call.ts';
import { failureOf, maxCalls, notTaken, sessionEnded, tooManyCalls } from './call-failures.ts';
import { createOwnNames } from './own-names.ts';
import { refuseAsk } from './refuse-ask.ts';
import type { Upstream, UpstreamEnd } from './upstream/upstream.ts';

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
  readonly general: Outlet;
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
  request(request: RpcRequest, call: Call): Refusal | undefined;
  /** Sends a notification, or the answer to an ask. */
  forward(message: RpcNotification | RpcResponse): Refusal | undefined;
  /** The general stream has opened: asks whose client has gone go there. */
  recover(): void;
  /** One of the streams that make the general stream has closed. */
  lostListener(): void;
  /** An ask has not reached the client, and never will: the server is told. */
  giveUp(ask: RpcRequest): void;
  /** Ends the upstream; calls that are still in flight fail: the session was ended, unless another failure is given. */
  close(failure?: CallFailure): Promise<void>;
}

/** A request of the server that the client has not answered, and the way that it went. */
interface Ask {
  readonly message: RpcRequest;
  readonly outlet: Outlet;
  /** The same, where it is a call. */
  readonly call: Call | undefined;
}

interface PendingCall {
  call: Call | undefined;
  readonly progressToken: RequestId | undefined;
}

/**
 * Carries the messages of one client over one upstream connection, untouched: which response belongs to which request,
 * progress to its call by the token, cancellation, and for what carries no such mark the most plausible call.
 */
export function createChannel({ upstream, general, onClose }: ChannelOptions): Channel {
  const pending = new Map<RequestId, PendingCall>();
  const progressTokens = new Map<RequestId, PendingCall>();
  const asks = new Map<RequestId, Ask>();
  /** A server may answer a cancelled call all the same; until then its id cannot stand for another one. */
  const cancelled = new Set<RequestId>();
  const names = createOwnNames();
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
        if (message.method === 'ping' && !canAsk()) {
          send(newResult(message.id, {}));
          return;
        }
        refuse(makeRoom(asks, maxOpenAsks));
        receiveAsk(message, callFor(origin));
        return;
      case 'notification':
        receiveNotification(message, origin);
    }
  }

  /** Whether a client is there. Where none is, a server that wants to know whether it is alone hears us. */
  function canAsk(): boolean {
    return general.isOpen() || newestCall(takesMessages) !== undefined;
  }

  /** A client that takes nothing but responses is not expected to begin to listen: its server need not wait for that. */
  function receiveAsk(message: RpcRequest, call: Call | undefined): void {
    if (call === undefined && !general.isOpen() && newestCall(isResponseOnly) !== undefined) {
      send(refuseAsk(message.id, 'client_not_listening'));
    } else {
      ask(message, call);
    }
  }

  function refuse(givenUp: RequestId | undefined): void {
    if (givenUp !== undefined) send(refuseAsk(givenUp, 'too_many_asks'));
  }

  /** Puts an ask to the client; when it goes without having answered, it may come back on another way. */
  function ask(message: RpcRequest, call: Call | undefined): void {
    const outlet = call ?? general;
    asks.set(message.id, { message, outlet, call });
    call?.whenGone(() => {
      if (asks.get(message.id)?.outlet === call) askAgain(message, call);
    });
    deliver(outlet, message);
  }

  /** Returns false for an ask that is no longer open: its id may be that of a later one. */
  function forget({ message }: Pick<Ask, 'message'>): boolean {
    return asks.get(message.id)?.message === message && asks.delete(message.id);
  }

  /** Another way takes the place of the first: where both brought the ask, a user would be asked twice. */
  function askAgain(message: RpcRequest, gone: Call): void {
    if (message.method === 'ping') {
      pingAgain(message);
      return;
    }
    const other = newestCall(takesMessages);
    if (other === undefined && !general.isOpen() && isAway(gone)) return;
    if (gone.recall?.(message) !== false) ask(message, other);
  }

  /** It asks whether somebody is there, so its answer cannot wait until somebody is. */
  function pingAgain(message: RpcRequest): void {
    if (canAsk()) ask(message, newestCall(takesMessages));
    else giveUp(message);
  }

  function giveUp(given: RpcRequest): void {
    if (!forget({ message: given })) return;
    send(given.method === 'ping' ? newResult(given.id, {}) : refuseAsk(given.id, 'client_not_listening'));
  }

  function recover(): void {
    for (const { message, call } of asks.values()) {
      if (call?.absence?.() === 'long') askAgain(message, call);
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
      const { outlet = general, call } = (id === undefined ? undefined : asks.get(id)) ?? {};
      if (id !== undefined) asks.delete(id);
      deliver(outlet.isOpen() || (call !== undefined && isAway(call)) ? outlet : general, message);
    } else if (general.isOpen() && connectionWide.test(message.method)) {
      deliver(general, message);
    } else {
      deliver(callFor(origin) ?? general, message);
    }
  }

  /** Where a message goes that names no call; undefined for the general stream. */
  function callFor(origin: RequestId | undefined): Call | undefined {
    const here = openCall(origin) ?? newestCall(takesMessages);
    return here !== undefined || general.isOpen() ? here : newestCall(isAway);
  }

  function openCall(id: RequestId | undefined): Call | undefined {
    const call = id === undefined ? undefined : pending.get(id)?.call;
    return call !== undefined && takesMessages(call) ? call : undefined;
  }

  /**
   * Costs a walk over the calls in flight where the latest does not fit; only logs and asks need it, progress and
   * responses name their call.
   */
  function newestCall(fits: (call: Call) => boolean): Call | undefined {
    if (latest?.call !== undefined && fits(latest.call)) return latest.call;
    let newest: Call | undefined;
    for (const { call } of pending.values()) if (call !== undefined && fits(call)) newest = call;
    return newest;
  }

  function deliver(outlet: Outlet, message: UpstreamMessage): void {
    if (!outlet.send(message)) waitFor(outlet);
  }

  /** Back-pressure: while a client does not take what it was sent, nothing more is read from its upstream. */
  function waitFor(outlet: Outlet): void {
    if (++blocked === 1) upstream.pause();
    outlet.whenWritable(() => {
      if (--blocked === 0) upstream.resume();
    });
  }

  /** Takes a call out of the books. */
  function settle(id: RequestId): Call | undefined {
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
    asks.clear();
  }

  /** The server that comes back knows nothing of what it asked, nor of what was cancelled. */
  function lose(end: UpstreamEnd): void {
    const open = [...asks];
    const untaken = (end.untaken ?? []).filter((message) => message.kind === 'request');
    failAll(failureOf(end), new Set(untaken.map(({ id }) => names.idOf(id))));
    cancelled.clear();
    for (const [requestId, { outlet }] of open) {
      const withdrawal = newNotification('notifications/cancelled', { requestId, reason: end.reason });
      deliver(outlet.isOpen() ? outlet : general, withdrawal);
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
      const asked = message.kind === 'response' ? asks.get(message.id) : undefined;
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
      for (const { message, outlet } of asks.values()) {
        if (outlet === general && message.method === 'ping') pingAgain(message);
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
function takesMessages(call: Call): boolean {
  return call.isResponseOnly !== true && call.isOpen();
}

function isResponseOnly(call: Call): boolean {
  return call.isResponseOnly === true && call.isOpen();
}

/** Its client has gone, and what it is sent is kept for it. */
function isAway(call: Call): boolean {
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
