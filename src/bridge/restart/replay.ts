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
const lasting: ReadonlySet<string> = new Set([
  'initialize',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
]);

export interface Replay {
  /** With what ids of ours begin, and no id of a client does. */
  readonly prefix: string;
  /** Whether client and server have agreed: only then is there something to replay. */
  readonly isAgreed: boolean;
  /** Notes what a message of the client would change, before it is sent. */
  sending(message: RpcMessage): void;
  /** It was not sent after all. */
  notSent(id: RequestId): void;
  /** Notes what a response of the server has changed. */
  answered(response: RpcResponse): void;
  /** What has not been answered by now never will be. */
  lose(): void;
  /** The client's `initialize`, with a new id of ours. */
  initialize(): RpcRequest;
  /** Why the answer to that does not do, or undefined when both sides have agreed on the same as before. */
  objection(response: RpcResponse): string | undefined;
  /** What follows: that the client is ready, its log level, its subscriptions. Empty if the client was not ready yet. */
  rest(): RpcMessage[];
  /** What the client should look at again, since the new server may have another list of it than the old one had. */
  changes(response: RpcResponse): RpcMessage[];
  /** What the server has refused of the rest, in words: the first of it, since all may fail alike. */
  refusal(response: RpcResponse): string | undefined;
  /** Whether an id is one of ours. */
  isOwn(id: RequestId): boolean;
}

/**
 * Remembers what a client has told its server that the server must know for longer than one request, so that another
 * process of the server can be told the same.
 * @param onWarning told once when there is more than can be remembered.
 */
export function createReplay(onWarning: (message: string) => void): Replay {
  // Nobody can guess it, so no id of a client begins with it.
  const prefix = `mcp-expose-${randomBytes(16).toString('base64url')}-`;
  let lastId = 0;
  const unanswered = new Map<RequestId, RpcRequest>();
  let agreement: { readonly request: RpcRequest; readonly revision: string } | undefined;
  let isReady = false;
  let level: unknown;
  const subscriptions = new Set<string>();
  let subscriptionLength = 0;
  let warned = false;
  /** Methods of what was replayed and is not answered yet. */
  const replayed = new Map<RequestId, string>();
  let refused = false;

  const ownRequest = (method: string, params: Readonly<Record<string, unknown>>): RpcRequest =>
    newRequest(`${prefix}${++lastId}`, method, params);

  function subscribe(uri: string): void {
    if (subscriptions.has(uri)) return;
    if (subscriptions.size < maxSubscriptions && subscriptionLength + uri.length <= maxSubscriptionLength) {
      subscriptions.add(uri);
      subscriptionLength += uri.length;
      return;
    }
    if (!warned) {
      const limit = `${maxSubscriptions} or ${maxSubscriptionLength} characters`;
      onWarning(`a client subscribes to more than ${limit} of resources: not all will survive a restart of the server`);
    }
    warned = true;
  }

  function unsubscribe(uri: string): void {
    if (subscriptions.delete(uri)) subscriptionLength -= uri.length;
  }

  function apply(request: RpcRequest, result: unknown): void {
    const { method, json } = request;
    const { params } = json;
    const uri = memberOf(params, 'uri');
    const revision = memberOf(result, 'protocolVersion');
    if (method === 'initialize' && typeof revision === 'string') agreement = { request, revision };
    else if (method === 'logging/setLevel') level = memberOf(params, 'level');
    else if (method === 'resources/subscribe' && typeof uri === 'string') subscribe(uri);
    else if (method === 'resources/unsubscribe' && typeof uri === 'string') unsubscribe(uri);
  }

  return {
    prefix,
    get isAgreed() {
      return agreement !== undefined;
    },
    sending(message) {
      if (message.kind === 'request' && lasting.has(message.method)) unanswered.set(message.id, message);
      if (isInitialized(message)) isReady = true;
      // Nobody waits for its answer any more, which may never come.
      const cancelled = cancelledBy(message);
      if (cancelled !== undefined) unanswered.delete(cancelled);
    },
    notSent: (id) => void unanswered.delete(id),
    answered(response) {
      const request = unanswered.get(response.id);
      if (request === undefined) return;
      unanswered.delete(response.id);
      if (!response.failed) apply(request, response.json['result']);
    },
    lose() {
      unanswered.clear();
      replayed.clear();
      refused = false;
    },
    initialize() {
      if (agreement === undefined) throw new Error('nothing was agreed on that could be replayed');
      return withId(agreement.request, `${prefix}${++lastId}`);
    },
    objection(response) {
      if (response.failed) return `it refused initialize: ${reasonIn(response)}`;
      const revision = memberOf(response.json['result'], 'protocolVersion');
      if (revision === agreement?.revision) return undefined;
      return `it speaks revision ${JSON.stringify(revision)} now, and the client ${JSON.stringify(agreement?.revision)}`;
    },
    rest() {
      if (!isReady) return [];
      const requests = [
        ...(level === undefined ? [] : [ownRequest('logging/setLevel', { level })]),
        ...Array.from(subscriptions, (uri) => ownRequest('resources/subscribe', { uri })),
      ];
      for (const { id, method } of requests) replayed.set(id, method);
      return [newNotification('notifications/initialized'), ...requests];
    },
    refusal(response) {
      const method = replayed.get(response.id);
      replayed.delete(response.id);
      if (method === undefined || !response.failed || refused) return undefined;
      refused = true;
      return `${method}: ${reasonIn(response)}`;
    },
    changes({ json }) {
      if (!isReady) return [];
      const capabilities = memberOf(json['result'], 'capabilities');
      return lists
        .filter((list) => memberOf(memberOf(capabilities, list), 'listChanged') === true)
        .map((list) => newNotification(`notifications/${list}/list_changed`));
    },
    isOwn: (id) => typeof id === 'string' && id.startsWith(prefix),
  };
}

function reasonIn({ json }: RpcResponse): string {
  const message = memberOf(json['error'], 'message');
  return typeof message === 'string' ? message : 'it gave no reason';
}
