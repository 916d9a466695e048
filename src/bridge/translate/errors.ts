import { editMessage } from '../../mcp/edit-message.ts';
import { memberOf, rpcCode, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { editPlan, set, type Change } from '../../mcp/json/edit-members.ts';
import { isObject } from '../../mcp/rpc-message.ts';

/** Codes that only modern clients know: headers differ, a capability is missing, the revision is not supported (MCP 2026-07-28). */
const modernCodes: ReadonlySet<unknown> = new Set([
  rpcCode.headerMismatch,
  rpcCode.missingClientCapability,
  rpcCode.unsupportedProtocolVersion,
]);

/** A resource is not there (MCP 2025-11-25, resources); the modern era says that the parameters are invalid. */
const resourceNotFound = -32002;

/** The client is to open an address first (MCP 2025-11-25, elicitation); the modern era forbids it. */
export const urlElicitationRequired = -32042;

/** The code of an error response; undefined for a result. */
export function errorCodeOf(response: RpcResponse): unknown {
  // A result need not be parsed.
  return response.failed ? memberOf(response.json['error'], 'code') : undefined;
}

/** A modern server's error for a legacy client; a code that it cannot know stands in the data. Results pass. */
export function errorToLegacy(response: RpcResponse): RpcResponse {
  const code = errorCodeOf(response);
  if (!modernCodes.has(code)) return response;
  return withCode(response, rpcCode.internalError, 'modernCode', JSON.stringify(code));
}

/**
 * A legacy server's error for a modern client. Results pass.
 * @param request that failed: a resource that is not there is named in the data.
 */
export function errorToModern(response: RpcResponse, request?: RpcRequest): RpcResponse {
  const code = errorCodeOf(response);
  if (code === urlElicitationRequired) {
    return withCode(response, rpcCode.internalError, 'reason', '"url_elicitation_required"');
  }
  if (code !== resourceNotFound) return response;
  const uri = memberOf(request?.json['params'], 'uri');
  return withCode(response, rpcCode.invalidParams, 'uri', typeof uri === 'string' ? JSON.stringify(uri) : undefined);
}

/** With another code, and a member of `data` where it has none of that name. */
function withCode(response: RpcResponse, code: number, name: string, value: string | undefined): RpcResponse {
  const data = memberOf(response.json['error'], 'data');
  const add: Change = (written) => written ?? (value === undefined ? undefined : Buffer.from(value));
  return editMessage(
    response,
    editPlan([
      [['error', 'code'], set(String(code))],
      data === undefined || isObject(data)
        ? [['error', 'data', name], add]
        : [['error', 'data'], (written) => (value === undefined ? written : Buffer.from(`{"${name}":${value}}`))],
    ]),
  );
}
