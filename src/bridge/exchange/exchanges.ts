import type { RpcNotification, RpcRequest } from '../../mcp/json-rpc.ts';
import type { Policy } from '../../policy/policy.ts';
import type { PendingRequest } from '../session/pending-request.ts';
import type { SessionCaller } from '../session/sessions.ts';
import type { ExchangeCounters } from './counters.ts';

/** A modern request that waits for its response. */
export interface ExchangeCall extends PendingRequest {
  /**
   * The `Mcp-Param-*` headers of a `tools/call`, by their names in lower case: where they are not what the tool's `inputSchema` makes
   * of the arguments, the call fails with -32020 (see param-header-check.ts).
   */
  readonly paramHeaders?: ReadonlyMap<string, string> | undefined;
}

/** How modern clients of a legacy server fare, for `/readyz`. */
export interface ExchangesReport {
  /** Connections to the server. */
  readonly children: number;
  /** Calls that wait for their clients. */
  readonly parked: number;
  /** Tasks that are kept for their clients. */
  readonly tasks: number;
  readonly counters: Readonly<ExchangeCounters>;
}

/** Serves the requests of modern clients (MCP 2026-07-28): each is complete in itself. */
export interface Exchanges {
  /**
   * Serves one request, whose envelope has been checked. `call` gets what belongs to it, and its end; `call.whenGone` means that the
   * client has cancelled (2026-07-28, Streamable HTTP: closing the response stream is cancellation). A failure with
   * `data.reason` `too_many_children` says that there is no room now.
   * @param policy what the caller may use; default: everything.
   */
  request(caller: SessionCaller, request: RpcRequest, call: ExchangeCall, policy?: Policy): void;
  /** A notification of the client that belongs to no session. */
  notify(caller: SessionCaller, notification: RpcNotification, policy?: Policy): void;
  /**
   * The `capabilities` that `server/discover` is answered with, once they are known: they tell a method that the server does not
   * serve from a call that failed with the same code.
   */
  capabilities?(): unknown;
  /** Left out where nothing is translated. */
  report?(): ExchangesReport | undefined;
  /** Ends what a caller has whose credential ended, and tells clients that wait. */
  endCaller(callerId: string): void;
  /** Ends everything and tells clients that wait; resolves when nothing of it is left. */
  close(): Promise<void>;
}
