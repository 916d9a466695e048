import { isObject, memberOf } from '../../mcp/rpc-message.ts';
import { rpcCode, type RpcResponse } from '../../mcp/json-rpc.ts';
import { eraOf, firstModernRevision, type Era } from '../../mcp/revisions.ts';

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

/** What servers of the legacy era answer to a request without a session, and any to one that they do not know. */
const denialCodes: ReadonlySet<unknown> = new Set([rpcCode.methodNotFound, rpcCode.invalidRequest, -32000, -32001]);
const denialStatuses: ReadonlySet<unknown> = new Set([400, 404, 405]);

/** Whether an answer makes it worth asking anew what the server is, which was spoken to in this era. */
export function deniesEra(era: Era, response: RpcResponse): boolean {
  if (!response.failed) return false;
  if (era === 'legacy') return modernRevisionIn(response) !== undefined;
  const error = response.json['error'];
  return denialCodes.has(memberOf(error, 'code')) || denialStatuses.has(memberOf(memberOf(error, 'data'), 'status'));
}

/** The revisions in an error that says which are supported (MCP 2026-07-28, UnsupportedProtocolVersionError). */
function supportedIn(error: unknown): unknown {
  if (!isObject(error) || error['code'] !== rpcCode.unsupportedProtocolVersion) return undefined;
  return memberOf(error['data'], 'supported');
}

function isModern(revision: unknown): revision is string {
  return typeof revision === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(revision) && eraOf(revision) === 'modern';
}
