import { editMessage } from '../../mcp/edit-message.ts';
import { clientCapabilitiesKey, clientInfoKey, logLevelKey, protocolVersionKey } from '../../mcp/envelope-keys.ts';
import type { RpcRequest } from '../../mcp/json-rpc.ts';
import { editPlan, remove, set, type Change, type EditPlan } from '../../mcp/json/edit-members.ts';
import { firstModernRevision } from '../../mcp/revisions.ts';

/** What a modern request says of its client, each as JSON. */
export interface RequestEnvelope {
  readonly clientCapabilities: Buffer | string;
  readonly clientInfo?: Buffer | string | undefined;
  readonly logLevel?: string | undefined;
}

/** The envelope in the form in which it is put into many requests. */
export function compileEnvelope({ clientCapabilities, clientInfo, logLevel }: RequestEnvelope): EditPlan {
  return editPlan([
    metaEdit(protocolVersionKey, set(JSON.stringify(firstModernRevision))),
    metaEdit(clientCapabilitiesKey, set(clientCapabilities)),
    metaEdit(clientInfoKey, clientInfo === undefined ? remove : set(clientInfo)),
    metaEdit(logLevelKey, logLevel === undefined ? remove : set(JSON.stringify(logLevel))),
  ]);
}

/** A legacy request as a modern one: it states its revision, and what its client can do (MCP 2026-07-28). */
export function stampEnvelope(request: RpcRequest, envelope: EditPlan): RpcRequest {
  return editMessage(request, envelope);
}

/**
 * What makes a modern request a legacy one, as for `editPlan`: it goes without its envelope and what only a modern server reads.
 * Progress token and trace stay.
 */
export const strippedEdits: readonly (readonly [readonly string[], Change])[] = [
  metaEdit(protocolVersionKey, remove),
  metaEdit(clientCapabilitiesKey, remove),
  metaEdit(clientInfoKey, remove),
  metaEdit(logLevelKey, remove),
  [['params', 'inputResponses'], remove],
  [['params', 'requestState'], remove],
  // A modern server ignores it (SEP-2663); a legacy one would run the call as a task.
  [['params', 'task'], remove],
];

function metaEdit(key: string, change: Change): readonly [readonly string[], Change] {
  return [['params', '_meta', key], change];
}
