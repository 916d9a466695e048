import {
  memberOf,
  progressTokenOf,
  rpcCode,
  type RequestId,
  type RpcMessage,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
} from '../../mcp/json-rpc.ts';
import { cancelledBy } from '../../mcp/lifecycle.ts';
import { newError, newResult } from '../../mcp/new-message.ts';
import { refuseAsk } from '../refuse-ask.ts';
import { canBeAsked } from './asks.ts';
import type { SharedRoad } from './books.ts';
import type { Member } from './member.ts';
import { rewriteProgress, rewriteResponse } from './messages.ts';

/** Notifications that concern everybody, whatever the server was doing when it sent them. */
const forEverybody = /list_changed$/;

/** Whom a message concerns: a member, and the call of it that it came with where that is known. */
interface Addressee {
  readonly member: Member;
  readonly callId?: RequestId;
}

/**
 * The way from the server to the members. What belongs to a call goes to the member that made it; an ask goes to the
 * only member that it can be for, or to nobody; the rest goes to all.
 * @param onRefused called when the server has not agreed with a member: another one may have more luck.
 */
export function createSharedInbound(
  { books, send, warnOnce }: SharedRoad,
  onRefused: () => void,
): (message: RpcMessage, origin?: RequestId) => void {
  const { members, ids, asks, belongings, handshake, levels, subscriptions } = books;

  function receiveResponse(response: RpcResponse): void {
    const call = ids.settle(response.id, response.failed);
    if (call === undefined) {
      warnOnce('response', `the server answered a request that it was not sent (id ${shown(response.id)}): dropped`);
    } else if (call.owner !== undefined) {
      belongings.remember(response, call.owner);
      call.owner.deliver(rewriteResponse(response, call.clientId, call.writtenId));
    } else if (call.method === 'initialize') {
      for (const { owner, response: outcome } of handshake.settle(response)) {
        owner.ready = handshake.isAgreed();
        owner.deliver(outcome);
      }
      if (!handshake.isAgreed()) onRefused();
    }
  }

  function receiveAsk(ask: RpcRequest, origin: RequestId | undefined): void {
    if (ask.method === 'ping') {
      send(newResult(ask.id, {}));
      return;
    }
    const addressee = addresseeOf(ask, origin) ?? onlyMemberFor();
    if (typeof addressee === 'string') {
      if (addressee === 'ambiguous_client') {
        warnOnce('ask', `the server asks (${ask.method}), but not whom of the clients that share it: refused`);
      }
      send(refuseAsk(ask.id, addressee));
      return;
    }
    const { member, callId } = addressee;
    if (!canBeAsked(member.capabilities, ask.method)) {
      const message = `the client does not support ${ask.method}`;
      send(newError({ id: ask.id, code: rpcCode.methodNotFound, message }));
      return;
    }
    const givenUp = asks.open(ask, member);
    if (givenUp !== undefined) send(refuseAsk(givenUp, 'too_many_asks'));
    belongings.remember(ask, member);
    member.deliver(ask, callId);
  }

  function receiveNotification(message: RpcNotification, origin: RequestId | undefined): void {
    const { method } = message;
    if (method === 'notifications/progress') {
      const call = ids.find(progressTokenOf(message));
      if (call?.owner === undefined || call.token === undefined) return;
      call.owner.deliver(rewriteProgress(message, call.token.value, call.token.written), call.clientId);
    } else if (method === 'notifications/cancelled') {
      asks.close(cancelledBy(message))?.deliver(message);
    } else if (method === 'notifications/resources/updated') {
      const uri = memberOf(message.json['params'], 'uri');
      for (const member of typeof uri === 'string' ? subscriptions.concerned(uri) : []) member.deliver(message);
    } else {
      const addressee = forEverybody.test(method) ? undefined : addresseeOf(message, origin);
      if (addressee === undefined) {
        for (const member of members) inform(member, message);
      } else if (typeof addressee !== 'string') {
        inform(addressee.member, message, addressee.callId);
      }
    }
  }

  function inform(member: Member, message: RpcNotification, callId?: RequestId): void {
    if (!member.ready) return;
    const isLog = message.method === 'notifications/message';
    if (!isLog || levels.passes(member, memberOf(message.json['params'], 'level'))) member.deliver(message, callId);
  }

  /** Undefined where nothing in the message, nor the way on which it came, tells. */
  function addresseeOf(
    message: RpcRequest | RpcNotification,
    origin: RequestId | undefined,
  ): Addressee | 'client_gone' | undefined {
    const call = ids.trace(origin);
    // The handshake is everybody's.
    if (origin !== undefined && call?.method !== 'initialize') {
      return call?.owner !== undefined && members.has(call.owner)
        ? { member: call.owner, callId: call.clientId }
        : 'client_gone';
    }
    const { named, owner } = belongings.ownerOf(message);
    if (named) return owner === undefined ? 'client_gone' : { member: owner };
    return undefined;
  }

  /** The member that an ask without a mark must be for, because nobody else has given the server a reason to ask. */
  function onlyMemberFor(): Addressee | 'client_gone' | 'ambiguous_client' {
    const active = ids.active();
    const candidates = active.size === 0 ? members : active;
    const [only] = candidates;
    if (only === undefined) return 'client_gone';
    if (candidates.size > 1) return 'ambiguous_client';
    return members.has(only) ? { member: only } : 'client_gone';
  }

  return (message, origin) => {
    switch (message.kind) {
      case 'response':
        receiveResponse(message);
        return;
      case 'request':
        receiveAsk(message, origin);
        return;
      case 'notification':
        receiveNotification(message, origin);
    }
  };
}

/** An id of the server's, short enough for a line. */
function shown(id: RequestId): string {
  return JSON.stringify(id).slice(0, 40);
}
