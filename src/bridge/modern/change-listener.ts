import type { Clock } from '../../platform/clock.ts';
import {
  memberOf,
  rpcCode,
  type RequestId,
  type RpcMessage,
  type RpcNotification,
  type RpcResponse,
} from '../../mcp/json-rpc.ts';
import { newNotification, newRequest } from '../../mcp/new-message.ts';
import { isObject } from '../../mcp/rpc-message.ts';
import { callFailure } from '../session/call-failures.ts';
import type { CallFailure } from '../session/pending-request.ts';
import { errorCodeOf } from '../translate/errors.ts';
import { listNotificationsOf, type SubscriptionFilter } from '../translate/subscriptions.ts';

/** First wait before a subscription that has ended is opened again, in milliseconds; it doubles with each further end. */
const baseDelayMs = 250;

/** Ends after which no further subscription is opened, unless a minute passes without one. */
const maxEnds = 6;
const refillMs = 60_000;

/** How long a server may take to acknowledge a subscription, in milliseconds. */
const acknowledgeMs = 30_000;

/** Resources that a client may subscribe to: all of them are named in each subscription. */
const maxResources = 10_000;
/** All their URIs together, in characters: 400 for each of them. */
const maxUriLength = 4_000_000;

export interface ChangeListenerOptions {
  readonly clock: Clock;
  /** An id that no other request to the server has. */
  readonly nextId: () => RequestId;
  /** Sends a request, still without its envelope, or a notification. Returns false if it was not taken. */
  readonly send: (message: RpcMessage) => boolean;
  /** The client may have missed changes of its lists: it gets these. */
  readonly onMissed: (notification: RpcNotification) => void;
}

/** A `subscriptions/listen` request (MCP 2026-07-28, "Subscriptions"). */
interface Subscription {
  readonly id: RequestId;
  readonly filter: SubscriptionFilter;
  readonly cancelTimeout: () => void;
}

/** A client that waits for a change of its resources to take effect. */
interface Waiter {
  readonly uri: string;
  /** Whether it waits for a subscription with the resource, or for one without. */
  readonly isWanted: boolean;
  readonly onSettled: (failure?: CallFailure) => void;
}

/**
 * Keeps one subscription open for a legacy client, which hears of changes without asking. The filter of a subscription cannot
 * be changed: another one is opened for each, and the earlier one ends when the server has acknowledged that.
 */
export class ChangeListener {
  readonly #options: ChangeListenerOptions;
  #lists: SubscriptionFilter = {};
  readonly #resources = new Set<string>();
  #uriLength = 0;
  #active: Subscription | undefined;
  /** Not acknowledged yet. */
  #opening: Subscription | undefined;
  /** What is wanted has changed since the last one was opened. */
  #isStale = false;
  #waiters: Waiter[] = [];
  #hasMissed = false;
  #ends: number[] = [];
  #cancelRetry: (() => void) | undefined;

  constructor(options: ChangeListenerOptions) {
    this.#options = options;
  }

  /** The client is ready to hear of changes of these lists. */
  begin(lists: SubscriptionFilter): void {
    this.#lists = lists;
    this.#change();
  }

