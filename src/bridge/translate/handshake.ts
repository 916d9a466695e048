import { inOnePiece } from '../../platform/bytes.ts';
import { editMessage } from '../../mcp/edit-message.ts';
import { serverInfoKey, subscriptionIdKey, tasksExtension } from '../../mcp/envelope-keys.ts';
import { memberOf, type RpcResponse } from '../../mcp/json-rpc.ts';
import { editPlan, remove, set } from '../../mcp/json/edit-members.ts';
import { spanOf } from '../../mcp/json/locate-members.ts';
import { firstModernRevision, legacyRevisions, preferredRevision } from '../../mcp/revisions.ts';
import { runsToolsAsTasks } from './capabilities.ts';

/** Where a client may see that what it reads has been translated, and from what. */
const bridgeKey = 'io.github.mcp-expose/bridge';

/** The server's own description of itself in the answer to `initialize` or `server/discover`, as JSON. */
export function serverInfoIn(response: RpcResponse): Buffer | undefined {
  return valueAt(response, ['result', 'serverInfo']) ?? valueAt(response, ['result', '_meta', serverInfoKey]);
}

/**
 * A legacy server's answer to `initialize` as the answer to `server/discover` (MCP 2026-07-28, `DiscoverResult`).
 * Errors pass.
 */
export function discoverFromInitialize(response: RpcResponse): RpcResponse {
  if (response.failed) return response;
  const revision = memberOf(response.json['result'], 'protocolVersion');
  const serverInfo = serverInfoIn(response);
  const hasTasks = runsToolsAsTasks(memberOf(response.json['result'], 'capabilities'));
  return editMessage(
    response,
    editPlan([
      [['result', 'supportedVersions'], set(JSON.stringify([firstModernRevision]))],
      [['result', 'resultType'], set('"complete"')],
      [['result', 'ttlMs'], set('0')],
      [['result', 'cacheScope'], set('"private"')],
      [['result', '_meta', bridgeKey], set(labelOf('legacy', revision))],
      ...(serverInfo === undefined ? [] : [[['result', '_meta', serverInfoKey], set(serverInfo)] as const]),
      [['result', 'protocolVersion'], remove],
      [['result', 'serverInfo'], remove],
      // The eras do tasks differently (SEP-2663).
      [['result', 'capabilities', 'tasks'], remove],
      [['result', 'capabilities', 'extensions', tasksExtension], hasTasks ? set('{}') : remove],
    ]),
  );
}

/**
 * A modern server's answer to `server/discover` as the answer to `initialize` (MCP 2025-11-25, `InitializeResult`).
 * Errors pass.
 * @param requestedRevision what the client offers; it is agreed to where it is a legacy revision.
 */
export function initializeFromDiscover(response: RpcResponse, requestedRevision: unknown): RpcResponse {
  if (response.failed) return response;
  const isKnown = typeof requestedRevision === 'string' && legacyRevisions.includes(requestedRevision);
  const revision = isKnown ? requestedRevision : preferredRevision;
  return editMessage(
    response,
    editPlan([
      [['result', 'protocolVersion'], set(JSON.stringify(revision))],
      // The client requires it, and the modern era does not.
      [['result', 'serverInfo'], set(serverInfoIn(response) ?? '{"name":"unknown","version":"0"}')],
      [['result', '_meta', bridgeKey], set(labelOf('modern', firstModernRevision))],
      [['result', '_meta', serverInfoKey], remove],
      [['result', '_meta', subscriptionIdKey], remove],
      [['result', 'supportedVersions'], remove],
      [['result', 'resultType'], remove],
      [['result', 'ttlMs'], remove],
      [['result', 'cacheScope'], remove],
      [['result', 'capabilities', 'extensions', tasksExtension], remove],
    ]),
  );
}

function labelOf(upstreamEra: string, upstreamVersion: unknown): string {
  return JSON.stringify({ upstreamEra, upstreamVersion, translated: true });
}

function valueAt(response: RpcResponse, path: readonly string[]): Buffer | undefined {
  const bytes = inOnePiece(response.bytes);
  const span = spanOf(bytes, path);
  // A copy, so that it does not retain the whole response.
  return span === undefined ? undefined : Buffer.from(bytes.subarray(span.start, span.end));
}
