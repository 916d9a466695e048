import { isRequestId, memberOf, type RequestId, type RpcMessage } from './json-rpc.ts';

/** Messages by which a legacy session begins and its requests end early (MCP 2025-11-25, lifecycle and cancellation). */

export function isInitialize(message: RpcMessage): boolean {
  return message.kind === 'request' && message.method === 'initialize';
}

export function isInitialized(message: RpcMessage): boolean {
  return message.kind === 'notification' && message.method === 'notifications/initialized';
}

/** The id of the request that a message cancels. */
export function cancelledBy(message: RpcMessage): RequestId | undefined {
  if (message.kind !== 'notification' || message.method !== 'notifications/cancelled') return undefined;
  const id = memberOf(message.json['params'], 'requestId');
  return isRequestId(id) ? id : undefined;
}
