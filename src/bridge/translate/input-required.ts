import { randomUUID } from 'node:crypto';

import { inOnePiece } from '../../platform/bytes.ts';
import { editMessage } from '../../mcp/edit-message.ts';
import { memberOf, parseMessage, type RequestId, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { editPlan, remove, set, setDefault } from '../../mcp/json/edit-members.ts';
import { locateMembers, pathTree, spanOf } from '../../mcp/json/locate-members.ts';
import { jsonOfId } from '../../mcp/request-id.ts';
import { isObject } from '../../mcp/rpc-message.ts';

/** One thing that a server asks of a client to go on with a call. */
export interface InputRequest {
  /** The server's name for it, which the answer has too. */
  readonly key: string;
  readonly method: string;
  /** As JSON. */
  readonly params: Buffer | undefined;
}

/** A result of the type `input_required` (MCP 2026-07-28, `InputRequiredResult`). */
export interface InputRequired {
  readonly requests: readonly InputRequest[];
  /** What the server wants back with the answers: the JSON string as it is written. */
  readonly requestState: Buffer | undefined;
}

/** @returns undefined if the result does not have the form of one. */
export function readInputRequired(response: RpcResponse): InputRequired | undefined {
  const { result } = response.json;
  const asked = memberOf(result, 'inputRequests') ?? {};
  if (!isObject(asked)) return undefined;
  const bytes = inOnePiece(response.bytes);
  const keys = Object.keys(asked);
  const paths = keys.map((key, index) => [`${index}`, ['result', 'inputRequests', key, 'params']] as const);
  const { spans } = locateMembers(bytes, pathTree(Object.fromEntries(paths)));
  const requests: InputRequest[] = [];
  for (const [index, key] of keys.entries()) {
    const method = memberOf(asked[key], 'method');
    if (typeof method !== 'string') return undefined;
    const span = spans.get(`${index}`);
    requests.push({ key, method, params: span && bytes.subarray(span.start, span.end) });
  }
  const state = spanOf(bytes, ['result', 'requestState']);
  const requestState = state && bytes.subarray(state.start, state.end);
  return requests.length === 0 && requestState === undefined ? undefined : { requests, requestState };
}

/** The same as a server request to a legacy client (MCP 2025-11-25). @returns undefined if no request comes of it. */
export function serverRequestOf({ method, params }: InputRequest, id: RequestId): RpcRequest | undefined {
  const head = `{"jsonrpc":"2.0","id":${jsonOfId(id)},"method":${JSON.stringify(method)}`;
  const text = params === undefined ? `${head}}` : Buffer.concat([Buffer.from(`${head},"params":`), params, closing]);
  const request = parseMessage(Buffer.from(text));
  if (request.kind !== 'request') return undefined;
  const isUrl = method === 'elicitation/create' && memberOf(request.json['params'], 'mode') === 'url';
  return isUrl
    ? editMessage(request, editPlan([[['params', 'elicitationId'], setDefault(`"${randomUUID()}"`)]]))
    : request;
}

const closing: Buffer = Buffer.from('}');

/** `result` of a client's response, as it is written; undefined if it is an error. */
export function writtenResult(response: RpcResponse): Buffer | undefined {
  const bytes = inOnePiece(response.bytes);
  const span = response.failed ? undefined : spanOf(bytes, ['result']);
  return span && bytes.subarray(span.start, span.end);
}

/**
 * The call again, with the answers of this round alone.
 * @param request as the client sent it.
 * @param answers for each key, the client's result as JSON.
 */
export function withInput(
  request: RpcRequest,
  answers: ReadonlyMap<string, Buffer>,
  requestState: Buffer | undefined,
): RpcRequest {
  const members = Array.from(answers, ([key, result]) => `${JSON.stringify(key)}:${result.toString()}`);
  return editMessage(
    request,
    editPlan([
      [['params', 'inputResponses'], answers.size === 0 ? remove : set(`{${members.join(',')}}`)],
      [['params', 'requestState'], requestState === undefined ? remove : set(requestState)],
    ]),
  );
}
