import { inOnePiece } from '../platform/bytes.ts';
import { editMessage } from './edit-message.ts';
import { requestTokenPath } from './json-rpc.ts';
import { editPlan, type Change } from './json/edit-members.ts';
import { lazyRequest, lazyResponse } from './lazy-message.ts';
import { jsonOfId } from './request-id.ts';
import type { RequestId, RpcRequest, RpcResponse } from './rpc-message.ts';

/** Gives messages another id, and makes the same further changes to each of them: one scan for all of it. */
export class Renumbering {
  readonly #plan;
  readonly #hasToken: boolean;
  #written: Buffer = Buffer.alloc(0);

  /**
   * @param edits as for `editPlan`.
   * @param hasToken whether the progress token of a request becomes the same as the id, where there is one.
   */
  constructor(edits: Iterable<readonly [readonly string[], Change]>, hasToken = false) {
    const set: Change = () => this.#written;
    const replace: Change = (written) => (written === undefined ? undefined : this.#written);
    this.#hasToken = hasToken;
    this.#plan = editPlan([[['id'], set], ...(hasToken ? [[requestTokenPath, replace] as const] : []), ...edits]);
  }

  request(request: RpcRequest, id: RequestId): RpcRequest {
    this.#written = Buffer.from(jsonOfId(id));
    const edited = editMessage(request, this.#plan);
    const { envelope, bytes } = edited;
    // Still without a look into it, which most messages are never given.
    if (envelope === undefined) return { ...edited, id };
    const { requestToken } = envelope;
    const token = requestToken !== undefined && this.#hasToken ? id : requestToken;
    return lazyRequest(inOnePiece(bytes), envelope, id, token);
  }

  response(response: RpcResponse, id: RequestId): RpcResponse {
    this.#written = Buffer.from(jsonOfId(id));
    const edited = editMessage(response, this.#plan);
    const { envelope, bytes } = edited;
    return envelope === undefined ? { ...edited, id } : lazyResponse(inOnePiece(bytes), envelope, id);
  }
}
