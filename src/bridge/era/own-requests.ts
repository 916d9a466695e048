import type { RpcResponse } from '../../mcp/json-rpc.ts';
import { clientCapabilitiesKey, clientInfoKey, protocolVersionKey } from '../../mcp/envelope-keys.ts';
import { firstModernRevision, preferredRevision } from '../../mcp/revisions.ts';
import type { Interview } from './interview.ts';

/** Asks for what a legacy client begins with (MCP 2025-11-25, lifecycle). @param clientVersion our own version. */
export function initialize(interview: Interview, clientVersion: string): Promise<RpcResponse> {
  return interview.ask('initialize', {
    protocolVersion: preferredRevision,
    capabilities: {},
    clientInfo: clientInfo(clientVersion),
  });
}

/** Asks for what a modern server is and serves (MCP 2026-07-28, discover). */
export function discover(
  interview: Interview,
  clientVersion: string,
  revision: string = firstModernRevision,
): Promise<RpcResponse> {
  // A name of its own: no server of the legacy era counts requests before `initialize`.
  const id = revision === firstModernRevision ? 'probe-1' : 'probe-2';
  return interview.ask('server/discover', inEnvelope({}, clientVersion, revision), id);
}

/** The parameters of a modern request from a client without capabilities (MCP 2026-07-28, request envelope). */
export function inEnvelope(
  params: Readonly<Record<string, unknown>>,
  clientVersion: string,
  revision: string,
): Readonly<Record<string, unknown>> {
  return {
    ...params,
    _meta: {
      [protocolVersionKey]: revision,
      [clientCapabilitiesKey]: {},
      [clientInfoKey]: clientInfo(clientVersion),
    },
  };
}

function clientInfo(version: string): Readonly<Record<string, unknown>> {
  return { name: 'mcp-expose', version };
}
