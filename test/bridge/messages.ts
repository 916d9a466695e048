// Messages as they would arrive, read by the product's own parser.
import {
  parseMessage,
  type RequestId,
  type RpcMessage,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
} from '../../src/mcp/json-rpc.ts';

export function message(members: object): RpcMessage {
  const parsed = parseMessage(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...members })));
  if (parsed.kind === 'fault') throw new Error(`the test wrote no message: ${parsed.reason}`);
  return parsed;
}

/** All that can be known of a message, to be compared: whether it has been parsed yet makes no difference. */
export function whole<Message extends RpcMessage>(of: Message): Message {
  return { ...of, json: of.json };
}

export function request(id: RequestId, method = 'tools/call', params: object = {}): RpcRequest {
  const parsed = message({ id, method, params });
  if (parsed.kind !== 'request') throw new Error('the test wrote no request');
  return parsed;
}

/** A request that wants to hear of its progress. */
export function watchedRequest(id: RequestId, progressToken: RequestId): RpcRequest {
  return request(id, 'tools/call', { name: 'x', _meta: { progressToken } });
}

export function notification(method: string, params: object = {}): RpcNotification {
  const parsed = message({ method, params });
  if (parsed.kind !== 'notification') throw new Error('the test wrote no notification');
  return parsed;
}

export function response(id: RequestId, result: object = {}): RpcResponse {
  const parsed = message({ id, result });
  if (parsed.kind !== 'response') throw new Error('the test wrote no response');
  return parsed;
}

export function failedResponse(id: RequestId, error: object = { code: -32601, message: 'no' }): RpcResponse {
  const parsed = message({ id, error });
  if (parsed.kind !== 'response') throw new Error('the test wrote no response');
  return parsed;
}

export const initialize: RpcRequest = request(0, 'initialize', {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'test', version: '0' },
});

/** What a server answers to `initialize`. */
export function agreement(id: RequestId = 0, protocolVersion: unknown = '2025-11-25'): RpcResponse {
  return response(id, { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'fake', version: '1.2.3' } });
}
