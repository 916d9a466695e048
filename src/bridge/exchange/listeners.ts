import { subscriptionIdKey } from '../../mcp/envelope-keys.ts';
import { memberOf, parseMessage, rpcCode, type RpcNotification } from '../../mcp/json-rpc.ts';
import { listenFilterOf } from '../../mcp/listen-filter.ts';
import { newNotification } from '../../mcp/new-message.ts';
import { jsonOfId } from '../../mcp/request-id.ts';
import { makeRoom } from '../limits.ts';
import { SharedSubscriptions } from '../shared/subscriptions.ts';
import {
  honouredFilter,
  isSubscribed,
  withSubscriptionId,
  type SubscriptionFilter,
} from '../translate/subscriptions.ts';
import type { ClientCall, ServerSide } from './client-call.ts';
import type { LegacyPeer } from './legacy-peer.ts';

/** Notifications that wait for one client to read, without those that say the same. */
const maxWaiting = 1000;

interface News {
  readonly notification: RpcNotification;
  /** The client has taken it. */
  readonly onTaken?: (() => void) | undefined;
}

interface Listener {
  readonly call: ClientCall;
  readonly lists: SubscriptionFilter;
  /** The resources that the server has agreed to. */
  readonly uris: string[];
  readonly taskIds: readonly string[];
  /** What has come before the acknowledgement, or while the client does not read: one of each kind. */
  readonly waiting: Map<string, News>;
  isWaiting: boolean;
}

export interface ListenersOptions {
  readonly peer: LegacyPeer;
  readonly server: ServerSide;
  /** A client does not read, and so much waits for it that the oldest was dropped. */
  readonly onDropped: () => void;
  /** The last has gone. */
  readonly onEmpty: () => void;
}

/** The `subscriptions/listen` requests over one connection (MCP 2026-07-28, subscriptions). */
export class Listeners {
  readonly #options: ListenersOptions;
  readonly #listeners = new Set<Listener>();
  readonly #resources = new SharedSubscriptions<Listener>();

  constructor(options: ListenersOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#listeners.size;
  }

  /**
   * @param capabilities of the server.
   * @param taskIds of those that it asks for, the tasks that there are.
   */
  add(call: ClientCall, capabilities: unknown, taskIds: readonly string[]): void {
    const wanted = listenFilterOf(call.request);
    const { resourceSubscriptions = [], ...lists } = honouredFilter(wanted, capabilities);
    const listener: Listener = { call, lists, uris: [], taskIds, waiting: new Map(), isWaiting: true };
    this.#listeners.add(listener);
    call.whenCancelled(() => this.#remove(listener));
    let pending = 1;
    const settled = (): void => {
      if (--pending === 0 && this.#listeners.has(listener)) this.#acknowledge(listener);
    };
    for (const uri of resourceSubscriptions) {
      const subscribing = this.#resources.subscribe(listener, uri);
      if (subscribing === 'full') break;
      if (subscribing === undefined) {
        listener.uris.push(uri);
        continue;
      }
      pending++;
      this.#options.peer.tell('resources/subscribe', { uri }, (failed) => {
        subscribing.settle(failed);
        if (!failed) listener.uris.push(uri);
        settled();
      });
    }
    settled();
  }

  /** A notification that belongs to no call. */
  notify(notification: RpcNotification): void {
    const uri = memberOf(notification.json['params'], 'uri');
    if (notification.method === 'notifications/resources/updated') {
      for (const listener of typeof uri === 'string' ? this.#resources.concerned(uri) : []) {
        this.#deliver(listener, `${notification.method} ${String(uri)}`, notification);
      }
      return;
    }
    for (const listener of this.#listeners) {
      if (isSubscribed(listener.lists, notification)) this.#deliver(listener, notification.method, notification);
    }
  }

  /** Whether anybody hears of a task. */
  hasTask(taskId: string): boolean {
    return [...this.#listeners].some(({ taskIds }) => taskIds.includes(taskId));
  }

  /** @param notification that says how the task stands now. @param onTaken called for each client that has taken it. */
  notifyTask(taskId: string, notification: RpcNotification, onTaken: () => void): void {
    const kind = `${notification.method} ${taskId}`;
    for (const listener of this.#listeners) {
      if (listener.taskIds.includes(taskId)) this.#deliver(listener, kind, notification, onTaken);
    }
  }

  /** There will be no more notifications. */
  end(): void {
    for (const listener of this.#listeners) this.#end(listener);
  }

  #acknowledge(listener: Listener): void {
    const { call, lists, uris, taskIds } = listener;
    const notifications = {
      ...lists,
      ...(uris.length > 0 && { resourceSubscriptions: uris }),
      ...(taskIds.length > 0 && { taskIds }),
    };
    const acknowledged = newNotification('notifications/subscriptions/acknowledged', { notifications });
    call.send(withSubscriptionId(acknowledged, call.request.id), this.#options.server);
    if (Object.keys(notifications).length === 0) this.#end(listener);
    else this.#flush(listener);
  }

  #deliver(listener: Listener, kind: string, notification: RpcNotification, onTaken?: () => void): void {
    const news = { notification: withSubscriptionId(notification, listener.call.request.id), onTaken };
    if (!listener.isWaiting) {
      this.#send(listener, news);
      return;
    }
    listener.waiting.delete(kind);
    if (makeRoom(listener.waiting, maxWaiting) !== undefined) this.#options.onDropped();
    listener.waiting.set(kind, news);
  }

  /** One that does not read must not hold up what else the server has to say. */
  #send(listener: Listener, { notification, onTaken }: News): void {
    const { call } = listener;
    if (call.offer(notification)) {
      onTaken?.();
      return;
    }
    listener.isWaiting = true;
    call.whenWritable(() => {
      if (call.isOpen()) onTaken?.();
      this.#flush(listener);
    });
  }

  #flush(listener: Listener): void {
    listener.isWaiting = false;
    for (const [kind, news] of listener.waiting) {
      if (listener.isWaiting) return;
      listener.waiting.delete(kind);
      this.#send(listener, news);
    }
  }

  #end(listener: Listener): void {
    const { call } = listener;
    const id = jsonOfId(call.request.id);
    const text = `{"jsonrpc":"2.0","id":${id},"result":{"_meta":{${JSON.stringify(subscriptionIdKey)}:${id}}}}`;
    const result = parseMessage(Buffer.from(text));
    this.#remove(listener);
    if (result.kind === 'response') call.answer(result, this.#options.server);
    else call.fail({ code: rpcCode.internalError, message: 'the subscription has ended' });
  }

  #remove(listener: Listener): void {
    if (!this.#listeners.delete(listener)) return;
    listener.waiting.clear();
    for (const uri of this.#resources.release(listener)) this.#options.peer.tell('resources/unsubscribe', { uri });
    if (this.#listeners.size === 0) this.#options.onEmpty();
  }
}
