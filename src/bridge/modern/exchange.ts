import type { RpcMessage, RpcRequest, RpcResponse } from '../../mcp/json-rpc.ts';
import { listenMethod } from '../../mcp/modern-methods.ts';
import { newResult } from '../../mcp/new-message.ts';
import { failureOf, notTaken } from '../session/call-failures.ts';
import type { CallFailure, PendingRequest } from '../session/pending-request.ts';
import { withEndedSubscriptionId } from '../translate/subscriptions.ts';
import type { Upstream, UpstreamEnd } from '../upstream/upstream.ts';

export interface ExchangeOptions {
  /** As the client sent it. */
  readonly request: RpcRequest;
  readonly call: PendingRequest;
  /** For this request alone, not yet started. */
  readonly upstream: Upstream;
  /** @returns the answer as the client gets it. */
  readonly onAnswer: (response: RpcResponse) => RpcResponse;
  /** Called once. */
  readonly onOver: () => void;
}

/** One request of a modern client, from its arrival to its end, over an upstream of its own. */
export class Exchange {
  readonly #options: ExchangeOptions;
  #isOver = false;

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  /** @param request as the server gets it, but for its id. */
  begin(request: RpcRequest): void {
    const { call, upstream } = this.#options;
    upstream.start({
      onMessage: (message) => this.#receive(message),
      onLost: (end) => this.#lose(end),
      onClose: (end) => this.fail(failureOf(end)),
    });
    call.whenGone(() => {
      // The client cancels by going (MCP 2026-07-28, Streamable HTTP), which the end of the upstream tells the server.
      if (this.#end()) call.end();
    });
    if (!upstream.send(request)) this.fail(notTaken);
  }

  fail(failure: CallFailure): void {
    if (this.#end()) this.#options.call.fail(failure);
  }

  /** Ends it from this side. @param failure for a client that waits for an answer; a subscription ends with a result. */
  close(failure: CallFailure): void {
    if (this.#options.request.method === listenMethod) this.#endSubscription();
    else this.fail(failure);
  }

  #receive(message: RpcMessage): void {
    if (this.#isOver) return;
    const { request, call, upstream, onAnswer } = this.#options;
    if (message.kind === 'response') {
      if (this.#end()) call.finish(onAnswer(message));
    } else if (message.method === 'notifications/cancelled' && request.method === listenMethod) {
      this.#endSubscription();
    } else if (message.kind === 'notification' && !call.send(message)) {
      upstream.pause();
      call.whenWritable(() => upstream.resume());
    }
  }

  /** Over HTTP, it ends with a result (MCP 2026-07-28, "Subscriptions"). */
  #endSubscription(): void {
    const { request, call } = this.#options;
    const { id } = request;
    if (this.#end()) call.finish(withEndedSubscriptionId(newResult(id, { resultType: 'complete' }), id));
  }

  /** What the server has not acted on is sent again. */
  #lose(end: UpstreamEnd): void {
    const isUntaken = end.untaken?.some(({ kind }) => kind === 'request') === true;
    if (!isUntaken) this.fail(failureOf(end));
  }

  /** Returns false if it was over. */
  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    void this.#options.upstream.close();
    this.#options.onOver();
    return true;
  }
}
