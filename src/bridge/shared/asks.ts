import {
  isRequestId,
  memberOf,
  rpcCode,
  type RequestId,
  type RpcRequest,
  type RpcResponse,
} from '../../mcp/json-rpc.ts';
import { newError } from '../../mcp/new-message.ts';
import { spanOf } from '../../mcp/splice.ts';
import { rewriteResponse, writtenAt } from './messages.ts';

/** Asks that the clients have not answered; beyond it the oldest is given up. */
const maxOpenAsks = 1000;

/** What a client has to declare in order to be asked (MCP 2025-11-25, client features). */
const neededCapability: ReadonlyMap<string, string> = new Map([
  ['roots/list', 'roots'],
  ['sampling/createMessage', 'sampling'],
  ['elicitation/create', 'elicitation'],
]);

/** Whether a client with these capabilities can be asked this; methods that nobody knows are its own matter. */
export function canBeAsked(capabilities: unknown, method: string): boolean {
  const needed = neededCapability.get(method);
  return needed === undefined || memberOf(capabilities, needed) !== undefined;
}

const refusals = {
  client_gone: 'the client that this is for has gone',
  ambiguous_client: 'several clients share this server, and it cannot be told which of them this is for',
  too_many_asks: 'the clients have left too many requests unanswered',
} as const;

/** The answer to an ask that reaches no client. The reason stands in the error's data. */
export function refuseAsk(id: RequestId, reason: keyof typeof refusals): RpcResponse {
  return newError({ id, code: rpcCode.internalError, message: refusals[reason], data: { reason } });
}

export interface SharedAsks<Owner> {
  /** The server asks a client. Returns the id of an older ask that gives way. */
  open(ask: RpcRequest, owner: Owner): RequestId | undefined;
  /** A client answers. Undefined when it was not asked, or no longer is. */
  answer(response: RpcResponse, owner: Owner): RpcResponse | undefined;
  /** The ask is over. Returns the client that it was put to. */
  close(id: unknown): Owner | undefined;
  /** The client has gone. Returns the ids of the asks that nobody will answer. */
  release(owner: Owner): readonly RequestId[];
  /** The server has forgotten everything. */
  clear(): void;
}

/** Which client has been asked what. The ids are the server's own and so unique: they stay. */
export function createSharedAsks<Owner>(): SharedAsks<Owner> {
  /** With the id as the server wrote it, which may have more digits than a number holds. */
  const asks = new Map<RequestId, { readonly owner: Owner; readonly written: string }>();
  const byOwner = new Map<Owner, Set<RequestId>>();

  function close(id: unknown): Owner | undefined {
    const ask = isRequestId(id) ? asks.get(id) : undefined;
    if (ask === undefined || !isRequestId(id)) return undefined;
    asks.delete(id);
    const own = byOwner.get(ask.owner);
    own?.delete(id);
    if (own?.size === 0) byOwner.delete(ask.owner);
    return ask.owner;
  }

  function oldest(): RequestId | undefined {
    for (const id of asks.keys()) return id;
    return undefined;
  }

  return {
    open(ask, owner) {
      const { id } = ask;
      close(id);
      const givesWay = asks.size < maxOpenAsks ? undefined : oldest();
      close(givesWay);
      const place = spanOf(ask.bytes, ['id']);
      asks.set(id, { owner, written: place === undefined ? JSON.stringify(id) : writtenAt(ask, place) });
      byOwner.set(owner, (byOwner.get(owner) ?? new Set()).add(id));
      return givesWay;
    },
    answer(response, owner) {
      const ask = asks.get(response.id);
      if (ask?.owner !== owner) return undefined;
      close(response.id);
      return rewriteResponse(response, response.id, ask.written);
    },
    close,
    release(owner) {
      const own = [...(byOwner.get(owner) ?? [])];
      for (const id of own) close(id);
      return own;
    },
    clear() {
      asks.clear();
      byOwner.clear();
    },
  };
}
