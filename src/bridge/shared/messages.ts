import { inOnePiece, type Bytes } from '../../platform/bytes.ts';
import {
  memberOf,
  type RequestId,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
} from '../../mcp/json-rpc.ts';
import { lazyRequest, lazyResponse } from '../../mcp/lazy-message.ts';
import { pathTree, replaceSpans, locateMembers, type PathTree, type Span } from '../../mcp/json/locate-members.ts';

/** The members by which a message is told apart; each kind of message is searched for all of them. */
const framing = {
  jsonrpc: ['jsonrpc'],
  id: ['id'],
  method: ['method'],
  params: ['params'],
  result: ['result'],
  error: ['error'],
} as const;

const plain = pathTree(framing);
const call = pathTree({ ...framing, progressToken: ['params', '_meta', 'progressToken'] });

const responseId = pathTree({ place: ['id'] });
const progressToken = pathTree({ place: ['params', 'progressToken'] });
const agreedRevision = pathTree({ place: ['result', 'protocolVersion'] });

/** Messages of which more than the id matters to us. */
const trees: ReadonlyMap<string, PathTree> = new Map(
  Object.entries({
    initialize: 'protocolVersion',
    'logging/setLevel': 'level',
    'resources/subscribe': 'uri',
    'resources/unsubscribe': 'uri',
    'notifications/cancelled': 'requestId',
    'notifications/progress': 'progressToken',
  }).map(([method, name]) => [
    method,
    pathTree({ ...framing, progressToken: ['params', '_meta', 'progressToken'], [name]: ['params', name] }),
  ]),
);

/** Where the members stand that may have to be rewritten, by name. */
export type Places = ReadonlyMap<string, Span>;

/**
 * Finds the members of a client's message that may have to be rewritten. A string is the reason why it is not safe to:
 * the server might read another id than we do, and so answer or end a call of another client.
 */
export function placesIn(message: RpcRequest | RpcNotification | RpcResponse): Places | string {
  const { envelope } = message;
  // All parsers read it the same, and of nearly all requests only the id matters.
  const isPlain = message.kind === 'request' && !trees.has(message.method) && envelope?.requestToken === undefined;
  if (isPlain && envelope?.idSpan !== undefined) return new Map([['id', envelope.idSpan]]);
  const tree = message.kind === 'response' ? plain : (trees.get(message.method) ?? call);
  const { spans, duplicateKey } = locateMembers(message.bytes, tree);
  if (duplicateKey !== undefined)
    return `the member ${JSON.stringify(duplicateKey)} occurs twice or with different capitalization`;
  if (message.kind !== 'response' && (spans.has('result') || spans.has('error'))) {
    return 'the message has a "method", and a "result" or "error" too';
  }
  return spans;
}

/** The text of a value as its sender wrote it. */
export function writtenAt({ bytes }: { readonly bytes: Bytes }, { start, end }: Span): string {
  return inOnePiece(bytes).toString('utf8', start, end);
}

export interface RequestChanges {
  readonly id: RequestId;
  readonly progressToken?: RequestId;
  /** Only for `logging/setLevel`. */
  readonly level?: string;
}

/** The same request with other values in a few places; all other bytes stay. */
export function rewriteRequest(request: RpcRequest, places: Places, changes: RequestChanges): RpcRequest {
  const { id, progressToken: token, level } = changes;
  const { envelope } = request;
  // Still without a look into it, which most requests are never given.
  if (envelope !== undefined)
    return lazyRequest(rewrite(request.bytes, places, changes), envelope, id, token ?? envelope.requestToken);
  let params = request.json['params'];
  if (token !== undefined) {
    params = withMember(params, '_meta', withMember(memberOf(params, '_meta'), 'progressToken', token));
  }
  if (level !== undefined) params = withMember(params, 'level', level);
  const json = { ...request.json, id, ...(params === undefined ? {} : { params }) };
  return { ...request, id, json, bytes: rewrite(request.bytes, places, changes) };
}

/** What `rewriteRequest` has made, with the client's own id and token again. */
export function restoreRequest(request: RpcRequest, id: RequestId, token: RequestId | undefined): RpcRequest {
  const places = placesIn(request);
  if (typeof places === 'string') return request;
  return rewriteRequest(request, places, { id, ...(token === undefined ? {} : { progressToken: token }) });
}

/** @param written the id as the other side wrote it: `1.0` or `"\u0041"` are to come back as they were. */
export function rewriteResponse(response: RpcResponse, id: RequestId, written: string): RpcResponse {
  const { envelope } = response;
  const place = envelope?.idSpan;
  const bytes =
    place === undefined
      ? replaceOne(response.bytes, responseId, written)
      : replaceSpans(response.bytes, [[place, Buffer.from(written)]]);
  // Still without a look into it, which may cost a hundred times its bytes.
  if (envelope !== undefined) return lazyResponse(bytes, envelope, id);
  return { ...response, id, json: { ...response.json, id }, bytes };
}

/** @param written the token as the client wrote it. */
export function rewriteProgress(message: RpcNotification, token: RequestId, written: string): RpcNotification {
  const bytes = replaceOne(message.bytes, progressToken, written);
  const params = withMember(message.json['params'], 'progressToken', token);
  return { ...message, json: { ...message.json, params }, bytes };
}

/** The result of `initialize` with another revision in it. */
export function rewriteRevision(response: RpcResponse, revision: string): RpcResponse {
  const bytes = replaceOne(response.bytes, agreedRevision, JSON.stringify(revision));
  const result = withMember(response.json['result'], 'protocolVersion', revision);
  return { ...response, json: { ...response.json, result }, bytes };
}

function rewrite(bytes: Bytes, places: Places, changes: RequestChanges): Buffer {
  const replacements: [Span, Buffer][] = [];
  for (const [name, value] of Object.entries(changes)) {
    const place = places.get(name);
    if (place !== undefined) replacements.push([place, Buffer.from(JSON.stringify(value))]);
  }
  return replaceSpans(bytes, replacements);
}

function replaceOne(text: Bytes, tree: PathTree, written: string): Buffer {
  const bytes = inOnePiece(text);
  const place = locateMembers(bytes, tree).spans.get('place');
  return place === undefined ? bytes : replaceSpans(bytes, [[place, Buffer.from(written)]]);
}

/** A copy of an object with one member changed; what was no object becomes one. */
function withMember(value: unknown, name: string, member: unknown): Record<string, unknown> {
  const members = typeof value === 'object' && value !== null ? value : {};
  return { ...members, [name]: member };
}
