import { randomBytes } from 'node:crypto';

import { inOnePiece } from '../../platform/bytes.ts';
import { isKeptAsText, jsonOfId, keptAsText } from '../../mcp/request-id.ts';
import {
  parseMessage,
  progressTokenOf,
  progressTokenPath,
  requestTokenOf,
  requestTokenPath,
  type RequestId,
  type RpcMessage,
} from '../../mcp/json-rpc.ts';
import { replaceSpans, spanOf } from '../../mcp/json/locate-members.ts';
import { cancelledBy, cancelledIdPath } from '../../mcp/lifecycle.ts';

/**
 * Ids and progress tokens that the other side may round are strings to it, and come back as they were written: to a server
 * in JavaScript, 9007199254740993 is 9007199254740992.
 */
export class IdAliases {
  readonly #client = new Aliases();
  readonly #server = new Aliases();

  toServer(message: RpcMessage): RpcMessage {
    return this.#isNeeded(message) ? pass(message, this.#client, this.#server) : message;
  }

  toClient(message: RpcMessage): RpcMessage {
    return this.#isNeeded(message) ? pass(message, this.#server, this.#client) : message;
  }

  /** The client's id of a request that went to the server. */
  idOf(request: RequestId): RequestId {
    return this.#client.originalOf(request) ?? request;
  }

  /** A message with an envelope has no such number, and does not refer to one as long as there are no aliases. */
  #isNeeded(message: RpcMessage): boolean {
    return message.envelope === undefined || this.#client.areUsed || this.#server.areUsed;
  }
}

/** The aliases of the numbers of one side: strings that hold the number as that side wrote it. */
class Aliases {
  #prefix = '';

  get areUsed(): boolean {
    return this.#prefix !== '';
  }

  /** The alias of a number that is kept as text; undefined for other ids. */
  aliasOf(id: RequestId): string | undefined {
    if (!isKeptAsText(id)) return undefined;
    // Cannot be guessed, so nobody else's id begins with it.
    this.#prefix ||= `mcp-expose-${randomBytes(16).toString('base64url')}-`;
    return this.#prefix + jsonOfId(id);
  }

  originalOf(alias: RequestId): RequestId | undefined {
    if (!this.areUsed || typeof alias !== 'string' || !alias.startsWith(this.#prefix)) return undefined;
    return keptAsText(alias.slice(this.#prefix.length));
  }
}

/** @param own aliases of the side that the message comes from, which answers with those of the other. */
function pass(message: RpcMessage, own: Aliases, other: Aliases): RpcMessage {
  if (message.kind === 'response') {
    return changed(message, [[['id'], other.originalOf(message.id)]]);
  }
  if (message.kind === 'request') {
    const token = requestTokenOf(message);
    return changed(message, [
      [['id'], own.aliasOf(message.id)],
      [requestTokenPath, token === undefined ? undefined : own.aliasOf(token)],
    ]);
  }
  const cancelled = cancelledBy(message);
  if (cancelled !== undefined) return changed(message, [[cancelledIdPath, own.aliasOf(cancelled)]]);
  const token = message.method === 'notifications/progress' ? progressTokenOf(message) : undefined;
  return token === undefined ? message : changed(message, [[progressTokenPath, other.originalOf(token)]]);
}

/** The same message with other ids in a few places; undefined leaves the one that is there. */
function changed(
  message: RpcMessage,
  changes: readonly (readonly [path: readonly string[], id: RequestId | undefined])[],
): RpcMessage {
  if (changes.every(([, id]) => id === undefined)) return message;
  const bytes = inOnePiece(message.bytes);
  const replacements = changes.flatMap(([path, id]) => {
    const span = id === undefined ? undefined : spanOf(bytes, path);
    return span === undefined || id === undefined ? [] : [[span, Buffer.from(jsonOfId(id))] as const];
  });
  if (replacements.length === 0) return message;
  const parsed = parseMessage(replaceSpans(bytes, replacements));
  return parsed.kind === 'fault' ? message : parsed;
}
