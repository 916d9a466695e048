import { inOnePiece } from '../../platform/bytes.ts';
import { editMessage } from '../../mcp/edit-message.ts';
import { serverInfoKey, subscriptionIdKey } from '../../mcp/envelope-keys.ts';
import { memberOf, rpcCode, type RpcResponse } from '../../mcp/json-rpc.ts';
import { eachItem, editPlan, remove, set, setDefault, type Change } from '../../mcp/json/edit-members.ts';
import { locateMembers, pathTree } from '../../mcp/json/locate-members.ts';
import { newError } from '../../mcp/new-message.ts';

const stripped = editPlan([
  [['result', 'resultType'], remove],
  [['result', 'ttlMs'], remove],
  [['result', 'cacheScope'], remove],
  [['result', '_meta', serverInfoKey], remove],
  [['result', '_meta', subscriptionIdKey], remove],
]);

/** The requests whose results say how long they may be cached (MCP 2026-07-28, `CacheableResult`). */
const cacheable: ReadonlySet<string> = new Set([
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'server/discover',
]);

/**
 * `result.resultType` of a response (MCP 2026-07-28): `complete` where it is left out, undefined where it is no string or
 * there is no result.
 */
export function resultTypeOf(response: RpcResponse): string | undefined {
  if (response.failed) return undefined;
  const type = response.envelope === undefined ? memberOf(response.json['result'], 'resultType') : typeIn(response);
  return type === undefined ? 'complete' : typeof type === 'string' ? type : undefined;
}

const resultType = pathTree({ type: ['result', 'resultType'] });

/** Without parsing the whole response. */
function typeIn(response: RpcResponse): unknown {
  const bytes = inOnePiece(response.bytes);
  const span = locateMembers(bytes, resultType).spans.get('type');
  return span === undefined ? undefined : JSON.parse(bytes.toString('utf8', span.start, span.end));
}

/**
 * A modern server's result as a legacy one. What has another type than `complete` becomes an error: a legacy client would
 * take it for the result (`input_required` is to be answered before). Errors pass.
 * @param type where it is known already.
 */
export function resultToLegacy(response: RpcResponse, type: string | undefined = resultTypeOf(response)): RpcResponse {
  if (response.failed) return response;
  if (type === 'complete') return editMessage(response, stripped);
  const shown = type === undefined ? 'of an unknown type' : `of type ${JSON.stringify(type.slice(0, 64))}`;
  const message = `the server gave a result ${shown}, which a client of this revision cannot read`;
  return newError({ id: response.id, code: rpcCode.internalError, message, data: { reason: 'unknown_result_type' } });
}

/** `ttlMs` is a whole number from 0 on, `cacheScope` one of two words: anything else would fail at the client. */
const setNotCached: Change = (written) =>
  written !== undefined && /^(?:0|[1-9]\d*)$/.test(written.toString()) ? written : Buffer.from('0');
const setPrivate: Change = (written) =>
  written !== undefined && /^"(?:public|private)"$/.test(written.toString()) ? written : Buffer.from('"private"');

const notCached = [
  [['result', 'ttlMs'], setNotCached],
  [['result', 'cacheScope'], setPrivate],
] as const;

/** How a tool runs as a task: only the legacy revision has it (MCP 2025-11-25, `Tool.execution`). */
const withoutExecution = [[['result', 'tools', eachItem, 'execution'], remove]] as const;

/**
 * What makes a legacy server's result a modern one, as for `editPlan`: its type, its server, and that it must not be cached, where the
 * result does not say so.
 * @param method of the request that it answers.
 * @param serverInfo as JSON, from the server's `initialize`.
 */
export function modernResultEdits(
  method: string,
  serverInfo: Buffer | undefined,
): readonly (readonly [readonly string[], Change])[] {
  return [
    [['result', 'resultType'], setDefault('"complete"')],
    ...(serverInfo === undefined ? [] : [[['result', '_meta', serverInfoKey], set(serverInfo)] as const]),
    ...(cacheable.has(method) ? notCached : []),
    ...(method === 'tools/list' ? withoutExecution : []),
  ];
}

/** Whether results of this method say how long they may be cached. */
export function isCacheable(method: string): boolean {
  return cacheable.has(method);
}
