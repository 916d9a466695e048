import type { RequestId, RpcMessage } from '../../mcp/json-rpc.ts';
import { cancelledBy } from '../../mcp/lifecycle.ts';
import { withCancelledId, withId, writtenIdOf } from '../../mcp/request-id.ts';

/** Server requests that are told apart at a time; more than whoever puts them to the client keeps open. */
const maxOpenServerRequests = 2000;

/** The ids of server requests on one connection to a server. */
export interface ServerRequestIds {
  /** A message of the server as the client is to see it. */
  toClient(message: RpcMessage): RpcMessage;
  /** A message of the client as the server is to see it; undefined for an answer to a server request of another connection. */
  toServer(message: RpcMessage): RpcMessage | undefined;
}

/** On the first connection server requests have the ids that the server gave them. */
export const originalServerRequestIds: ServerRequestIds = {
  toClient: (message) => message,
  toServer: (message) => message,
};

/**
 * Gives server requests ids that no earlier connection has used: a server that was started again counts from the beginning, and the
 * late answer to a server request of its predecessor must not answer another question (MCP 2025-11-25: an id is used once in a
 * session).
 * @param prefix not used by any other connection.
 */
export function createServerRequestIds(prefix: string): ServerRequestIds {
  /** By the id that the client sees, the one that the server knows, and how it wrote it. */
  const originals = new Map<RequestId, { readonly id: RequestId; readonly written: Buffer }>();
  let count = 0;

  function forgetOldest(): void {
    for (const oldest of originals.keys()) {
      originals.delete(oldest);
      return;
    }
  }

  return {
    toClient(message) {
      if (message.kind === 'request') {
        if (originals.size >= maxOpenServerRequests) forgetOldest();
        const given = `${prefix}${++count}`;
        originals.set(given, { id: message.id, written: writtenIdOf(message) });
        return withId(message, given);
      }
      const cancelled = cancelledBy(message);
      if (cancelled === undefined || message.kind !== 'notification') return message;
      for (const [given, { id }] of originals) {
        if (id !== cancelled) continue;
        originals.delete(given);
        return withCancelledId(message, given);
      }
      return message;
    },
    toServer(message) {
      if (message.kind !== 'response') return message;
      const original = originals.get(message.id);
      if (original === undefined) return undefined;
      originals.delete(message.id);
      return withId(message, original.id, original.written);
    },
  };
}
