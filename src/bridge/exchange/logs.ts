import { memberOf, type RequestId, type RpcNotification } from '../../mcp/json-rpc.ts';
import { levelOf, severityOf } from '../../mcp/log-levels.ts';
import type { ClientCall } from './client-call.ts';
import type { LegacyPeer } from './legacy-peer.ts';
import type { RunningCall } from './running-call.ts';

/**
 * The log messages of one server: a modern client says with each request what it wants, a legacy server has one level for all (MCP
 * 2025-11-25, logging). It is told the most verbose that was wanted so far.
 */
export class Logs {
  readonly #peer: LegacyPeer;
  #isSupported = false;
  /** What the server was told last. */
  #severity = Infinity;

  constructor(peer: LegacyPeer) {
    this.#peer = peer;
  }

  /** @param capabilities of the server. */
  introduced(capabilities: unknown): void {
    this.#isSupported = memberOf(capabilities, 'logging') !== undefined;
  }

  /** To be called before the server gets the call. */
  prepare({ severity }: ClientCall): void {
    if (!this.#isSupported || severity === undefined || severity >= this.#severity) return;
    this.#severity = severity;
    this.#peer.tell('logging/setLevel', { level: levelOf(severity) });
  }

  /**
   * The one call that a message goes to: that on whose stream it came, or else the newest whose client wants it (MCP 2026-07-28,
   * logging: "only on the response stream of the request").
   */
  receiverOf(
    { json }: RpcNotification,
    origin: RequestId | undefined,
    flows: Iterable<RunningCall>,
  ): ClientCall | undefined {
    const severity = severityOf(memberOf(json['params'], 'level'));
    let newest: ClientCall | undefined;
    for (const { call, upstreamId } of flows) {
      if (call?.severity === undefined || (severity !== undefined && severity < call.severity)) continue;
      if (origin === undefined || origin === upstreamId) newest = call;
    }
    return newest;
  }
}
