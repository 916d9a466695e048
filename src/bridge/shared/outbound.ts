import { jsonOfId, withCancelledId } from '../../mcp/request-id.ts';
import {
  memberOf,
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
import { newError, newNotification, newRequest, newResult } from '../../mcp/new-message.ts';
import { notTaken } from '../session/call-failures.ts';
import { rejectServerRequest } from '../reject-server-request.ts';
import type { SharedContext, SharedState } from './shared-state.ts';
import type { ClientSession } from './client-session.ts';
import { placesIn, rewriteRequest, writtenAt, type Places } from './messages.ts';
import { maxSubscriptions } from './subscriptions.ts';

/** What else changes in a request, and who wants to know of its outcome. */
interface CallOptions {
  readonly level?: string;
  readonly onOutcome?: (failed: boolean) => void;
}

/**
 * The way from the sessions to the server: ids and progress tokens become ones that are unique among all sessions, and
 * what concerns the whole connection is sent for all of them together.
 */
export class SharedOutbound {
  readonly #state: SharedState;
  readonly #send: SharedContext['send'];

  constructor({ state, send }: SharedContext) {
    this.#state = state;
    this.#send = send;
  }

  /** A session says something. Returns false when the server does not take it. */
  send(session: ClientSession, message: RpcMessage): boolean {
    if (message.kind === 'request') return this.#sendRequest(session, message);
    if (message.kind === 'notification') return this.#sendNotification(session, message);
    return this.#sendAnswer(session, message);
  }

  /** A session has gone: what the server does or keeps for it alone is ended. */
  release(session: ClientSession): void {
    const { ids, serverRequests, taskOwners, handshake, levels, subscriptions } = this.#state;
    for (const { id } of ids.release(session)) {
      this.#send(newNotification('notifications/cancelled', { requestId: id, reason: 'the client has gone' }));
    }
    for (const uri of subscriptions.release(session)) this.#callForAll('resources/unsubscribe', { uri });
    const change = levels.release(session);
    if (change !== undefined) this.#callForAll('logging/setLevel', { level: change.level }, change.settle);
    for (const id of serverRequests.release(session)) this.#send(rejectServerRequest(id, 'client_gone'));
    taskOwners.release(session);
    handshake.release(session);
  }

  /** The server has refused an `initialize`: that of the next who waits is sent. */
  openNext(): void {
    const { handshake } = this.#state;
    for (let next = handshake.next(); next !== undefined; next = handshake.next()) {
      const { request } = next;
      const places = placesIn(request);
      if (typeof places !== 'string' && this.#call(undefined, request, places)) return;
      for (const { owner, response } of handshake.settle(newError({ id: request.id, ...notTaken })))
        answer(owner, response);
    }
  }

  #sendRequest(session: ClientSession, request: RpcRequest): boolean {
    const places = placesIn(request);
    if (typeof places === 'string') {
      answer(session, newError({ id: request.id, code: rpcCode.invalidRequest, message: places }));
      return true;
    }
    switch (request.method) {
      case 'initialize':
        return this.#initialize(session, request, places);
      case 'logging/setLevel':
        return this.#setLevel(session, request, places);
      case 'resources/subscribe':
        return this.#subscribe(session, request, places);
      case 'resources/unsubscribe':
        return this.#unsubscribe(session, request, places);
      default:
        return this.#call(session, request, places);
    }
  }

  #initialize(session: ClientSession, request: RpcRequest, places: Places): boolean {
    const { handshake } = this.#state;
    session.capabilities = memberOf(request.json['params'], 'capabilities');
    const outcome = handshake.open({ owner: session, request, writtenId: writtenId(request, places) });
    if (outcome === 'first') {
      if (this.#call(undefined, request, places)) return true;
      handshake.settle(newError({ id: request.id, ...notTaken }));
      return false;
    }
    if (outcome !== undefined) {
      queueMicrotask(() => {
        session.ready = true;
        session.deliver(outcome);
      });
    }
    return true;
  }

  #setLevel(session: ClientSession, request: RpcRequest, places: Places): boolean {
    const change = this.#state.levels.ask(session, memberOf(request.json['params'], 'level'));
    if (change === 'unknown') return this.#call(session, request, places);
    if (change !== undefined) {
      return this.#call(session, request, places, { level: change.level, onOutcome: change.settle });
    }
    answer(session, newResult(request.id, {}));
    return true;
  }

  #subscribe(session: ClientSession, request: RpcRequest, places: Places): boolean {
    const uri = memberOf(request.json['params'], 'uri');
    if (typeof uri !== 'string') return this.#call(session, request, places);
    const subscribing = this.#state.subscriptions.subscribe(session, uri);
    if (subscribing === 'full') {
      const message = `this client has ${maxSubscriptions} subscriptions, the most that it may have`;
      answer(session, newError({ id: request.id, code: rpcCode.internalError, message }));
    } else if (subscribing === undefined) {
      answer(session, newResult(request.id, {}));
    } else {
      return this.#call(session, request, places, { onOutcome: subscribing.settle });
    }
    return true;
  }

  #unsubscribe(session: ClientSession, request: RpcRequest, places: Places): boolean {
    const uri = memberOf(request.json['params'], 'uri');
    if (typeof uri !== 'string' || this.#state.subscriptions.unsubscribe(session, uri)) {
      return this.#call(session, request, places);
    }
    answer(session, newResult(request.id, {}));
    return true;
  }

  #call(session: ClientSession | undefined, request: RpcRequest, places: Places, options: CallOptions = {}): boolean {
    const { ids } = this.#state;
    const { level, onOutcome } = options;
    const id = ids.next();
    const tokenPlace = places.get('progressToken');
    const value = requestTokenOf(request);
    const token =
      value !== undefined && tokenPlace !== undefined ? { value, written: writtenAt(request, tokenPlace) } : undefined;
    ids.open({
      id,
      owner: session,
      method: request.method,
      clientId: request.id,
      writtenId: writtenId(request, places),
      token,
      onOutcome,
    });
    const changes = {
      id,
      ...(token === undefined ? {} : { progressToken: id }),
      ...(level === undefined ? {} : { level }),
    };
    if (this.#send(rewriteRequest(request, places, changes))) return true;
    ids.settle(id, true);
    return false;
  }

  /** A request of our own, of whose answer no session hears. */
  #callForAll(method: string, params: Parameters<typeof newRequest>[2], onOutcome?: (failed: boolean) => void): void {
    const { ids } = this.#state;
    const id = ids.next();
    ids.open({ id, owner: undefined, method, clientId: id, writtenId: String(id), onOutcome });
    if (!this.#send(newRequest(id, method, params))) ids.settle(id, true);
  }

  /** One that is not for the server counts as sent. */
  #sendNotification(session: ClientSession, message: RpcNotification): boolean {
    const { ids, handshake, serverRequests } = this.#state;
    const places = placesIn(message);
    if (typeof places === 'string') return true;
    const begins = message.method === 'notifications/initialized';
    if (begins && !handshake.wantsInitialized()) return true;
    if (message.method === 'notifications/progress' && !serverRequests.isWatched(progressTokenOf(message), session))
      return true;
    if (message.method !== 'notifications/cancelled') {
      ids.touch(session);
      const taken = this.#send(message);
      if (taken && begins) handshake.initialized();
      return taken;
    }
    const id = cancelledBy(message);
    const cancelled = id === undefined ? undefined : ids.cancel(session, id);
    return cancelled === undefined || this.#send(withCancelledId(message, cancelled.id));
  }

  /** The answer to a server request that was put to another session, or to nobody, goes nowhere. */
  #sendAnswer(session: ClientSession, response: RpcResponse): boolean {
    const { ids, serverRequests } = this.#state;
    const places = placesIn(response);
    const forwarded = serverRequests.answer(response, session);
    if (forwarded === undefined) return true;
    ids.touch(session);
    const taken = this.#send(typeof places === 'string' ? unreadable(response.id, places) : forwarded);
    // One that is not taken may be given again.
    if (taken) serverRequests.settle(response);
    return taken;
  }
}

/** Later, as a server's answer would come: who asks may not be ready for it before `send` returns. */
function answer(session: ClientSession, response: RpcResponse): void {
  queueMicrotask(() => session.deliver(response));
}

function writtenId(request: RpcRequest, places: Places): string {
  const place = places.get('id');
  return place === undefined ? jsonOfId(request.id) : writtenAt(request, place);
}

function unreadable(id: RequestId, reason: string): RpcResponse {
  return newError({ id, code: rpcCode.internalError, message: `the client's answer: ${reason}` });
}
