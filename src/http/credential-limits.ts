import { hash } from 'node:crypto';

import type { Caller } from '../auth/caller.ts';
import type { CallFailure } from '../bridge/session/pending-request.ts';
import type { Refused } from './responses/json-response.ts';
import type { PostResponseOptions } from './responses/post-response.ts';
import { memberOf, rpcCode, type RpcRequest, type RpcResponse } from '../mcp/json-rpc.ts';

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

/**
 * Whether a caller may open a session with this `initialize`. A credential for one client knows it by the `clientInfo` and
 * capabilities that it sends, so that the same client can connect again.
 */
export function isClaimed({ claim }: Caller, { json }: RpcRequest): boolean {
  if (claim === undefined) return true;
  const info = memberOf(json['params'], 'clientInfo');
  const name = `${String(memberOf(info, 'name')).slice(0, 64)} ${String(memberOf(info, 'version')).slice(0, 32)}`;
  const digest = hash('sha256', JSON.stringify([info, memberOf(json['params'], 'capabilities')]), 'base64url');
  return claim(`${name} ${digest}`);
}

/** Whether a caller may send this message; counts tool calls. */
export function isAffordable({ spendCall }: Caller, { method }: Pick<RpcRequest, 'method'>): boolean {
  return spendCall === undefined || method !== 'tools/call' || spendCall();
}

/**
 * How a caller whose scope is too small for a call is told so: with 403 and a challenge, upon which clients ask for more
 * (MCP 2025-11-25, Scope Challenge Handling). Undefined for callers who can do everything.
 */
export function stepUpOf({ stepUp }: Caller): PostResponseOptions['refusalOf'] {
  if (stepUp === undefined) return undefined;
  return ({ json }: RpcResponse) => {
    const reason = memberOf(memberOf(json['error'], 'data'), 'reason');
    return reason === 'not_read_only' ? { status: 403, headers: { 'www-authenticate': stepUp } } : undefined;
  };
}
