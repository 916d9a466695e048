import type { RequestId, RpcMessage } from '../../mcp/json-rpc.ts';
import { cancelledBy } from '../../mcp/lifecycle.ts';
import { makeRoom } from '../limits.ts';
import { withCancelledId, withId, writtenIdOf } from '../../mcp/request-id.ts';

/** Server requests that are told apart at a time; more than whoever puts them to the client keeps open. */
const maxOpenServerRequests = 2000;

/**
 * The ids of server requests on one connection to a server. Gives them ids that no earlier connection has used: a server that
 * was started again counts from the beginning, and the late answer to a server request of its predecessor must not answer
 * another question (MCP 2025-11-25: an id is used once in a session).
 */
export class ServerRequestIds {
  readonly #prefix: string | undefined;
  /** By the id that the client sees, the one that the server knows, and how it wrote it. */
  readonly #originals = new Map<RequestId, { readonly id: RequestId; readonly written: Buffer }>();
  #count = 0;

  /** @param prefix not used by any other connection; undefined for the first one, where the ids of the server stay. */
  constructor(prefix?: string) {
    this.#prefix = prefix;
  }

  /** A message of the server as the client is to see it. */
  toClient(message: RpcMessage): RpcMessage {
    if (this.#prefix === undefined) return message;
    if (message.kind === 'request') {
      makeRoom(this.#originals, maxOpenServerRequests);
      const given = `${this.#prefix}${++this.#count}`;
      this.#originals.set(given, { id: message.id, written: writtenIdOf(message) });
      return withId(message, given);
    }
    const cancelled = cancelledBy(message);
    if (cancelled === undefined || message.kind !== 'notification') return message;
    for (const [given, { id }] of this.#originals) {
      if (id !== cancelled) continue;
      this.#originals.delete(given);
      return withCancelledId(message, given);
    }
    return message;
  }

  /** A message of the client as the server is to see it; undefined for an answer to a server request of another connection. */
  toServer(message: RpcMessage): RpcMessage | undefined {
    if (this.#prefix === undefined || message.kind !== 'response') return message;
    const original = this.#originals.get(message.id);
    if (original === undefined) return undefined;
    this.#originals.delete(message.id);
    return withId(message, original.id, original.written);
  }
}
