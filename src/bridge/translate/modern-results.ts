import { Renumbering } from '../../mcp/renumber.ts';
import type { RequestId, RpcRequest, RpcResponse } from '../../mcp/json-rpc.ts';
import { jsonOfId } from '../../mcp/request-id.ts';
import { rewriteResponse } from '../shared/messages.ts';
import { errorToModern } from './errors.ts';
import { isCacheable, modernResultEdits } from './results.ts';

/** The responses of one legacy server as those of a modern one. */
export class ModernResults {
  readonly #serverInfo: Buffer | undefined;
  /** By method where that makes a difference; those of all others under ''. */
  readonly #renumberings = new Map<string, Renumbering>();

  /** @param serverInfo as JSON, from the server's `initialize`. */
  constructor(serverInfo: Buffer | undefined) {
    this.#serverInfo = serverInfo;
  }

  /** @param id of the client's request. */
  translate(response: RpcResponse, request: RpcRequest, id: RequestId): RpcResponse {
    if (response.failed) return rewriteResponse(errorToModern(response, request), id, jsonOfId(id));
    const kind = isCacheable(request.method) ? request.method : '';
    const renumbering = this.#renumberings.get(kind) ?? new Renumbering(modernResultEdits(kind, this.#serverInfo));
    this.#renumberings.set(kind, renumbering);
    return renumbering.response(response, id);
  }
}
