import type { Exchanges } from '../bridge/exchange/exchanges.ts';
import { memberOf, rpcCode } from '../mcp/json-rpc.ts';
import { capabilityOf } from '../mcp/modern-methods.ts';
import type { PostResponseOptions } from './responses/post-response.ts';

/** Errors that say that the request itself is wrong (MCP 2026-07-28, Streamable HTTP, and "Error Codes"). */
const badRequests: ReadonlySet<unknown> = new Set([
  rpcCode.parseError,
  rpcCode.invalidRequest,
  rpcCode.headerMismatch,
  rpcCode.missingClientCapability,
  rpcCode.unsupportedProtocolVersion,
]);

/** How long a client should wait before it tries again, in seconds. */
const retryAfterSeconds = '5';

/**
 * The HTTP status of errors that a modern request may get; all others are sent with 200. `-32601` is 404 only if the server does not
 * serve the method: it may also be the outcome of a call, and some clients do not read the body of a 404.
 */
export function exchangeStatusOf(
  method: string,
  exchanges: Pick<Exchanges, 'capabilities'>,
): NonNullable<PostResponseOptions['refusalOf']> {
  return ({ code, reason }) => {
    if (badRequests.has(code)) return { status: 400 };
    if (code === rpcCode.methodNotFound && !isServed(method, exchanges.capabilities?.())) return { status: 404 };
    return reason === 'too_many_children' ? { status: 503, headers: { 'retry-after': retryAfterSeconds } } : undefined;
  };
}

/** @param capabilities of the server; undefined while they are not known. */
function isServed(method: string, capabilities: unknown): boolean {
  const capability = capabilityOf(method);
  if (capability === undefined) return false;
  return capabilities === undefined || memberOf(capabilities, capability) !== undefined;
}
