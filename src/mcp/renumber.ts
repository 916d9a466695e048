import { inOnePiece } from '../platform/bytes.ts';
import { editMessage } from './edit-message.ts';
import { editPlan, type Change } from './json/edit-members.ts';
import { lazyRequest, lazyResponse } from './lazy-message.ts';
import { jsonOfId } from './request-id.ts';
import type { RequestId, RpcRequest, RpcResponse } from './rpc-message.ts';

/** Gives messages another id, and makes the same further changes to each of them: one scan for all of it. */
export class Renumbering {
  readonly #plan;
  #written: Buffer = Buffer.alloc(0);

  /**
   * @param edits as for `editPlan`.
   * @param tokenPath a member that becomes the same as the id, where it is there.
   */
  constructor(edits: Iterable<readonly [readonly string[], Change]>, tokenPath?: readonly string[]) {
    const set: Change = () => this.#written;
    const replace: Change = (written) => (written === undefined ? undefined : this.#written);
    this.#plan = editPlan([
      [['id'], set],
      ...(tokenPath === undefined ? [] : [[tokenPath, replace] as const]),
      ...edits,
    ]);
  }

  request(request: RpcRequest, id: RequestId): RpcRequest {
    this.#written = Buffer.from(jsonOfId(id));
    const edited = editMessage(request, this.#plan);
    const { envelope, bytes } = edited;
    // Still without a look into it, which most messages are never given.
    return envelope === undefined ? { ...edited, id } : lazyRequest(inOnePiece(bytes), envelope, id);
  }

  response(response: RpcResponse, id: RequestId): RpcResponse {
    this.#written = Buffer.from(jsonOfId(id));
    const edited = editMessage(response, this.#plan);
    const { envelope, bytes } = edited;
    return envelope === undefined ? { ...edited, id } : lazyResponse(inOnePiece(bytes), envelope, id);
  }
}
