import { randomBytes } from 'node:crypto';

import { memberOf, type RequestId, type RpcMessage, type RpcRequest, type RpcResponse } from '../../mcp/json-rpc.ts';
import { newNotification, newRequest } from '../../mcp/new-message.ts';
import { withId } from '../../mcp/request-id.ts';
import { cancelledBy, isInitialized } from '../../mcp/lifecycle.ts';

/** Subscriptions that are remembered; a client that watches more files than this would notice nothing of a restart. */
const maxSubscriptions = 10_000;

/** All their URIs together, in characters: 400 for each of 10,000, more than any real URI needs. */
const maxSubscriptionLength = 4_000_000;

/** Lists of which a server may tell that they have changed (MCP 2025-11-25, initialization, capabilities). */
const lists = ['tools', 'prompts', 'resources'] as const;

/** Requests whose success changes what a server knows of its client. */
const lasting = new Set(['initialize', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe']);

/**
 * Remembers what a client has told its server that the server must know for longer than one request, so that another
 * process of the server can be told the same.
 */
export class Replay {
  /** With what ids of ours begin. Nobody can guess it, so no id of a client does. */
  readonly prefix: string = `mcp-expose-${randomBytes(16).toString('base64url')}-`;
  readonly #onWarning: (message: string) => void;
  #lastId = 0;
  readonly #unanswered = new Map<RequestId, RpcRequest>();
  #agreement: { readonly request: RpcRequest; readonly revision: string } | undefined;
  #isReady = false;
  #level: unknown;
  readonly #subscriptions = new Set<string>();
  #subscriptionLength = 0;
  #hasWarned = false;
  /** Methods of what was replayed and is not answered yet. */
  readonly #replayed = new Map<RequestId, string>();
  #isRefused = false;

  /** @param onWarning told once when there is more than can be remembered. */
  constructor(onWarning: (message: string) => void) {
    this.#onWarning = onWarning;
  }

  /** Whether client and server have agreed: only then is there something to replay. */
  get isAgreed(): boolean {
    return this.#agreement !== undefined;
  }

  /** Notes what a message of the client would change, before it is sent. */
  sending(message: RpcMessage): void {
    if (message.kind === 'request' && lasting.has(message.method)) this.#unanswered.set(message.id, message);
    if (isInitialized(message)) this.#isReady = true;
    // Nobody waits for its answer any more, which may never come.
    const cancelled = cancelledBy(message);
    if (cancelled !== undefined) this.#unanswered.delete(cancelled);
  }

  notSent(id: RequestId): void {
    this.#unanswered.delete(id);
  }

  /** Notes what a response of the server has changed. */
  answered(response: RpcResponse): void {
    const request = this.#unanswered.get(response.id);
    if (request === undefined) return;
    this.#unanswered.delete(response.id);
    if (!response.failed) this.#apply(request, response.json['result']);
  }

  /** Whether a message that comes between two connections need not wait for the next one, which is told the same or forgets it. */
  replaces(message: RpcMessage): boolean {
    if (message.kind === 'request') return this.isOwn(message.id);
    if (message.kind === 'response' || cancelledBy(message) !== undefined) return true;
    if (isInitialized(message)) this.#isReady = true;
    return isInitialized(message) || message.method === 'notifications/progress';
  }

  /** What has not been answered by now never will be. */
  lose(): void {
    this.#unanswered.clear();
    this.#replayed.clear();
    this.#isRefused = false;
  }

  /** The client's `initialize`, with a new id of ours. */
  initialize(): RpcRequest {
    if (this.#agreement === undefined) throw new Error('nothing was agreed on that could be replayed');
    return withId(this.#agreement.request, this.#nextId());
  }

  /** Why the answer to that does not do, or undefined when both sides have agreed on the same as before. */
  objection(response: RpcResponse): string | undefined {
    if (response.failed) return `it refused initialize: ${reasonIn(response)}`;
    const revision = memberOf(response.json['result'], 'protocolVersion');
    const before = this.#agreement?.revision;
    if (revision === before) return undefined;
    return `it speaks revision ${JSON.stringify(revision)} now, and the client ${JSON.stringify(before)}`;
  }

  /** What follows: that the client is ready, its log level, its subscriptions. Empty if the client was not ready yet. */
  rest(): RpcMessage[] {
    if (!this.#isReady) return [];
    const level = this.#level;
    const requests = [
      ...(level === undefined ? [] : [newRequest(this.#nextId(), 'logging/setLevel', { level })]),
      ...Array.from(this.#subscriptions, (uri) => newRequest(this.#nextId(), 'resources/subscribe', { uri })),
    ];
    for (const { id, method } of requests) this.#replayed.set(id, method);
    return [newNotification('notifications/initialized'), ...requests];
  }

  /** What the server has refused of the rest, in words: the first of it, since all may fail alike. */
  refusal(response: RpcResponse): string | undefined {
    const method = this.#replayed.get(response.id);
    this.#replayed.delete(response.id);
    if (method === undefined || !response.failed || this.#isRefused) return undefined;
    this.#isRefused = true;
    return `${method}: ${reasonIn(response)}`;
  }

  /** What the client should look at again, since the new server may have another list of it than the old one had. */
  changes({ json }: RpcResponse): RpcMessage[] {
    if (!this.#isReady) return [];
    const capabilities = memberOf(json['result'], 'capabilities');
    return lists
      .filter((list) => memberOf(memberOf(capabilities, list), 'listChanged') === true)
      .map((list) => newNotification(`notifications/${list}/list_changed`));
  }

  isOwn(id: RequestId): boolean {
    return typeof id === 'string' && id.startsWith(this.prefix);
  }

  #nextId(): string {
    return `${this.prefix}${++this.#lastId}`;
  }

  #apply(request: RpcRequest, result: unknown): void {
    const { method, json } = request;
    const { params } = json;
    const uri = memberOf(params, 'uri');
    const revision = memberOf(result, 'protocolVersion');
    if (method === 'initialize' && typeof revision === 'string') this.#agreement = { request, revision };
    else if (method === 'logging/setLevel') this.#level = memberOf(params, 'level');
    else if (method === 'resources/subscribe' && typeof uri === 'string') this.#subscribe(uri);
    else if (method === 'resources/unsubscribe' && typeof uri === 'string' && this.#subscriptions.delete(uri))
      this.#subscriptionLength -= uri.length;
  }

  #subscribe(uri: string): void {
    if (this.#subscriptions.has(uri)) return;
    if (this.#subscriptions.size < maxSubscriptions && this.#subscriptionLength + uri.length <= maxSubscriptionLength) {
      this.#subscriptions.add(uri);
      this.#subscriptionLength += uri.length;
      return;
    }
    const limit = `${maxSubscriptions} or ${maxSubscriptionLength} characters`;
    const warning = `a client subscribes to more than ${limit} of resources: not all will survive a restart of the server`;
    if (!this.#hasWarned) this.#onWarning(warning);
    this.#hasWarned = true;
  }
}

function reasonIn({ json }: RpcResponse): string {
  const message = memberOf(json['error'], 'message');
  return typeof message === 'string' ? message : 'it gave no reason';
}
