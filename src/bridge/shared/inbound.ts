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
import { rejectServerRequest } from '../reject-server-request.ts';
import { canBeAsked } from './server-requests.ts';
import type { SharedContext } from './shared-state.ts';
import type { ClientSession } from './client-session.ts';
import { rewriteProgress, rewriteResponse } from './messages.ts';

/** Characters of an id that are shown. */
const shownIdLength = 40;

/** Notifications that concern everybody, whatever the server was doing when it sent them. */
const forEverybody = /list_changed$/;

/** Whom a message concerns: a session, and the call of it that it came with where that is known. */
interface Addressee {
  readonly session: ClientSession;
  readonly callId?: RequestId;
}

/**
 * The way from the server to the sessions. What belongs to a call goes to the session that made it; a server request goes to the
 * only session that it can be for, or to nobody; the rest goes to all.
 */
export class SharedInbound {
  readonly #context: SharedContext;
  readonly #onRefused: () => void;

  /** @param onRefused called when the server has not agreed with a session: another one may have more luck. */
  constructor(context: SharedContext, onRefused: () => void) {
    this.#context = context;
    this.#onRefused = onRefused;
  }

  /** @param origin as in `UpstreamEvents`. */
  receive(message: RpcMessage, origin?: RequestId): void {
    if (message.kind === 'response') this.#receiveResponse(message);
    else if (message.kind === 'request') this.#receiveServerRequest(message, origin);
    else this.#receiveNotification(message, origin);
  }

  #receiveResponse(response: RpcResponse): void {
    const { state, warnOnce } = this.#context;
    const { ids, taskOwners, handshake } = state;
    const call = ids.settle(response.id, response.failed);
    if (call === undefined) {
      const id = JSON.stringify(response.id).slice(0, shownIdLength);
      warnOnce('response', `the server answered a request that it was not sent (id ${id}): dropped`);
    } else if (call.owner !== undefined) {
      taskOwners.remember(response, call.owner);
      call.owner.deliver(rewriteResponse(response, call.clientId, call.writtenId));
    } else if (call.method === 'initialize') {
      for (const { owner, response: outcome } of handshake.settle(response)) {
        owner.ready = handshake.isAgreed();
        owner.deliver(outcome);
      }
      if (!handshake.isAgreed()) this.#onRefused();
    }
  }

  #receiveServerRequest(serverRequest: RpcRequest, origin: RequestId | undefined): void {
    const { state, send } = this.#context;
    const { id, method } = serverRequest;
    if (method === 'ping') {
      send(newResult(id, {}));
      return;
    }
    const addressee = this.#addresseeOf(serverRequest, origin) ?? this.#onlySession();
    if (typeof addressee === 'string') {
      if (addressee === 'ambiguous_client') {
        const refused = `refused a request of the server (${method})`;
        this.#context.warnOnce('ask', `${refused}: it does not say which of several clients it is for`);
      }
      send(rejectServerRequest(id, addressee));
      return;
    }
    const { session, callId } = addressee;
    if (!canBeAsked(session.capabilities, method)) {
      send(newError({ id, code: rpcCode.methodNotFound, message: `the client does not support ${method}` }));
      return;
    }
    const givenUp = state.serverRequests.open(serverRequest, session);
    if (givenUp !== undefined) send(rejectServerRequest(givenUp, 'too_many_asks'));
    state.taskOwners.remember(serverRequest, session);
    session.deliver(serverRequest, callId);
  }

  #receiveNotification(message: RpcNotification, origin: RequestId | undefined): void {
    const { members, ids, serverRequests, subscriptions } = this.#context.state;
    const { method } = message;
    if (method === 'notifications/progress') {
      const call = ids.find(progressTokenOf(message));
      if (call?.owner === undefined || call.token === undefined) return;
      call.owner.deliver(rewriteProgress(message, call.token.value, call.token.written), call.clientId);
    } else if (method === 'notifications/cancelled') {
      serverRequests.close(cancelledBy(message))?.deliver(message);
    } else if (method === 'notifications/resources/updated') {
      const uri = memberOf(message.json['params'], 'uri');
      for (const session of typeof uri === 'string' ? subscriptions.concerned(uri) : []) session.deliver(message);
    } else {
      const addressee = forEverybody.test(method) ? undefined : this.#addresseeOf(message, origin);
      if (addressee === undefined) {
        for (const session of members) this.#inform(session, message);
      } else if (typeof addressee !== 'string') {
        this.#inform(addressee.session, message, addressee.callId);
      }
    }
  }

  #inform(session: ClientSession, message: RpcNotification, callId?: RequestId): void {
    if (!session.ready) return;
    const isLog = message.method === 'notifications/message';
    const { levels } = this.#context.state;
    if (!isLog || levels.passes(session, memberOf(message.json['params'], 'level'))) session.deliver(message, callId);
  }

  /** Undefined where nothing in the message, nor the way on which it came, tells. */
  #addresseeOf(
    message: RpcRequest | RpcNotification,
    origin: RequestId | undefined,
  ): Addressee | 'client_gone' | undefined {
    const { members, ids, taskOwners } = this.#context.state;
    const call = ids.trace(origin);
    // The handshake is everybody's.
    if (origin !== undefined && call?.method !== 'initialize') {
      return call?.owner !== undefined && members.has(call.owner)
        ? { session: call.owner, callId: call.clientId }
        : 'client_gone';
    }
    const { named, owner } = taskOwners.ownerOf(message);
    if (named) return owner === undefined ? 'client_gone' : { session: owner };
    return undefined;
  }

  /** The session that a server request without a mark must be for, because nobody else has given the server a reason to ask. */
  #onlySession(): Addressee | 'client_gone' | 'ambiguous_client' {
    const { members, ids } = this.#context.state;
    const active = ids.active();
    const candidates = active.size === 0 ? members : active;
    const [only] = candidates;
    if (only === undefined) return 'client_gone';
    if (candidates.size > 1) return 'ambiguous_client';
    return members.has(only) ? { session: only } : 'client_gone';
  }
}
