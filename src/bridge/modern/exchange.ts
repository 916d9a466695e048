import type { RpcMessage, RpcRequest, RpcResponse } from '../../mcp/json-rpc.ts';
import { listenMethod } from '../../mcp/modern-methods.ts';
import { newResult } from '../../mcp/new-message.ts';
import { failureOf, notTaken } from '../session/call-failures.ts';
import type { CallFailure, PendingRequest } from '../session/pending-request.ts';
import { withEndedSubscriptionId } from '../translate/subscriptions.ts';
import type { Upstream, UpstreamEnd, UpstreamEvents } from '../upstream/upstream.ts';

export interface ExchangeOptions {
  /** As the client sent it. */
  readonly request: RpcRequest;
  readonly call: PendingRequest;
  /** For this request alone, not yet started. */
  readonly upstream: Upstream;
  /** @returns the answer as the client gets it. */
  readonly onAnswer: (response: RpcResponse) => RpcResponse;
  /** Called once. */
  readonly onOver: (exchange: Exchange) => void;
}

/** One request of a modern client, from its arrival to its end, over an upstream of its own. */
export class Exchange implements UpstreamEvents {
  /**
   * Undefined when it is over. V8 keeps what was in a table that a Set has outgrown until a full collection: what is over must not
   * hold its HTTP request.
   */
  #options: ExchangeOptions | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  /** @param request as the server gets it, but for its id. */
  begin(request: RpcRequest): void {
    if (this.#options === undefined) return;
    const { call, upstream } = this.#options;
    upstream.start(this);
    // The client cancels by going (MCP 2026-07-28, Streamable HTTP), which the end of the upstream tells the server.
    call.whenGone(() => this.#end()?.call.end());
    if (!upstream.send(request)) this.fail(notTaken);
  }

  fail(failure: CallFailure): void {
    this.#end()?.call.fail(failure);
  }

  /** Ends it from this side. @param failure for a client that waits for an answer; a subscription ends with a result. */
  close(failure: CallFailure): void {
    if (this.#options?.request.method === listenMethod) this.#endSubscription();
    else this.fail(failure);
  }

  onMessage(message: RpcMessage): void {
    if (this.#options === undefined) return;
    const { request, call, upstream } = this.#options;
    if (message.kind === 'response') {
      const ended = this.#end();
      ended?.call.finish(ended.onAnswer(message));
    } else if (message.method === 'notifications/cancelled' && request.method === listenMethod) {
      this.#endSubscription();
    } else if (message.kind === 'notification' && !call.send(message)) {
      upstream.pause();
      call.whenWritable(() => upstream.resume());
    }
  }

  /** What the server has not acted on is sent again. */
  onLost(end: UpstreamEnd): void {
    const isUntaken = end.untaken?.some(({ kind }) => kind === 'request') === true;
    if (!isUntaken) this.fail(failureOf(end));
  }

  onClose(end: UpstreamEnd): void {
    this.fail(failureOf(end));
  }

  /** Over HTTP, it ends with a result (MCP 2026-07-28, "Subscriptions"). */
  #endSubscription(): void {
    const ended = this.#end();
    if (ended === undefined) return;
    const { id } = ended.request;
    ended.call.finish(withEndedSubscriptionId(newResult(id, { resultType: 'complete' }), id));
  }

  /** Returns what it was; undefined if it was over. */
  #end(): ExchangeOptions | undefined {
    const ended = this.#options;
    if (ended === undefined) return undefined;
    this.#options = undefined;
    void ended.upstream.close();
    ended.onOver(this);
    return ended;
  }
}
