import { randomBytes } from 'node:crypto';

import { inOnePiece } from '../../platform/bytes.ts';
import { isKeptAsText, jsonOfId } from '../../mcp/exact-number.ts';
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

/** Names that one side may have in use; beyond it the oldest is forgotten. More than a session can have calls. */
const maxNames = 2000;

/**
 * Ids and progress tokens that the other side may round are strings of ours to it, and come back as they were written:
 * to a server in JavaScript, 9007199254740993 is 9007199254740992.
 */
export interface IdAliases {
  toServer(message: RpcMessage): RpcMessage;
  toClient(message: RpcMessage): RpcMessage;
  /** The client's id of a request that went to the server. */
  idOf(request: RequestId): RequestId;
}

export function createIdAliases(): IdAliases {
  const client = new Names();
  const server = new Names();
  const isNeeded = (message: RpcMessage): boolean =>
    // What has an outline has no such number, and is no answer to one as long as none was named.
    message.envelope === undefined || !client.isEmpty || !server.isEmpty;
  return {
    toServer: (message) => (isNeeded(message) ? pass(message, client, server) : message),
    toClient: (message) => (isNeeded(message) ? pass(message, server, client) : message),
    idOf: (request) => client.originalOf(request) ?? request,
  };
}

/** What one side has named, by our names for it. */
class Names {
  readonly #originals = new Map<string, RequestId>();
  readonly #names = new Map<RequestId, string>();
  #prefix = '';
  #last = 0;

  get isEmpty(): boolean {
    return this.#originals.size === 0;
  }

  nameOf(original: RequestId): string {
    const known = this.#names.get(original);
    if (known !== undefined) return known;
    // Nobody can guess it, so no id of anybody else begins with it.
    this.#prefix ||= `mcp-expose-${randomBytes(16).toString('base64url')}-`;
    const name = `${this.#prefix}${++this.#last}`;
    this.#originals.set(name, original);
    this.#names.set(original, name);
    for (const oldest of this.#originals.keys()) {
      if (this.#originals.size <= maxNames) break;
      this.forget(oldest);
    }
    return name;
  }

  originalOf(name: RequestId): RequestId | undefined {
    return typeof name === 'string' ? this.#originals.get(name) : undefined;
  }

  forget(name: string): void {
    const original = this.#originals.get(name);
    if (original === undefined) return;
    this.#originals.delete(name);
    this.#names.delete(original);
  }
}

/** @param own names of the side that the message comes from, which answers with those of the other. */
function pass(message: RpcMessage, own: Names, other: Names): RpcMessage {
  if (message.kind === 'response') {
    const original = other.originalOf(message.id);
    if (original === undefined) return message;
    other.forget(String(message.id));
    return changed(message, [[['id'], original]]);
  }
  if (message.kind === 'request') {
    const token = requestTokenOf(message);
    return changed(message, [
      [['id'], named(message.id, own)],
      [requestTokenPath, token === undefined ? undefined : named(token, own)],
    ]);
  }
  const cancelled = cancelledBy(message);
  if (cancelled !== undefined) return changed(message, [[cancelledIdPath, named(cancelled, own)]]);
  const token = message.method === 'notifications/progress' ? progressTokenOf(message) : undefined;
  return token === undefined ? message : changed(message, [[progressTokenPath, other.originalOf(token)]]);
}

function named(id: RequestId, names: Names): string | undefined {
  return isKeptAsText(id) ? names.nameOf(id) : undefined;
}

/** The same message with other ids in a few places; undefined stands for what stays as it is. */
function changed(
  message: RpcMessage,
  changes: readonly (readonly [path: readonly string[], id: RequestId | undefined])[],
): RpcMessage {
  const bytes = inOnePiece(message.bytes);
  const replacements = changes.flatMap(([path, id]) => {
    const span = id === undefined ? undefined : spanOf(bytes, path);
    return span === undefined || id === undefined ? [] : [[span, Buffer.from(jsonOfId(id))] as const];
  });
  if (replacements.length === 0) return message;
  const parsed = parseMessage(replaceSpans(bytes, replacements));
  return parsed.kind === 'fault' ? message : parsed;
}
