import { jsonOfId } from '../../mcp/request-id.ts';
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
import { rejectServerRequest } from '../reject-server-request.ts';
import type { SharedContext } from './shared-state.ts';
import type { ClientSession } from './client-session.ts';
import { placesIn, rewriteCancellation, rewriteRequest, writtenAt, type Places } from './messages.ts';
import { maxSubscriptions } from './subscriptions.ts';

export interface SharedOutbound {
  /** A session says something. Returns false when the server does not take it. */
  send(session: ClientSession, message: RpcMessage): boolean;
  /** A session has gone: what the server does or keeps for it alone is ended. */
  release(session: ClientSession): void;
  /** The server has refused an `initialize`: that of the next who waits is sent. */
  openNext(): void;
}

type RpcParams = Readonly<Record<string, unknown>>;

/** What else changes in a request, and who wants to know of its outcome. */
interface CallOptions {
  readonly level?: string;
  readonly onOutcome?: (failed: boolean) => void;
}

/**
 * The way from the sessions to the server: ids and progress tokens become ones that are unique among all sessions, and
 * what concerns the whole connection is sent for all of them together.
 */
export function createSharedOutbound({ state, send }: SharedContext): SharedOutbound {
  const { ids, serverRequests, taskOwners, handshake, levels, subscriptions } = state;

  function call(
    session: ClientSession | undefined,
    request: RpcRequest,
    places: Places,
    options: CallOptions = {},
  ): boolean {
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
    if (send(rewriteRequest(request, places, changes))) return true;
    ids.settle(id, true);
    return false;
  }

  /** A request of our own, of whose answer no session hears. */
  function callForAll(method: string, params: RpcParams, onOutcome?: (failed: boolean) => void): void {
    const id = ids.next();
    ids.open({ id, owner: undefined, method, clientId: id, writtenId: String(id), onOutcome });
    if (!send(newRequest(id, method, params))) ids.settle(id, true);
  }

  function initialize(session: ClientSession, request: RpcRequest, places: Places): boolean {
    session.capabilities = memberOf(request.json['params'], 'capabilities');
    const outcome = handshake.open({ owner: session, request, writtenId: writtenId(request, places) });
    if (outcome === 'first') {
      if (call(undefined, request, places)) return true;
      handshake.settle(notTaken(request.id));
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

  function openNext(): void {
    for (let next = handshake.next(); next !== undefined; next = handshake.next()) {
      const { request } = next;
      const places = placesIn(request);
      if (typeof places !== 'string' && call(undefined, request, places)) return;
      for (const { owner, response } of handshake.settle(notTaken(request.id))) answer(owner, response);
    }
  }

  function setLevel(session: ClientSession, request: RpcRequest, places: Places): boolean {
    const change = levels.ask(session, memberOf(request.json['params'], 'level'));
    if (change === 'unknown') return call(session, request, places);
    if (change !== undefined) return call(session, request, places, { level: change.level, onOutcome: change.settle });
    answer(session, newResult(request.id, {}));
    return true;
  }

  function subscribe(session: ClientSession, request: RpcRequest, places: Places): boolean {
    const uri = memberOf(request.json['params'], 'uri');
    if (typeof uri !== 'string') return call(session, request, places);
    const subscribing = subscriptions.subscribe(session, uri);
    if (subscribing === 'full') {
      const message = `this client has ${maxSubscriptions} subscriptions, the most that it may have`;
      answer(session, newError({ id: request.id, code: rpcCode.internalError, message }));
    } else if (subscribing === undefined) {
      answer(session, newResult(request.id, {}));
    } else {
      return call(session, request, places, { onOutcome: subscribing.settle });
    }
    return true;
  }

  function unsubscribe(session: ClientSession, request: RpcRequest, places: Places): boolean {
    const uri = memberOf(request.json['params'], 'uri');
    if (typeof uri !== 'string' || subscriptions.unsubscribe(session, uri)) return call(session, request, places);
    answer(session, newResult(request.id, {}));
    return true;
  }

  function sendRequest(session: ClientSession, request: RpcRequest): boolean {
    const places = placesIn(request);
    if (typeof places === 'string') {
      answer(session, newError({ id: request.id, code: rpcCode.invalidRequest, message: places }));
      return true;
    }
    switch (request.method) {
      case 'initialize':
        return initialize(session, request, places);
      case 'logging/setLevel':
        return setLevel(session, request, places);
      case 'resources/subscribe':
        return subscribe(session, request, places);
      case 'resources/unsubscribe':
        return unsubscribe(session, request, places);
      default:
        return call(session, request, places);
    }
  }

  /** One that is not for the server counts as sent. */
  function sendNotification(session: ClientSession, message: RpcNotification): boolean {
    const places = placesIn(message);
    if (typeof places === 'string') return true;
    const begins = message.method === 'notifications/initialized';
    if (begins && !handshake.wantsInitialized()) return true;
    if (message.method === 'notifications/progress' && !serverRequests.isWatched(progressTokenOf(message), session))
      return true;
    if (message.method !== 'notifications/cancelled') {
      ids.touch(session);
      const taken = send(message);
      if (taken && begins) handshake.initialized();
      return taken;
    }
    const id = cancelledBy(message);
    const cancelled = id === undefined ? undefined : ids.cancel(session, id);
    return cancelled === undefined || send(rewriteCancellation(message, places, cancelled.id));
  }

  /** The answer to a server request that was put to another session, or to nobody, goes nowhere. */
  function sendAnswer(session: ClientSession, response: RpcResponse): boolean {
    const places = placesIn(response);
    const forwarded = serverRequests.answer(response, session);
    if (forwarded === undefined) return true;
    ids.touch(session);
    const taken = send(typeof places === 'string' ? unreadable(response.id, places) : forwarded);
    // One that is not taken may be given again.
    if (taken) serverRequests.settle(response);
    return taken;
  }

  return {
    send(session, message) {
      if (message.kind === 'request') return sendRequest(session, message);
      if (message.kind === 'notification') return sendNotification(session, message);
      return sendAnswer(session, message);
    },
    openNext,
    release(session) {
      for (const { id } of ids.release(session)) {
        send(newNotification('notifications/cancelled', { requestId: id, reason: 'the client has gone' }));
      }
      for (const uri of subscriptions.release(session)) callForAll('resources/unsubscribe', { uri });
      const change = levels.release(session);
      if (change !== undefined) callForAll('logging/setLevel', { level: change.level }, change.settle);
      for (const id of serverRequests.release(session)) send(rejectServerRequest(id, 'client_gone'));
      taskOwners.release(session);
      handshake.release(session);
    },
  };
}

/** Later, as a server's answer would come: who asks may not be ready for it before `send` returns. */
function answer(session: ClientSession, response: RpcResponse): void {
  queueMicrotask(() => session.deliver(response));
}

function writtenId(request: RpcRequest, places: Places): string {
  const place = places.get('id');
  return place === undefined ? jsonOfId(request.id) : writtenAt(request, place);
}

function notTaken(id: RequestId): RpcResponse {
  const data = { reason: 'upstream_not_reading' };
  return newError({ id, code: rpcCode.internalError, message: 'the server does not read its input', data });
}

function unreadable(id: RequestId, reason: string): RpcResponse {
  return newError({ id, code: rpcCode.internalError, message: `the client's answer: ${reason}` });
}
