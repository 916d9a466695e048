import { clientInfoKey } from '../../mcp/envelope-keys.ts';
import { memberOf, metaOf, type RequestId, type RpcRequest } from '../../mcp/json-rpc.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Policy } from '../../policy/policy.ts';
import {
  guard,
  originOf,
  type CallOrigin,
  type GuardOptions,
  type SessionCaller,
} from '../session/guarded-upstream.ts';
import { defaultIdleTimeoutMs } from '../session/sessions.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { ModernMux } from './modern-mux.ts';

export interface CallerConnectionsOptions extends Pick<GuardOptions, 'approvals' | 'onToolsChange'> {
  readonly shared: ModernMux;
  readonly areCallersKnown: boolean;
  readonly idleTimeoutMs?: number | undefined;
  readonly clock: Clock;
  readonly onWarning: (message: string) => void;
}

/** Callers of whom something is kept; beyond it, the one that came first gives way as soon as it waits for nothing. */
const maxConnections = 1000;

interface CallerConnection {
  readonly callerId: string;
  readonly policy: Policy | undefined;
  readonly mux: ModernMux<CallOrigin>;
  cancelTimeout: () => void;
}

/**
 * The shared connection as each caller may use it. Only a caller with a policy, or whose calls need approval, has something of
 * its own: what the server says of its tools is kept from one request to the next.
 */
export class CallerConnections {
  readonly #options: CallerConnectionsOptions;
  readonly #open = new Map<string, CallerConnection>();

  constructor(options: CallerConnectionsOptions) {
    this.#options = options;
  }

  /** Number of callers of whom something is kept. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * An upstream for one message, not yet started.
   * @param request undefined for a notification, which does not say which client sends it.
   */
  attach(caller: SessionCaller, policy: Policy | undefined, request: RpcRequest | undefined): Upstream {
    const isOpen = policy === undefined || policy.isOpen;
    const { shared, areCallersKnown, approvals } = this.#options;
    if (isOpen && approvals === undefined) return shared.attach(areCallersKnown ? caller.id : undefined);
    const connection = this.#connectionOf(caller.id, policy);
    connection.cancelTimeout();
    // For whoever approves it.
    return connection.mux.attach(originOf(caller, request && memberOf(metaOf(request), clientInfoKey)));
  }

  /** Ends what is kept of a caller, and what it waits for. */
  endCaller(callerId: string): void {
    const connection = this.#open.get(callerId);
    if (connection !== undefined) this.#end(connection);
  }

  close(): void {
    for (const connection of this.#open.values()) this.#end(connection);
  }

  #connectionOf(callerId: string, policy: Policy | undefined): CallerConnection {
    const known = this.#open.get(callerId);
    if (known !== undefined && known.policy === policy) return known;
    if (known !== undefined) this.#retire(known);
    return this.#create(callerId, policy);
  }

  #create(callerId: string, policy: Policy | undefined): CallerConnection {
    const { shared, approvals, onToolsChange, clock, onWarning, idleTimeoutMs = defaultIdleTimeoutMs } = this.#options;
    const originAt = (id: RequestId): CallOrigin => mux.labelOf(id) ?? nobody;
    const mux: ModernMux<CallOrigin> = new ModernMux<CallOrigin>({
      upstream: guard(shared.attach(), { policy, approvals, originOf: originAt, onToolsChange, clock }),
      clock,
      onWarning,
      onEmpty: () => {
        if (this.#open.get(callerId) !== connection) void mux.close();
        else connection.cancelTimeout = clock.after(idleTimeoutMs, () => this.#end(connection));
      },
    });
    const connection: CallerConnection = { callerId, policy, mux, cancelTimeout() {} };
    const [oldest] = this.#open.values();
    if (this.#open.size >= maxConnections && oldest !== undefined) this.#retire(oldest);
    this.#open.set(callerId, connection);
    return connection;
  }

  /** It ends when nobody waits for it any more. */
  #retire(connection: CallerConnection): void {
    this.#open.delete(connection.callerId);
    if (connection.mux.isEmpty) this.#end(connection);
  }

  #end(connection: CallerConnection): void {
    connection.cancelTimeout();
    this.#open.delete(connection.callerId);
    void connection.mux.close();
  }
}

/** A call that is no longer in flight. */
const nobody: CallOrigin = { caller: '', client: undefined, clientInfo: { name: '', version: '' } };
