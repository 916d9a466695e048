import { exactValue } from './request-id.ts';
import { memberOf, parseMessage, type RequestId, type RpcMessage, type RpcRequest } from './json-rpc.ts';
import { replaceSpans, spanOf } from './json/locate-members.ts';
import { legacyRevisions, preferredRevision } from './revisions.ts';

export const cancelledIdPath = ['params', 'requestId'] as const;

export function isInitialize(message: RpcMessage): boolean {
  return message.kind === 'request' && message.method === 'initialize';
}

/**
 * A client's `initialize` for the server. A revision that mcp-expose does not support is replaced by the newest that it does,
 * since the server might accept it; the client gets the answer of the server (MCP 2025-11-25, lifecycle, version
 * negotiation).
 */
export function withServedRevision(initialize: RpcRequest): RpcRequest {
  const offered = memberOf(initialize.json['params'], 'protocolVersion');
  if (typeof offered !== 'string' || legacyRevisions.includes(offered)) return initialize;
  const span = spanOf(initialize.bytes, ['params', 'protocolVersion']);
  if (span === undefined) return initialize;
  const ours = Buffer.from(JSON.stringify(preferredRevision));
  const changed = parseMessage(replaceSpans(initialize.bytes, [[span, ours]]));
  return changed.kind === 'request' ? changed : initialize;
}

export function isInitialized(message: RpcMessage): boolean {
  return message.kind === 'notification' && message.method === 'notifications/initialized';
}

/** The id of the request that a message cancels. */
export function cancelledBy(message: RpcMessage): RequestId | undefined {
  if (message.kind !== 'notification' || message.method !== 'notifications/cancelled') return undefined;
  const id = memberOf(message.json['params'], 'requestId');
  return id === undefined ? undefined : exactValue(id, message.bytes, cancelledIdPath);
}
