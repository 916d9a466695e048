import { jsonOfId } from '../../mcp/exact-number.ts';
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
import { refuseAsk } from '../refuse-ask.ts';
import type { SharedRoad } from './books.ts';
import type { Member } from './member.ts';
import { placesIn, rewriteCancellation, rewriteRequest, writtenAt, type Places } from './messages.ts';
import { maxSubscriptions } from './subscriptions.ts';

export interface SharedOutbound {
  /** A member says something. Returns false when the server does not take it. */
  send(member: Member, message: RpcMessage): boolean;
  /** A member has gone: what the server does or keeps for it alone is ended. */
  release(member: Member): void;
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
 * The way from the members to the server: ids and progress tokens become ones that are unique among all members, and
 * what concerns the whole connection is sent for all of them together.
 */
export function createSharedOutbound({ books, send }: SharedRoad): SharedOutbound {
  const { ids, asks, belongings, handshake, levels, subscriptions } = books;

  function call(member: Member | undefined, request: RpcRequest, places: Places, options: CallOptions = {}): boolean {
    const { level, onOutcome } = options;
    const id = ids.next();
    const tokenPlace = places.get('progressToken');
    const value = requestTokenOf(request);
    const token =
      value !== undefined && tokenPlace !== undefined ? { value, written: writtenAt(request, tokenPlace) } : undefined;
    ids.open({
      id,
      owner: member,
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

  /** A request of our own, of whose answer no member hears. */
  function callForAll(method: string, params: RpcParams, onOutcome?: (failed: boolean) => void): void {
    const id = ids.next();
    ids.open({ id, owner: undefined, method, clientId: id, writtenId: String(id), onOutcome });
    if (!send(newRequest(id, method, params))) ids.settle(id, true);
  }

  function initialize(member: Member, request: RpcRequest, places: Places): boolean {
    member.capabilities = memberOf(request.json['params'], 'capabilities');
    const outcome = handshake.open({ owner: member, request, writtenId: writtenId(request, places) });
    if (outcome === 'first') {
      if (call(undefined, request, places)) return true;
      handshake.settle(notTaken(request.id));
      return false;
    }
    if (outcome !== undefined) {
      queueMicrotask(() => {
        member.ready = true;
        member.deliver(outcome);
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

  function setLevel(member: Member, request: RpcRequest, places: Places): boolean {
    const change = levels.ask(member, memberOf(request.json['params'], 'level'));
    if (change === 'unknown') return call(member, request, places);
    if (change !== undefined) return call(member, request, places, { level: change.level, onOutcome: change.settle });
    answer(member, newResult(request.id, {}));
    return true;
  }

  function subscribe(member: Member, request: RpcRequest, places: Places): boolean {
    const uri = memberOf(request.json['params'], 'uri');
    if (typeof uri !== 'string') return call(member, request, places);
    const subscribing = subscriptions.subscribe(member, uri);
    if (subscribing === 'full') {
      const message = `this client has ${maxSubscriptions} subscriptions, the most that it may have`;
      answer(member, newError({ id: request.id, code: rpcCode.internalError, message }));
    } else if (subscribing === undefined) {
      answer(member, newResult(request.id, {}));
    } else {
      return call(member, request, places, { onOutcome: subscribing.settle });
    }
    return true;
  }

  function unsubscribe(member: Member, request: RpcRequest, places: Places): boolean {
    const uri = memberOf(request.json['params'], 'uri');
    if (typeof uri !== 'string' || subscriptions.unsubscribe(member, uri)) return call(member, request, places);
    answer(member, newResult(request.id, {}));
    return true;
  }

  function sendRequest(member: Member, request: RpcRequest): boolean {
    const places = placesIn(request);
    if (typeof places === 'string') {
      answer(member, newError({ id: request.id, code: rpcCode.invalidRequest, message: places }));
      return true;
    }
    switch (request.method) {
      case 'initialize':
        return initialize(member, request, places);
      case 'logging/setLevel':
        return setLevel(member, request, places);
      case 'resources/subscribe':
        return subscribe(member, request, places);
      case 'resources/unsubscribe':
        return unsubscribe(member, request, places);
      default:
        return call(member, request, places);
    }
  }

  /** One that is not for the server counts as sent. */
  function sendNotification(member: Member, message: RpcNotification): boolean {
    const places = placesIn(message);
    if (typeof places === 'string') return true;
    const begins = message.method === 'notifications/initialized';
    if (begins && !handshake.wantsInitialized()) return true;
    if (message.method === 'notifications/progress' && !asks.isWatched(progressTokenOf(message), member)) return true;
    if (message.method !== 'notifications/cancelled') {
      ids.touch(member);
      const taken = send(message);
      if (taken && begins) handshake.initialized();
      return taken;
    }
    const id = cancelledBy(message);
    const cancelled = id === undefined ? undefined : ids.cancel(member, id);
    return cancelled === undefined || send(rewriteCancellation(message, places, cancelled.id));
  }

  /** The answer to an ask that was put to another member, or to nobody, goes nowhere. */
  function sendAnswer(member: Member, response: RpcResponse): boolean {
    const places = placesIn(response);
    const forwarded = asks.answer(response, member);
    if (forwarded === undefined) return true;
    ids.touch(member);
    const taken = send(typeof places === 'string' ? unreadable(response.id, places) : forwarded);
    // One that is not taken may be given again.
    if (taken) asks.settle(response);
    return taken;
  }

  return {
    send(member, message) {
      if (message.kind === 'request') return sendRequest(member, message);
      if (message.kind === 'notification') return sendNotification(member, message);
      return sendAnswer(member, message);
    },
    openNext,
    release(member) {
      for (const { id } of ids.release(member)) {
        send(newNotification('notifications/cancelled', { requestId: id, reason: 'the client has gone' }));
      }
      for (const uri of subscriptions.release(member)) callForAll('resources/unsubscribe', { uri });
      const change = levels.release(member);
      if (change !== undefined) callForAll('logging/setLevel', { level: change.level }, change.settle);
      for (const id of asks.release(member)) send(refuseAsk(id, 'client_gone'));
      belongings.release(member);
      handshake.release(member);
    },
  };
}

/** Later, as a server's answer would come: who asks may not be ready for it before `send` returns. */
function answer(member: Member, response: RpcResponse): void {
  queueMicrotask(() => member.deliver(response));
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
