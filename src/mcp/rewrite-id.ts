import { inOnePiece } from '../platform/bytes.ts';
import { jsonOfId } from './exact-number.ts';
import { memberOf, type RequestId, type RpcNotification, type RpcRequest, type RpcResponse } from './json-rpc.ts';
import { replaceSpans, spanOf } from './json/locate-members.ts';

/**
 * The same request or response under another id; all other bytes stay as they were written.
 * @param written the id as it is to stand in the message. Default: as its sender wrote it, where it is a number, else as JSON.stringify does.
 */
export function withId<Message extends RpcRequest | RpcResponse>(
  message: Message,
  id: RequestId,
  written: Buffer = Buffer.from(jsonOfId(id)),
): Message {
  const bytes = inOnePiece(message.bytes);
  const span = spanOf(bytes, ['id']);
  if (span === undefined) throw new Error('requests and responses have an id');
  return { ...message, id, json: { ...message.json, id }, bytes: replaceSpans(bytes, [[span, written]]) };
}

/** The id of a request or response as it stands in it, copied so that the message need not be kept for it. */
export function writtenIdOf(message: RpcRequest | RpcResponse): Buffer {
  const bytes = inOnePiece(message.bytes);
  const span = spanOf(bytes, ['id']);
  if (span === undefined) throw new Error('requests and responses have an id');
  return Buffer.from(bytes.subarray(span.start, span.end));
}

/** The same `notifications/cancelled` for another request. */
export function withCancelledId(message: RpcNotification, requestId: RequestId): RpcNotification {
  const span = spanOf(message.bytes, ['params', 'requestId']);
  if (span === undefined) return message;
  const reason = memberOf(message.json['params'], 'reason');
  const params = reason === undefined ? { requestId } : { requestId, reason };
  const bytes = replaceSpans(message.bytes, [[span, Buffer.from(JSON.stringify(requestId))]]);
  return { ...message, json: { ...message.json, params }, bytes };
}