  /** @param onSettled called once the server has acknowledged it, or with why it did not. */
  subscribe(uri: string, onSettled: (failure?: CallFailure) => void): void {
    if (this.#resources.size >= maxResources || this.#uriLength + uri.length > maxUriLength) {
      onSettled(tooManyResources);
      return;
    }
    if (!this.#resources.has(uri)) this.#uriLength += uri.length;
    this.#resources.add(uri);
    this.#await({ uri, isWanted: true, onSettled });
  }

  unsubscribe(uri: string, onSettled: (failure?: CallFailure) => void): void {
    if (this.#forget(uri)) this.#await({ uri, isWanted: false, onSettled });
    else onSettled();
  }

  /** Whether a notification on a subscription is for the client: what comes on one that has been replaced came before. */
  isCurrent(id: RequestId): boolean {
    return id === this.#active?.id;
  }

  /** The server has opened a subscription; it says which part of the filter it keeps to. */
  acknowledged(id: RequestId, acknowledgement: RpcNotification): void {
    const opened = this.#opening;
    if (opened?.id !== id) return;
    opened.cancelTimeout();
    this.#opening = undefined;
    if (this.#active !== undefined) this.#cancel(this.#active);
    this.#active = opened;
    const honoured = memberOf(acknowledgement.json['params'], 'notifications');
    // A server has nothing to say on it and ends it.
    if (isObject(honoured) && Object.keys(honoured).length === 0) this.#active = undefined;
    const accepted = memberOf(honoured, 'resourceSubscriptions');
    const uris = new Set<unknown>(Array.isArray(accepted) ? accepted : []);
    this.#settle(opened, (uri) => (uris.has(uri) ? undefined : notAccepted(uri)));
    if (this.#hasMissed) {
      this.#hasMissed = false;
      for (const method of listNotificationsOf(opened.filter)) this.#options.onMissed(newNotification(method));
    }
    if (this.#isStale) this.#change();
  }

  /** @returns whether the response ends a subscription of ours. */
  ended(response: RpcResponse): boolean {
    return this.#end(response.id, errorCodeOf(response) === rpcCode.methodNotFound);
  }

  /** The server has withdrawn a request. @returns as `ended`. */
  withdrawn(id: RequestId): boolean {
    return this.#end(id, false);
  }

  /** The server has been lost, and may come back: it has no subscription any more. */
  lost(): void {
    if (this.#active === undefined && this.#opening === undefined) return;
    this.#hasMissed ||= this.#active !== undefined;
    this.#opening?.cancelTimeout();
    this.#active = undefined;
    this.#opening = undefined;
    this.#retry();
  }

  close(): void {
    this.#opening?.cancelTimeout();
    this.#cancelRetry?.();
  }

  #await(waiter: Waiter): void {
    // The next subscription may never be as those want it who have waited for this resource until now.
    const earlier = this.#waiters.filter(({ uri }) => uri === waiter.uri);
    this.#waiters = [...this.#waiters.filter(({ uri }) => uri !== waiter.uri), waiter];
    for (const { onSettled } of earlier) onSettled();
    this.#change();
  }

  /** Opens a subscription for what is wanted now, unless one is being opened: then once that is acknowledged. */
  #change(): void {
    this.#isStale = this.#opening !== undefined || this.#cancelRetry !== undefined;
    if (this.#isStale) return;
    const filter: SubscriptionFilter =
      this.#resources.size === 0 ? this.#lists : { ...this.#lists, resourceSubscriptions: [...this.#resources] };
    if (Object.keys(filter).length === 0) {
      if (this.#active !== undefined) this.#cancel(this.#active);
      this.#active = undefined;
      this.#settle({ filter }, () => undefined);
      return;
    }
    const { nextId, send, clock } = this.#options;
    const id = nextId();
    const cancelTimeout = clock.after(acknowledgeMs, () => {
      if (this.#opening !== undefined) this.#cancel(this.#opening);
      this.#end(id, false);
    });
    this.#opening = { id, filter, cancelTimeout };
    if (!send(newRequest(id, 'subscriptions/listen', { notifications: filter }))) this.#end(id, false);
  }

  /** @param isFinal there is no use in another one. */
  #end(id: RequestId, isFinal: boolean): boolean {
    const opening = this.#opening;
    if (id === opening?.id) {
      opening.cancelTimeout();
      this.#opening = undefined;
      this.#settle(opening, () => notOpened);
    } else if (id === this.#active?.id) {
      this.#active = undefined;
      this.#hasMissed = true;
    } else {
      return false;
    }
    if (!isFinal && this.#opening === undefined) this.#retry();
    return true;
  }

  #retry(): void {
    const { clock } = this.#options;
    const now = clock.now();
    this.#ends = this.#ends.filter((at) => now - at < refillMs);
    const delayMs = this.#ends.length < maxEnds ? baseDelayMs * 2 ** this.#ends.length : refillMs;
    this.#ends.push(now);
    this.#cancelRetry?.();
    this.#cancelRetry = clock.after(delayMs, () => {
      this.#cancelRetry = undefined;
      if (this.#active === undefined || this.#isStale) this.#change();
    });
  }

  /** Tells those who have waited for a subscription with this filter. */
  #settle({ filter }: Pick<Subscription, 'filter'>, failureOf: (uri: string) => CallFailure | undefined): void {
    const uris = new Set(filter.resourceSubscriptions);
    const [settled, others] = [true, false].map((isSettled) =>
      this.#waiters.filter(({ uri, isWanted }) => (uris.has(uri) === isWanted) === isSettled),
    );
    this.#waiters = others ?? [];
    for (const { uri, isWanted, onSettled } of settled ?? []) {
      const failure = isWanted ? failureOf(uri) : undefined;
      if (failure !== undefined) this.#forget(uri);
      onSettled(failure);
    }
  }

  #forget(uri: string): boolean {
    if (!this.#resources.delete(uri)) return false;
    this.#uriLength -= uri.length;
    return true;
  }

  #cancel({ id }: Subscription): void {
    this.#options.send(newNotification('notifications/cancelled', { requestId: id }));
  }
}

const tooManyResources: CallFailure = callFailure(
  'too_many_subscriptions',
  `a client may subscribe to ${maxResources} resources, whose addresses have ${maxUriLength} characters together`,
);

const notOpened: CallFailure = callFailure('not_subscribed', 'the server has opened no subscription');

function notAccepted(uri: string): CallFailure {
  const message = 'the server does not tell of changes of this resource';
  return { code: rpcCode.invalidParams, message, data: { reason: 'not_subscribed', uri } };
}
