import { isKeptAsText, wholeNumberOf, withId } from '../../mcp/request-id.ts';
import type { RequestId, RpcMessage, RpcResponse } from '../../mcp/json-rpc.ts';
import { cancelledBy } from '../../mcp/lifecycle.ts';
import { maxUnansweredCancelled } from '../limits.ts';

/** What a server has been asked and has not answered. */
export interface OpenRequests {
  /** A message goes to the server. */
  sent(message: RpcMessage): void;
  /**
   * The request that has this id, or nearly: some servers answer `"1"` or `1.0` to 1, which the official clients accept.
   * Also one that was cancelled, which may be answered all the same (MCP 2025-11-25, cancellation).
   */
  find(id: RequestId): RequestId | undefined;
  /** The only request that can be meant; undefined where there are several, or none. */
  only(): RequestId | undefined;
  /** Takes a request off the list. Returns its answer under the very id of it; undefined where there is none. */
  answered(response: RpcResponse): RpcResponse | undefined;
}

export function createOpenRequests(): OpenRequests {
  const open = new Set<RequestId>();
  const cancelled = new Set<RequestId>();

  function cancel(id: RequestId): void {
    if (!open.delete(id)) return;
    cancelled.add(id);
    for (const oldest of cancelled) {
      if (cancelled.size <= maxUnansweredCancelled) return;
      cancelled.delete(oldest);
    }
  }

  const isKnown = (id: RequestId | undefined): id is RequestId =>
    id !== undefined && (open.has(id) || cancelled.has(id));

  function find(id: RequestId): RequestId | undefined {
    if (isKnown(id)) return id;
    const near = typeof id === 'number' ? String(id) : wholeNumberOf(id);
    return isKnown(near) && !isKeptAsText(near) ? near : undefined;
  }

  return {
    sent(message) {
      if (message.kind === 'request') {
        open.add(message.id);
        return;
      }
      const id = cancelledBy(message);
      if (id !== undefined) cancel(id);
    },
    find,
    only() {
      if (open.size !== 1 || cancelled.size > 0) return undefined;
      const [id] = open;
      return id;
    },
    answered(response) {
      if (open.delete(response.id)) return response;
      const id = find(response.id);
      if (id === undefined) return undefined;
      if (!open.delete(id)) cancelled.delete(id);
      return id === response.id ? response : withId(response, id);
    },
  };
}
