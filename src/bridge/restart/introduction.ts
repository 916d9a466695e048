import type { RequestId, RpcMessage, RpcRequest } from '../../mcp/json-rpc.ts';

/** Messages of a server before its answer to `initialize`, usually a few log lines. More are dropped. */
const maxHeld = 100;
const maxHeldBytes = 1024 * 1024;

/** A message for the client, and its origin. */
export interface Held {
  readonly message: RpcMessage;
  readonly origin?: RequestId | undefined;
}

/** The start of a later connection: its server does not know the client yet, and has not answered the replayed `initialize`. */
export class Introduction {
  readonly initialize: RpcRequest;
  readonly held: Held[] = [];
  #heldBytes = 0;

  constructor(initialize: RpcRequest) {
    this.initialize = initialize;
  }

  /** Keeps a message for the client, as far as there is room. */
  hold(early: Held): void {
    const bytes = this.#heldBytes + early.message.bytes.length;
    if (this.held.length >= maxHeld || bytes > maxHeldBytes) return;
    this.held.push(early);
    this.#heldBytes = bytes;
  }
}
