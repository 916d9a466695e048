import type { Clock } from '../../platform/clock.ts';
import {
  memberOf,
  type RequestId,
  type RpcMessage,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
} from '../../mcp/json-rpc.ts';
import { newNotification, newRequest } from '../../mcp/new-message.ts';
import { eraOf, preferredRevision } from '../../mcp/revisions.ts';
import { callFailure, failureOf, notTaken } from '../session/call-failures.ts';
import type { CallFailure } from '../session/pending-request.ts';
import type { Upstream, UpstreamEnd } from '../upstream/upstream.ts';

/** A request that a server has been sent. Exactly one of both is called, unless it is cancelled. */
export interface PeerCall {
  /** The server has answered. */
  answered(response: RpcResponse): void;
  /** It will not. */
  failed(failure: CallFailure): void;
}

export interface LegacyPeerOptions {
  readonly upstream: Upstream;
  /** Those that the server is told. */
  readonly capabilities: Readonly<Record<string, unknown>>;
  /** What mcp-expose is called, as `Implementation` (MCP 2025-11-25). */
  readonly clientInfo: Readonly<Record<string, unknown>>;
  /** How long the server may take to answer `initialize`, in milliseconds. */
  readonly startTimeoutMs: number;
  readonly clock: Clock;
  /** The server has answered `initialize`. */
  readonly onOpen: (initialized: RpcResponse) => void;
  readonly onServerRequest: (request: RpcRequest, origin: RequestId | undefined) => void;
  readonly onNotification: (notification: RpcNotification, origin: RequestId | undefined) => void;
  /** The server has been started again, and has forgotten what it asked. Calls that are lost have failed. */
  readonly onLost: () => void;
  /** Nothing can be sent any more; open calls have failed. Called once. */
  readonly onEnd: (failure: CallFailure) => void;
}

/** A legacy server, of which mcp-expose itself is the client (MCP 2025-11-25, lifecycle). Ids are its own. */
export class LegacyPeer {
  readonly #options: LegacyPeerOptions;
  readonly #calls = new Map<RequestId, PeerCall>();
  #lastId = 0;
  #isOpen = false;
  #isOver = false;
  #cancelStartTimeout: (() => void) | undefined;

  constructor(options: LegacyPeerOptions) {
    this.#options = options;
  }

  /** Number of requests that have no answer. */
  get size(): number {
    return this.#calls.size;
  }

  /** Whether the server has answered `initialize`: before, nothing may be sent. */
  get isOpen(): boolean {
    return this.#isOpen && !this.#isOver;
  }

  /** Starts the server and introduces us. */
  start(): void {
    const { upstream, capabilities, clientInfo, startTimeoutMs, clock } = this.#options;
    upstream.start({
      onMessage: (message, origin) => this.#receive(message, origin),
      onLost: (end) => this.#lose(end),
      onClose: (end) => this.#end(failureOf(end)),
    });
    if (this.#isOver) return;
    this.#cancelStartTimeout = clock.after(startTimeoutMs, () => {
      this.#fail(
        callFailure('upstream_silent', `the server did not answer initialize within ${startTimeoutMs / 1000} s`),
      );
    });
    const params = { protocolVersion: preferredRevision, capabilities, clientInfo };
    this.request(newRequest(this.nextId(), 'initialize', params), {
      answered: (response) => this.#introduced(response),
      failed: (failure) => this.#fail(failure),
    });
  }

  /** An id that no request has had. */
  nextId(): number {
    return ++this.#lastId;
  }

  /** Sends a request with such an id. */
  request(request: RpcRequest, call: PeerCall): void {
    this.#calls.set(request.id, call);
    if (!this.#options.upstream.send(request) && this.#calls.delete(request.id)) call.failed(notTaken);
  }

  /** Whether the server has not seen a request yet. */
  isHeld(id: RequestId): boolean {
    return this.#options.upstream.withdrawalOf?.(id) !== undefined;
  }

  /** Nobody waits for the answer any more. @param late gets it should it come; default: it is dropped. */
  cancel(requestId: RequestId, reason: string, late?: PeerCall): void {
    if (!this.#calls.delete(requestId)) return;
    if (late !== undefined) this.#calls.set(requestId, late);
    this.send(newNotification('notifications/cancelled', { requestId, reason }));
  }

  /** Sends a request of ours. @param onAnswer told whether it has failed. */
  tell(
    method: string,
    params: Readonly<Record<string, unknown>>,
    onAnswer: (failed: boolean) => void = () => {},
  ): void {
    this.request(newRequest(this.nextId(), method, params), {
      answered: ({ failed }) => onAnswer(failed),
      failed: () => onAnswer(true),
    });
  }

  /** Sends what has no answer. */
  send(message: RpcNotification | RpcResponse): void {
    this.#options.upstream.send(message);
  }

  /** Ends the server. @param failure for its open calls. */
  close(failure: CallFailure): Promise<void> {
    this.#end(failure);
    return this.#options.upstream.close();
  }

  #receive(message: RpcMessage, origin: RequestId | undefined): void {
    if (this.#isOver) return;
    if (message.kind === 'request') this.#options.onServerRequest(message, origin);
    else if (message.kind === 'notification') this.#options.onNotification(message, origin);
    else {
      const call = this.#calls.get(message.id);
      this.#calls.delete(message.id);
      call?.answered(message);
    }
  }

  #introduced(response: RpcResponse): void {
    const { result, error } = response.json;
    const revision = memberOf(result, 'protocolVersion');
    if (response.failed) {
      const reason = memberOf(error, 'message');
      this.#refused(`the server refused initialize: ${typeof reason === 'string' ? reason : 'it gave no reason'}`);
    } else if (typeof revision !== 'string' || eraOf(revision) === 'modern') {
      this.#refused(`the server answered initialize with revision ${JSON.stringify(revision)?.slice(0, 64)}`);
    } else {
      this.#cancelStartTimeout?.();
      this.#isOpen = true;
      this.send(newNotification('notifications/initialized'));
      this.#options.onOpen(response);
    }
  }

  #refused(message: string): void {
    this.#fail(callFailure('upstream_refused', message));
  }

  #fail(failure: CallFailure): void {
    void this.close(failure);
  }

  /** What is sent again is still in flight. */
  #lose(end: UpstreamEnd): void {
    const surviving = new Set(end.untaken?.flatMap((message) => (message.kind === 'request' ? [message.id] : [])));
    this.#options.onLost();
    this.#failCalls(failureOf(end), surviving);
  }

  #failCalls(failure: CallFailure, surviving: ReadonlySet<RequestId> = new Set()): void {
    // Without what they send instead.
    const calls = [...this.#calls];
    for (const [id, call] of calls) {
      if (!surviving.has(id) && this.#calls.delete(id)) call.failed(failure);
    }
  }

  #end(failure: CallFailure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelStartTimeout?.();
    this.#failCalls(failure);
    this.#options.onEnd(failure);
  }
}
