import { jsonOfId } from '../../mcp/request-id.ts';
import { memberOf, requestTokenOf, type RequestId, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { spanOf } from '../../mcp/json/locate-members.ts';
import { maxOpenServerRequests } from '../limits.ts';
import { rewriteResponse, writtenAt } from './messages.ts';

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

export interface SharedServerRequests<Owner> {
  /** The server asks a client. Returns the id of an older server request that gives way. */
  open(serverRequest: RpcRequest, owner: Owner): RequestId | undefined;
  /** What the server is to get of a client's answer. Undefined when the client was not asked, or no longer is. */
  answer(response: RpcResponse, owner: Owner): RpcResponse | undefined;
  /** The server has got the answer: the server request is over. */
  settle(response: RpcResponse): void;
  /** Whether a server request with this progress token was put to this client, which may tell of its progress. */
  isWatched(token: RequestId | undefined, owner: Owner): boolean;
  /** The server request is over. Returns the client that it was put to. */
  close(id: RequestId | undefined): Owner | undefined;
  /** The client has gone. Returns the ids of the server requests that nobody will answer. */
  release(owner: Owner): readonly RequestId[];
  /** The server has forgotten everything. */
  clear(): void;
}

interface SharedServerRequest<Owner> {
  readonly owner: Owner;
  /** The id as the server wrote it, which may have more digits than a number holds. */
  readonly written: string;
  readonly token: RequestId | undefined;
  /** The answer was that it will take time: the token holds beyond it (MCP 2025-11-25, tasks, progress). */
  isTask: boolean;
}

/** Which client has been asked what. The ids are the server's own and so unique: they stay. */
export function createSharedServerRequests<Owner>(): SharedServerRequests<Owner> {
  const serverRequests = new Map<RequestId, SharedServerRequest<Owner>>();
  const byOwner = new Map<Owner, Set<RequestId>>();
  const byToken = new Map<RequestId, SharedServerRequest<Owner>>();

  function close(id: RequestId | undefined): Owner | undefined {
    const serverRequest = id === undefined ? undefined : serverRequests.get(id);
    if (serverRequest === undefined || id === undefined) return undefined;
    serverRequests.delete(id);
    if (
      serverRequest.token !== undefined &&
      !serverRequest.isTask &&
      byToken.get(serverRequest.token) === serverRequest
    )
      byToken.delete(serverRequest.token);
    const own = byOwner.get(serverRequest.owner);
    own?.delete(id);
    if (own?.size === 0) byOwner.delete(serverRequest.owner);
    return serverRequest.owner;
  }

  /** Tokens of tasks would stay for ever where their clients do. */
  function watch(token: RequestId, serverRequest: SharedServerRequest<Owner>): void {
    byToken.delete(token);
    byToken.set(token, serverRequest);
    const oldest = byToken.size > 2 * maxOpenServerRequests ? firstOf(byToken) : undefined;
    if (oldest !== undefined) byToken.delete(oldest);
  }

  return {
    open(serverRequest, owner) {
      const { id } = serverRequest;
      close(id);
      const givesWay = serverRequests.size < maxOpenServerRequests ? undefined : firstOf(serverRequests);
      close(givesWay);
      const place = spanOf(serverRequest.bytes, ['id']);
      const written = place === undefined ? jsonOfId(id) : writtenAt(serverRequest, place);
      const opened = { owner, written, token: requestTokenOf(serverRequest), isTask: false };
      serverRequests.set(id, opened);
      if (opened.token !== undefined) watch(opened.token, opened);
      byOwner.set(owner, (byOwner.get(owner) ?? new Set()).add(id));
      return givesWay;
    },
    answer(response, owner) {
      const serverRequest = serverRequests.get(response.id);
      return serverRequest?.owner === owner ? rewriteResponse(response, response.id, serverRequest.written) : undefined;
    },
    settle({ id, json }) {
      const serverRequest = serverRequests.get(id);
      if (serverRequest !== undefined) serverRequest.isTask = memberOf(json['result'], 'task') !== undefined;
      close(id);
    },
    isWatched: (token, owner) => token !== undefined && byToken.get(token)?.owner === owner,
    close,
    release(owner) {
      for (const [token, serverRequest] of byToken) if (serverRequest.owner === owner) byToken.delete(token);
      const own = [...(byOwner.get(owner) ?? [])];
      for (const id of own) close(id);
      return own;
    },
    clear() {
      serverRequests.clear();
      byOwner.clear();
      byToken.clear();
    },
  };
}

function firstOf(map: ReadonlyMap<RequestId, unknown>): RequestId | undefined {
  for (const key of map.keys()) return key;
  return undefined;
}
