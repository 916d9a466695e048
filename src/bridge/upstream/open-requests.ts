import { isKeptAsText, wholeNumberOf, withId } from '../../mcp/request-id.ts';
import type { RequestId, RpcMessage, RpcResponse } from '../../mcp/json-rpc.ts';
import { cancelledBy } from '../../mcp/lifecycle.ts';
import { makeRoom, maxUnansweredCancelled } from '../limits.ts';

/** What a server has been asked and has not answered. */
export class OpenRequests {
  readonly #open = new Set<RequestId>();
  readonly #cancelled = new Set<RequestId>();

  sent(message: RpcMessage): void {
    if (message.kind === 'request') {
      this.#open.add(message.id);
      return;
    }
    const id = cancelledBy(message);
    if (id !== undefined) this.#cancel(id);
  }

  /**
   * The request that has this id, or nearly: some servers answer `"1"` or `1.0` to 1, which the official clients accept.
   * Also one that was cancelled, which may be answered all the same (MCP 2025-11-25, cancellation).
   */
  find(id: RequestId): RequestId | undefined {
    if (this.#isKnown(id)) return id;
    const near = typeof id === 'number' ? String(id) : wholeNumberOf(id);
    return this.#isKnown(near) && !isKeptAsText(near) ? near : undefined;
  }

  /** The only request that can be meant; undefined where there are several, or none. */
  only(): RequestId | undefined {
    if (this.#open.size !== 1 || this.#cancelled.size > 0) return undefined;
    const [id] = this.#open;
    return id;
  }

  /** Takes a request off the list. Returns its answer under the very id of it; undefined where there is none. */
  answered(response: RpcResponse): RpcResponse | undefined {
    if (this.#open.delete(response.id)) return response;
    const id = this.find(response.id);
    if (id === undefined) return undefined;
    if (!this.#open.delete(id)) this.#cancelled.delete(id);
    return id === response.id ? response : withId(response, id);
  }

  #isKnown(id: RequestId | undefined): id is RequestId {
    return id !== undefined && (this.#open.has(id) || this.#cancelled.has(id));
  }

  #cancel(id: RequestId): void {
    if (!this.#open.delete(id)) return;
    makeRoom(this.#cancelled, maxUnansweredCancelled);
    this.#cancelled.add(id);
  }
}
