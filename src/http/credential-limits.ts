import { hash } from 'node:crypto';

import type { Caller } from '../auth/caller.ts';
import type { CallFailure } from '../bridge/session/pending-request.ts';
import type { Refused } from './responses/json-response.ts';
import type { PostResponseOptions } from './responses/post-response.ts';
import { memberOf, rpcCode, type RpcNotification, type RpcRequest } from '../mcp/json-rpc.ts';
import { clientCapabilitiesKey, clientInfoKey } from '../mcp/envelope-keys.ts';
import { claimedRevision } from '../mcp/request-envelope.ts';

/** Of an HTTP response to a credential that is known and allows no more (RFC 6750 §3.1). */
export const unauthorized: Pick<Refused, 'status' | 'headers'> = {
  status: 401,
  headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
};

/** The refusal of a client that is not the first one of a credential for one client. */
export const usedAlready: Refused = {
  ...unauthorized,
  message: 'token already used: it is for one client, and another one was first',
  data: { reason: 'token_already_used' },
};

/** The failure of a call beyond the number that a credential allows. */
export const usedUp: CallFailure = {
  code: rpcCode.badRequest,
  message: 'the bearer token allows no more calls',
  data: { reason: 'token_exhausted' },
};

/** Where a client says who it is, and what it can do: in `initialize`, or in the envelope of each request (MCP 2026-07-28). */
function introductionIn({
  method,
  json,
}: RpcRequest | RpcNotification): readonly [info: unknown, capabilities: unknown] {
  const params = json['params'];
  if (method === 'initialize') return [memberOf(params, 'clientInfo'), memberOf(params, 'capabilities')];
  const meta = memberOf(params, '_meta');
  return [memberOf(meta, clientInfoKey), memberOf(meta, clientCapabilitiesKey)];
}

/**
 * Whether a caller may open a session with this `initialize`, or send this modern message. A credential for one client knows it
 * by the `clientInfo` and capabilities that it sends, so that the same client can connect again.
 */
export function isClaimed({ claim }: Caller, message: RpcRequest | RpcNotification): boolean {
  if (claim === undefined) return true;
  // A notification need not say who sends it. Then it binds nothing, and proves nothing.
  if (message.kind === 'notification' && claimedRevision(message) === undefined) return false;
  const [info, capabilities] = introductionIn(message);
  const name = `${String(memberOf(info, 'name')).slice(0, 64)} ${String(memberOf(info, 'version')).slice(0, 32)}`;
  const digest = hash('sha256', JSON.stringify([info, capabilities]), 'base64url');
  return claim(`${name} ${digest}`);
}

/** Whether a caller may send this message; counts tool calls. */
export function isAffordable({ spendCall }: Caller, { method }: Pick<RpcRequest, 'method'>): boolean {
  return spendCall === undefined || method !== 'tools/call' || spendCall();
}

/** By caller with a number of calls: how many of them wait to be sent again with what the server has asked the client for. */
const interrupted = new WeakMap<NonNullable<Caller['spendCall']>, number>();

/**
 * As `isAffordable`, for a modern message: a call that is sent again with the input that it needed is the same call (MCP 2026-07-28,
 * Multi Round-Trip Requests). Each interruption pays for one message, so that no more calls than allowed can complete.
 */
export function isModernAffordable(caller: Caller, message: RpcRequest | RpcNotification): boolean {
  const { spendCall } = caller;
  const paid = spendCall === undefined ? 0 : (interrupted.get(spendCall) ?? 0);
  if (spendCall === undefined || paid === 0 || !isRetry(message)) return isAffordable(caller, message);
  interrupted.set(spendCall, paid - 1);
  return true;
}

/** What has to be told of the response to a modern request; undefined if nothing. */
export function interruptionsOf({ spendCall }: Caller, { method }: RpcRequest): PostResponseOptions['onResponse'] {
  if (spendCall === undefined || method !== 'tools/call') return undefined;
  return ({ json }) => {
    if (memberOf(json['result'], 'resultType') === 'input_required')
      interrupted.set(spendCall, (interrupted.get(spendCall) ?? 0) + 1);
  };
}

function isRetry({ method, json: { params } }: RpcRequest | RpcNotification): boolean {
  const hasInput = ['inputResponses', 'requestState'].some((member) => memberOf(params, member) !== undefined);
  return method === 'tools/call' && hasInput;
}

/**
 * How a caller whose scope is too small for a call is told so: with 403 and a challenge, upon which clients ask for more
 * (MCP 2025-11-25, Scope Challenge Handling). Undefined for callers who can do everything.
 */
export function stepUpOf({ stepUp }: Caller): PostResponseOptions['refusalOf'] {
  if (stepUp === undefined) return undefined;
  return ({ reason }) =>
    reason === 'not_read_only' ? { status: 403, headers: { 'www-authenticate': stepUp } } : undefined;
}
