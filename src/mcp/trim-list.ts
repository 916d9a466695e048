import { inOnePiece } from '../platform/bytes.ts';
import { spanOf, replaceSpans } from './json/locate-members.ts';
import { elementsOf } from './json/scan.ts';
import { itemsIn, listMemberOf } from './lists.ts';
import type { RpcResponse } from './rpc-message.ts';

/** The same response to a list request with a part of its list; what is left of that keeps its bytes. */
export function withResult(response: RpcResponse, method: string, result: unknown): RpcResponse {
  const { id, json } = response;
  const bytes = inOnePiece(response.bytes);
  const left = new Set(itemsIn(method, result));
  const items = itemsIn(method, json['result']) ?? [];
  const span = spanOf(bytes, ['result', listMemberOf(method) ?? '']);
  const written = span === undefined ? undefined : elementsOf(bytes.subarray(span.start, span.end), items.length);
  if (span === undefined || !Array.isArray(written)) throw new Error('the list is not where it was found');
  const list = written.filter((_, index) => left.has(items[index])).join(',');
  return {
    kind: 'response',
    id,
    failed: false,
    bytes: replaceSpans(bytes, [[span, Buffer.from(`[${list}]`)]]),
    json: { ...json, result },
  };
}
