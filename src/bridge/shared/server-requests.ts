import { jsonOfId } from '../../mcp/request-id.ts';
import { memberOf, requestTokenOf, type RequestId, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { spanOf } from '../../mcp/json/locate-members.ts';
import { makeRoom, maxOpenServerRequests } from '../limits.ts';
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

interface SharedServerRequest<Owner> {
  readonly owner: Owner;
  /** The id as the server wrote it, which may have more digits than a number holds. */
  readonly written: string;
  readonly token: RequestId | undefined;
  /** The answer was that it will take time: the token holds beyond it (MCP 2025-11-25, tasks, progress). */
  isTask: boolean;
}

/** Which client has been asked what. The ids are the server's own and so unique: they stay. */
export class SharedServerRequests<Owner> {
  readonly #open = new Map<RequestId, SharedServerRequest<Owner>>();
  readonly #byOwner = new Map<Owner, Set<RequestId>>();
  readonly #byToken = new Map<RequestId, SharedServerRequest<Owner>>();

  /** The server asks a client. Returns the id of an older server request that gives way. */
  open(serverRequest: RpcRequest, owner: Owner): RequestId | undefined {
    const { id } = serverRequest;
    this.close(id);
    const [oldest] = this.#open.keys();
    const givesWay = this.#open.size < maxOpenServerRequests ? undefined : oldest;
    this.close(givesWay);
    const place = spanOf(serverRequest.bytes, ['id']);
    const written = place === undefined ? jsonOfId(id) : writtenAt(serverRequest, place);
    const opened = { owner, written, token: requestTokenOf(serverRequest), isTask: false };
    this.#open.set(id, opened);
    if (opened.token !== undefined) this.#watch(opened.token, opened);
    this.#byOwner.set(owner, (this.#byOwner.get(owner) ?? new Set()).add(id));
    return givesWay;
  }

  /** What the server is to get of a client's answer. Undefined when the client was not asked, or no longer is. */
  answer(response: RpcResponse, owner: Owner): RpcResponse | undefined {
    const serverRequest = this.#open.get(response.id);
    return serverRequest?.owner === owner ? rewriteResponse(response, response.id, serverRequest.written) : undefined;
  }

  /** The server has got the answer: the server request is over. */
  settle({ id, json }: RpcResponse): void {
    const serverRequest = this.#open.get(id);
    if (serverRequest !== undefined) serverRequest.isTask = memberOf(json['result'], 'task') !== undefined;
    this.close(id);
  }

  /** Whether a server request with this progress token was put to this client, which may tell of its progress. */
  isWatched(token: RequestId | undefined, owner: Owner): boolean {
    return token !== undefined && this.#byToken.get(token)?.owner === owner;
  }

  /** The server request is over. Returns the client that it was put to. */
  close(id: RequestId | undefined): Owner | undefined {
    const serverRequest = id === undefined ? undefined : this.#open.get(id);
    if (serverRequest === undefined || id === undefined) return undefined;
    const { owner, token, isTask } = serverRequest;
    this.#open.delete(id);
    if (token !== undefined && !isTask && this.#byToken.get(token) === serverRequest) this.#byToken.delete(token);
    const own = this.#byOwner.get(owner);
    own?.delete(id);
    if (own?.size === 0) this.#byOwner.delete(owner);
    return owner;
  }

  /** The client has gone. Returns the ids of the server requests that nobody will answer. */
  release(owner: Owner): readonly RequestId[] {
    for (const [token, serverRequest] of this.#byToken) if (serverRequest.owner === owner) this.#byToken.delete(token);
    const own = [...(this.#byOwner.get(owner) ?? [])];
    for (const id of own) this.close(id);
    return own;
  }

  /** The server has forgotten everything. */
  clear(): void {
    this.#open.clear();
    this.#byOwner.clear();
    this.#byToken.clear();
  }

  /** Tokens of tasks would stay for ever where their clients do. */
  #watch(token: RequestId, serverRequest: SharedServerRequest<Owner>): void {
    this.#byToken.delete(token);
    makeRoom(this.#byToken, 2 * maxOpenServerRequests);
    this.#byToken.set(token, serverRequest);
  }
}
