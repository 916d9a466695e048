import { isObject, memberOf } from '../../mcp/rpc-message.ts';
import { rpcCode, type RpcResponse } from '../../mcp/json-rpc.ts';
import { eraOf, firstModernRevision } from '../../mcp/revisions.ts';

/**
 * The revision in which a server serves modern clients, from its answer to `server/discover` or to `initialize`; undefined if
 * the answer names none. What it lists counts, not that it has answered: some servers of the legacy era answer
 * `server/discover`, too, to negotiate a revision of theirs.
 */
export function modernRevisionIn({ failed, json }: RpcResponse): string | undefined {
  const listed = failed ? supportedIn(json['error']) : memberOf(json['result'], 'supportedVersions');
  const modern = Array.isArray(listed) ? listed.filter(isModern) : [];
  return modern.includes(firstModernRevision) ? firstModernRevision : modern.toSorted()[0];
}

/** The revisions in an error that says which are supported (MCP 2026-07-28, UnsupportedProtocolVersionError). */
function supportedIn(error: unknown): unknown {
  if (!isObject(error) || error['code'] !== rpcCode.unsupportedProtocolVersion) return undefined;
  return memberOf(error['data'], 'supported');
}

function isModern(revision: unknown): revision is string {
  return typeof revision === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(revision) && eraOf(revision) === 'modern';
}
