import type { Caller } from '../auth/caller.ts';
import type { Session } from '../bridge/session/session.ts';
import type { Sessions } from '../bridge/session/sessions.ts';
import { revisionHeader, sessionHeader } from '../mcp/headers.ts';
import { rpcCode, type RequestId } from '../mcp/json-rpc.ts';
import { legacyRevisions } from '../mcp/revisions.ts';
import type { Policy } from '../policy/policy.ts';
import { valueOf, type HttpRequest, type HttpResponse } from './message.ts';
import { refuse } from './responses/json-response.ts';

/** What a caller may use in the sessions that it opens. */
export type PolicyOf = (caller: Caller) => Policy;

/**
 * Finds the session that a request names (MCP 2025-11-25, Streamable HTTP, "Session Management").
 * @param id the id of the JSON-RPC request, for errors.
 * @returns undefined if the request has been refused.
 */
export function findSession(
  sessions: Sessions,
  request: HttpRequest,
  response: HttpResponse,
  caller: Caller,
  id: RequestId | null = null,
): Session | undefined {
  const sessionId = valueOf(request, sessionHeader);
  const session = sessionId === undefined ? undefined : sessions.find(sessionId, caller.id);
  const revision = valueOf(request, revisionHeader);
  if (sessionId === undefined) {
    const message = 'the Mcp-Session-Id header is missing: send initialize first';
    refuse(request, response, { status: 400, message, id });
  } else if (session === undefined) {
    const message = 'unknown session, it may have ended: send initialize without Mcp-Session-Id';
    refuse(request, response, { status: 404, code: rpcCode.sessionNotFound, message, id });
  } else if (revision !== undefined && revision !== session.revision && !legacyRevisions.includes(revision)) {
    const message = `the MCP-Protocol-Version ${JSON.stringify(revision.slice(0, 64))} is not supported`;
    refuse(request, response, { status: 400, message, id });
  } else {
    return session;
  }
  return undefined;
}
