import { editMessage } from '../../mcp/edit-message.ts';
import { memberOf, type RpcRequest } from '../../mcp/json-rpc.ts';
import { editPlan, remove } from '../../mcp/json/edit-members.ts';
import { locateMembers, pathTree, spanOf } from '../../mcp/json/locate-members.ts';
import { inOnePiece } from '../../platform/bytes.ts';

/** The requests that a server may answer with `input_required` (MCP 2026-07-28, multi round-trip requests). */
const interactive: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);

export function isInteractive(method: string): boolean {
  return interactive.has(method);
}

export const relatedTaskKey = 'io.modelcontextprotocol/related-task';

/** What in a server request makes sense on a connection only. */
const connectionMembers = editPlan([
  [['params', '_meta', 'progressToken'], remove],
  [['params', '_meta', relatedTaskKey], remove],
  [['params', 'task'], remove],
  [['params', 'elicitationId'], remove],
]);

/** A server request as an element of `inputRequests`, as JSON. */
export function inputRequestOf(request: RpcRequest): string {
  const { method, bytes } = editMessage(request, connectionMembers);
  const span = spanOf(bytes, ['params']);
  const params = span === undefined ? '' : `,"params":${inOnePiece(bytes).toString('utf8', span.start, span.end)}`;
  return `{"method":${JSON.stringify(method)}${params}}`;
}

/** The elements of `inputResponses` with these keys, as JSON, as the client sent them. */
export function inputResponsesIn({ bytes }: RpcRequest, keys: Iterable<string>): ReadonlyMap<string, Buffer> {
  const paths = Object.fromEntries(Array.from(keys, (key) => [key, ['params', 'inputResponses', key]]));
  const whole = inOnePiece(bytes);
  const { spans } = locateMembers(whole, pathTree(paths));
  return new Map(Array.from(spans, ([key, { start, end }]) => [key, whole.subarray(start, end)]));
}

const actions: ReadonlySet<unknown> = new Set(['accept', 'decline', 'cancel']);

/** Whether a value can be the result of such a server request: as much as a server needs not to fail on it. */
export function isResultOf(method: string, value: unknown): boolean {
  if (method === 'roots/list') return Array.isArray(memberOf(value, 'roots'));
  if (method === 'elicitation/create') return actions.has(memberOf(value, 'action'));
  return ['role', 'content', 'model'].every((name) => memberOf(value, name) !== undefined);
}
