import { memberOf, type RpcNotification, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { systemClock, type Clock } from '../../platform/clock.ts';
import type { Policy } from '../../policy/policy.ts';
import type { ExchangeCall, Exchanges } from '../exchange/exchanges.ts';
import { Owners } from '../exchange/owners.ts';
import { ParamHeaderCheck } from '../exchange/param-header-check.ts';
import { credentialEnded, maxCalls, shuttingDown, tooManyCalls } from '../session/call-failures.ts';
import type { GuardOptions, SessionCaller } from '../session/guarded-upstream.ts';
import type { CallFailure } from '../session/pending-request.ts';
import { CallerConnections } from './caller-connections.ts';
import { Exchange } from './exchange.ts';
import { ForwardedStates } from './forwarded-states.ts';
import { ForwardedTasks } from './forwarded-tasks.ts';
import type { ModernMux } from './modern-mux.ts';

export interface SameEraExchangesOptions extends Pick<GuardOptions, 'approvals' | 'onToolsChange'> {
  /** The connection to the server. It is not closed here. */
  readonly shared: ModernMux;
  /** What the server has answered to another `server/discover`, if it was asked. */
  readonly introduction?: RpcResponse | undefined;
  /** Whether callers have credentials, so that one must not go on with what another one has begun. */
  readonly areCallersKnown: boolean;
  /** How long is kept what is known for a caller who sends nothing, in milliseconds. Default 30 minutes. */
  readonly idleTimeoutMs?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly onWarning: (message: string) => void;
}

/** Serves modern clients of a modern server: messages pass as they are, but for the ids and what a policy hides. */
export function createSameEraExchanges(options: SameEraExchangesOptions): Exchanges {
  return new SameEraExchanges(options);
}

/** A modern client cancels a request by closing its response; its ids are not those of others. */
const swallowed: ReadonlySet<string> = new Set(['notifications/cancelled']);

class SameEraExchanges implements Exchanges {
  readonly #connections: CallerConnections;
  readonly #states: ForwardedStates | undefined;
  readonly #tasks: ForwardedTasks | undefined;
  readonly #owners = new Owners();
  readonly #paramHeaders: ParamHeaderCheck;
  /** By caller. */
  readonly #open = new Map<string, Set<Exchange>>();
  #capabilities: unknown;
  #isClosed = false;

  constructor(options: SameEraExchangesOptions) {
    const { areCallersKnown, introduction, clock = systemClock } = options;
    this.#noteCapabilities(introduction);
    this.#paramHeaders = new ParamHeaderCheck(clock);
    this.#connections = new CallerConnections({ ...options, clock });
    this.#states = areCallersKnown ? new ForwardedStates() : undefined;
    this.#tasks = areCallersKnown ? new ForwardedTasks() : undefined;
    options.shared.attach().start({ onMessage() {}, onLost: () => this.#tasks?.clear(), onClose() {} });
  }

  request(caller: SessionCaller, request: RpcRequest, call: ExchangeCall, policy?: Policy): void {
    const ask = (list: RpcRequest, pending: ExchangeCall): void => this.request(caller, list, pending, policy);
    const owner = (): string => this.#owners.of(caller.id, policy);
    this.#paramHeaders.check(request, call, owner, ask, () => this.#serve(caller, request, call, policy));
  }

  notify(caller: SessionCaller, notification: RpcNotification, policy?: Policy): void {
    if (this.#isClosed || swallowed.has(notification.method)) return;
    const upstream = this.#connections.attach(caller, policy, undefined);
    upstream.start({ onMessage() {}, onClose() {} });
    upstream.send(notification);
    void upstream.close();
  }

  capabilities(): unknown {
    return this.#capabilities;
  }

  endCaller(callerId: string): void {
    for (const exchange of this.#open.get(callerId) ?? []) exchange.close(credentialEnded);
    this.#connections.endCaller(callerId);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const own of this.#open.values()) for (const exchange of own) exchange.close(shuttingDown);
    this.#connections.close();
  }

  #serve(caller: SessionCaller, request: RpcRequest, call: ExchangeCall, policy: Policy | undefined): void {
    const own = this.#open.get(caller.id) ?? new Set();
    if (this.#isClosed) {
      call.fail(shuttingDown);
    } else if (own.size >= maxCalls) {
      call.fail(tooManyCalls);
    } else {
      const sent = this.#permitted(request, caller, policy);
      if ('code' in sent) call.fail(sent);
      else this.#begin(caller, request, sent, call, policy, own);
    }
  }

  /** The request as the server gets it, or why it does not: it goes on with what another caller has begun. */
  #permitted(request: RpcRequest, { id }: SessionCaller, policy: Policy | undefined): RpcRequest | CallFailure {
    const opened = this.#states?.opened(request, id) ?? request;
    return 'code' in opened ? opened : (this.#tasks?.checked(opened, () => this.#owners.of(id, policy)) ?? opened);
  }

  #begin(
    caller: SessionCaller,
    request: RpcRequest,
    sent: RpcRequest,
    call: ExchangeCall,
    policy: Policy | undefined,
    own: Set<Exchange>,
  ): void {
    const exchange = new Exchange({
      request,
      call,
      upstream: this.#connections.attach(caller, policy, request),
      onAnswer: (response) => this.#answerOf(response, request, caller, policy),
      onOver: (ended) => {
        if (own.delete(ended) && own.size === 0) this.#open.delete(caller.id);
      },
    });
    this.#open.set(caller.id, own.add(exchange));
    exchange.begin(sent);
  }

  #answerOf(
    response: RpcResponse,
    request: RpcRequest,
    caller: SessionCaller,
    policy: Policy | undefined,
  ): RpcResponse {
    if (request.method === 'server/discover' && !response.failed) this.#noteCapabilities(response);
    if (request.method === 'tools/list') this.#paramHeaders.learn(response);
    this.#tasks?.learn(response, () => this.#owners.of(caller.id, policy));
    return this.#states?.sealed(response, request, caller.id) ?? response;
  }

  /** @param discovered what the server has answered to `server/discover`. */
  #noteCapabilities(discovered: RpcResponse | undefined): void {
    this.#capabilities = memberOf(discovered?.json['result'], 'capabilities');
  }
}
