import { jsonOfId } from './request-id.ts';
import type { RequestId, RpcErrorOptions, RpcNotification, RpcRequest, RpcResponse } from './json-rpc.ts';

type Members = Readonly<Record<string, unknown>>;

/** Creates a request (JSON-RPC 2.0 §4). */
export function newRequest(id: RequestId, method: string, params: Members = {}): RpcRequest {
  return { kind: 'request', id, method, ...withIdInFront(id, { method, params }) };
}

/** Creates a notification (JSON-RPC 2.0 §4.1). */
export function newNotification(method: string, params?: Members): RpcNotification {
  const json = params === undefined ? { jsonrpc: '2.0', method } : { jsonrpc: '2.0', method, params };
  return { kind: 'notification', method, bytes: Buffer.from(JSON.stringify(json)), json };
}

/** Creates a response with a result (JSON-RPC 2.0 §5). */
export function newResult(id: RequestId, result: Members): RpcResponse {
  return { kind: 'response', id, failed: false, ...withIdInFront(id, { result }) };
}

/** Creates an error response (JSON-RPC 2.0 §5.1). */
export function newError({ id, ...error }: RpcErrorOptions & { readonly id: RequestId }): RpcResponse {
  return { kind: 'response', id, failed: true, ...withIdInFront(id, { error }) };
}

/** JSON.stringify writes no line breaks, so the bytes can become a line as they are. */
function withIdInFront(id: RequestId, rest: Members): { readonly bytes: Buffer; readonly json: Members } {
  const text = `{"jsonrpc":"2.0","id":${jsonOfId(id)},${JSON.stringify(rest).slice(1)}`;
  return { bytes: Buffer.from(text), json: { jsonrpc: '2.0', id, ...rest } };
}
