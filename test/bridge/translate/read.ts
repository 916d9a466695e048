// Messages in the exact notation of a test, read by the product's own parser.
import {
  parseMessage,
  type RpcMessage,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
} from '../../../src/mcp/json-rpc.ts';

/** @param members of the message, as they are written, without `jsonrpc`. */
function read(members: string): RpcMessage {
  const message = parseMessage(Buffer.from(`{"jsonrpc":"2.0",${members}}`));
  if (message.kind === 'fault') throw new Error(message.reason);
  return message;
}

export function readRequest(members: string): RpcRequest {
  const message = read(members);
  if (message.kind !== 'request') throw new Error('the test wrote no request');
  return message;
}

export function readNotification(members: string): RpcNotification {
  const message = read(members);
  if (message.kind !== 'notification') throw new Error('the test wrote no notification');
  return message;
}

export function readResponse(members: string): RpcResponse {
  const message = read(members);
  if (message.kind !== 'response') throw new Error('the test wrote no response');
  return message;
}

/** The members of a message as they are written, and proof that its parsed form says the same. */
export function written(message: RpcMessage): string {
  const text = message.bytes.toString();
  if (JSON.stringify(JSON.parse(text)) !== JSON.stringify(message.json)) {
    throw new Error(`bytes and values differ: ${text} and ${JSON.stringify(message.json)}`);
  }
  return text.slice('{"jsonrpc":"2.0",'.length, -1);
}
