import type { Caller } from '../auth/caller.ts';
import type { Exchanges } from '../bridge/exchange/exchanges.ts';
import { paramHeaderPrefix } from '../mcp/headers.ts';
import type { RpcNotification, RpcRequest } from '../mcp/json-rpc.ts';
import { listenMethod } from '../mcp/modern-methods.ts';
import { eventStreamType } from '../mcp/sse.ts';
import {
  interruptionsOf,
  isClaimed,
  isModernAffordable,
  stepUpOf,
  unauthorized,
  usedAlready,
  usedUp,
} from './credential-limits.ts';
import { exchangeStatusOf } from './exchange-status.ts';
import type { Post } from './mcp-parts.ts';
import type { HttpRequest } from './message.ts';
import { answerEmpty, refuse, refuseAccept, type Refused } from './responses/json-response.ts';
import { PostResponse } from './responses/post-response.ts';

/**
 * Serves a message of a modern client that has been checked (MCP 2026-07-28, Streamable HTTP). It belongs to no session: headers of
 * sessions and of resumption mean nothing, and the client cancels a request by closing the response.
 */
export function serveExchange(post: Post, exchanges: Exchanges, message: RpcRequest | RpcNotification): void {
  const { parts, request, response, caller } = post;
  const refused = refusalOf(caller, message);
  if (refused !== undefined) {
    if (message.kind === 'request') parts.active.report(message, caller)?.refused(refused);
    refuse(request, response, { ...refused, id: message.kind === 'request' ? message.id : null });
    return;
  }
  if (message.method === listenMethod && post.form === 'json') {
    refuseAccept(request, response, eventStreamType);
    return;
  }
  const policy = parts.policyOf?.(caller);
  if (message.kind === 'request') {
    exchanges.request(caller, message, beginCall(post, exchanges, message), policy);
  } else {
    exchanges.notify(caller, message, policy);
    answerEmpty(response, 202);
  }
}

/** Why the credential does not allow a message; undefined if it does. */
function refusalOf(caller: Caller, message: RpcRequest | RpcNotification): Refused | undefined {
  if (!isClaimed(caller, message)) return usedAlready;
  return isModernAffordable(caller, message) ? undefined : { ...unauthorized, ...usedUp };
}

function beginCall(
  { parts: { active }, request, response, caller, form }: Post,
  exchanges: Exchanges,
  message: RpcRequest,
): PostResponse {
  const stepUp = stepUpOf(caller);
  const statusOf = exchangeStatusOf(message.method, exchanges);
  const call = new PostResponse({
    response,
    id: message.id,
    form,
    refusalOf: (error) => stepUp?.(error) ?? statusOf(error),
    onResponse: interruptionsOf(caller, message),
    paramHeaders: message.method === 'tools/call' ? paramHeadersIn(request) : undefined,
    isSubscription: message.method === listenMethod,
    onDone: active.end,
  });
  active.begin(call, message, caller);
  return call;
}

function paramHeadersIn({ headers }: HttpRequest): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const name of Object.keys(headers)) {
    const value = name.startsWith(paramHeaderPrefix) ? headers[name] : undefined;
    if (typeof value === 'string') found.set(name, value);
  }
  return found;
}
