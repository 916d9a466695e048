import { rpcCode, type RequestId, type RpcRequest } from '../../mcp/json-rpc.ts';
import { newError, newResult } from '../../mcp/new-message.ts';
import type { Clock } from '../../platform/clock.ts';
import { missingCapabilities, requiredCapabilities } from '../translate/capabilities.ts';
import { attribute, type Attribution } from './attribution.ts';
import type { ClientCall } from './client-call.ts';
import type { ExchangeCounters } from './counters.ts';
import { EarlyRequests } from './early-requests.ts';
import { ServerRequest } from './input-request.ts';
import type { LegacyPeer } from './legacy-peer.ts';
import type { RunningCall } from './running-call.ts';

/** A root that clients may work in (MCP 2025-11-25, roots). */
export interface Root {
  readonly uri: string;
  readonly name?: string;
}

export interface ServerRequestsOptions {
  readonly peer: LegacyPeer;
  readonly flows: ReadonlySet<RunningCall>;
  readonly clock: Clock;
  /** Answers to requests for roots that no client can be asked. Empty: there are none. */
  readonly roots: readonly Root[];
  readonly counters: ExchangeCounters;
  /** @param kind of the warning, each of which is given once. */
  readonly warnOnce: (kind: string, message: string) => void;
}

const rootsRequired = { roots: {} } as const;

/** Takes what the server of one connection asks, and finds who answers: a client in one of its calls, a configuration, or nobody. */
export class ServerRequests {
  readonly #options: ServerRequestsOptions;
  readonly #early: EarlyRequests;

  constructor(options: ServerRequestsOptions) {
    this.#options = options;
    this.#early = new EarlyRequests(options.clock);
  }

  receive(request: RpcRequest, origin: RequestId | undefined): void {
    const { peer, flows } = this.#options;
    const { id, method, json } = request;
    if (method === 'ping') {
      peer.send(newResult(id, {}));
      return;
    }
    const required = requiredCapabilities(method, json['params']);
    if (required === undefined) {
      this.#refuse(request, rpcCode.methodNotFound, `clients of this revision do not support ${method}`);
      return;
    }
    const found = attribute(request, origin, flows);
    if (typeof found === 'object') this.#ask(request, required, found);
    else if (method === 'roots/list' && found === 'none') this.#answerEarly(request);
    else {
      const where =
        found === 'unfit' ? 'during a request that cannot be answered with a question' : 'outside of any call';
      this.#refuse(request, rpcCode.internalError, `${method} cannot be carried to the client ${where}`);
    }
  }

  /** The server has withdrawn a request. */
  withdraw(id: RequestId): void {
    if (this.#early.withdraw(id)) return;
    for (const flow of this.#options.flows) if (flow.withdraw(id)) return;
  }

  /** Requests from before any call, which this call's client can answer. */
  adopt({ capabilities }: ClientCall): readonly ServerRequest[] {
    return missingCapabilities(rootsRequired, capabilities) === undefined ? this.#early.take() : [];
  }

  /** The call is over in which a request was to be put to its client. */
  reroute(serverRequest: ServerRequest): void {
    const { request, isCertain } = serverRequest;
    const found = isCertain ? 'unfit' : attribute(request, undefined, this.#options.flows);
    if (typeof found === 'object') found.flow.ask(this.#serverRequest(request, false));
    else if (request.method === 'roots/list' && found === 'none') this.#answerEarly(request);
    else serverRequest.giveUp();
  }

  /** The server does not remember any. */
  clear(): void {
    this.#early.clear();
    for (const flow of this.#options.flows) flow.forgetServerRequests();
  }

  #ask(
    request: RpcRequest,
    required: Readonly<Record<string, unknown>>,
    { flow, isCertain, isAmbiguous }: Attribution,
  ): void {
    const { counters, warnOnce, roots } = this.#options;
    const missing = missingCapabilities(required, flow.capabilities);
    if (missing !== undefined) {
      if (request.method === 'roots/list' && roots.length > 0) {
        this.#answerRoots(request);
        return;
      }
      // What the server has not seen cannot fail for that: it asks for another reason, such as our reading the list of tools.
      if (!flow.isHeld) flow.refused(missing);
      this.#refuse(request, rpcCode.internalError, `the client does not support ${request.method}`);
      return;
    }
    if (isAmbiguous) {
      counters.ambiguousAttributions++;
      warnOnce(
        'ambiguous',
        'the server does not say to which of several calls a request of it belongs: the newest is taken',
      );
    }
    flow.ask(this.#serverRequest(request, isCertain));
  }

  #answerEarly(request: RpcRequest): void {
    if (this.#options.roots.length > 0) {
      this.#answerRoots(request);
      return;
    }
    const lists = [...this.#options.flows].filter((flow) => flow.isRunning);
    this.#early.hold(this.#serverRequest(request, true), () => lists.some((flow) => flow.isRunning));
  }

  #answerRoots({ id }: RpcRequest): void {
    this.#options.peer.send(newResult(id, { roots: this.#options.roots }));
  }

  #serverRequest(request: RpcRequest, isCertain: boolean): ServerRequest {
    return new ServerRequest(request, isCertain, (response) => this.#options.peer.send(response));
  }

  #refuse({ id, method }: RpcRequest, code: number, message: string): void {
    const { peer, counters, warnOnce } = this.#options;
    counters.refusedServerRequests++;
    warnOnce(`refused ${method}`, `refused a request of the server: ${message}`);
    peer.send(newError({ id, code, message, data: { reason: 'not_carried' } }));
  }
}
