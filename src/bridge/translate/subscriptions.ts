import { editMessage } from '../../mcp/edit-message.ts';
import { subscriptionIdKey } from '../../mcp/envelope-keys.ts';
import {
  memberOf,
  metaOf,
  type RequestId,
  type RpcNotification,
  type RpcRequest,
  type RpcResponse,
} from '../../mcp/json-rpc.ts';
import { editPlan, remove, set } from '../../mcp/json/edit-members.ts';
import { listenFilterOf } from '../../mcp/listen-filter.ts';
import { exactValue, jsonOfId } from '../../mcp/request-id.ts';

/** What a client hears of on a subscription (MCP 2026-07-28, `SubscriptionFilter`). */
export interface SubscriptionFilter {
  readonly toolsListChanged?: true;
  readonly promptsListChanged?: true;
  readonly resourcesListChanged?: true;
  readonly resourceSubscriptions?: readonly string[];
}

interface ListChange {
  readonly field: 'toolsListChanged' | 'promptsListChanged' | 'resourcesListChanged';
  readonly capability: string;
}

/** By the notification, the member of the filter that asks for it, and the capability of the server that promises it. */
const listChanges: ReadonlyMap<string, ListChange> = new Map([
  ['notifications/tools/list_changed', { field: 'toolsListChanged', capability: 'tools' }],
  ['notifications/prompts/list_changed', { field: 'promptsListChanged', capability: 'prompts' }],
  ['notifications/resources/list_changed', { field: 'resourcesListChanged', capability: 'resources' }],
]);

/**
 * The part of a filter that a server can keep to (MCP 2026-07-28, "Subscriptions"): what it does not advertise, and what is
 * not known, is left out.
 * @param filter `params.notifications` of `subscriptions/listen`.
 * @param capabilities of the server.
 */
export function honouredFilter(filter: unknown, capabilities: unknown): SubscriptionFilter {
  const lists = [...listChanges.values()].filter(
    ({ field, capability }) =>
      memberOf(filter, field) === true && memberOf(memberOf(capabilities, capability), 'listChanged') === true,
  );
  const uris = memberOf(filter, 'resourceSubscriptions');
  const canSubscribe = memberOf(memberOf(capabilities, 'resources'), 'subscribe') === true;
  const resources = Array.isArray(uris) && canSubscribe ? uris.filter((uri) => typeof uri === 'string') : [];
  return {
    ...Object.fromEntries(lists.map(({ field }) => [field, true])),
    ...(resources.length === 0 ? {} : { resourceSubscriptions: [...new Set(resources)] }),
  };
}

/** The tasks of whose changes a `subscriptions/listen` asks to be told (SEP-2663, "Task Status Notifications"). */
export function taskIdsIn(listen: RpcRequest): readonly string[] {
  const ids = memberOf(listenFilterOf(listen), 'taskIds');
  return Array.isArray(ids) ? [...new Set(ids.filter((id) => typeof id === 'string'))] : [];
}

/** The lists of a server of whose changes it tells, as a filter. */
export function listChangesOf(capabilities: unknown): SubscriptionFilter {
  const all = Array.from(listChanges.values(), ({ field }) => [field, true]);
  return honouredFilter(Object.fromEntries(all), capabilities);
}

/** The notifications that a filter with these lists may bring, without those on resources. */
export function listNotificationsOf(filter: SubscriptionFilter): readonly string[] {
  return [...listChanges].filter(([, { field }]) => filter[field] === true).map(([method]) => method);
}

/** Whether a notification belongs on a subscription with this filter. */
export function isSubscribed(filter: SubscriptionFilter, { method, json }: RpcNotification): boolean {
  const list = listChanges.get(method);
  if (list !== undefined) return filter[list.field] === true;
  if (method !== 'notifications/resources/updated') return false;
  const uri = memberOf(json['params'], 'uri');
  return typeof uri === 'string' && (filter.resourceSubscriptions ?? []).some((of) => matchesSubscription(of, uri));
}

/** Whether the update concerns a resource, or one below it: "this might be a sub-resource of the one that the client subscribed to". */
export function matchesSubscription(subscribedUri: string, updatedUri: string): boolean {
  if (!updatedUri.startsWith(subscribedUri)) return false;
  const rest = updatedUri.slice(subscribedUri.length);
  return rest === '' || subscribedUri.endsWith('/') || rest.startsWith('/') || rest.startsWith('#');
}

const subscriptionIdPath = ['params', '_meta', subscriptionIdKey] as const;

/** The subscription on which a notification came. */
export function subscriptionIdOf(notification: RpcNotification): RequestId | undefined {
  const id = memberOf(metaOf(notification), subscriptionIdKey);
  return id === undefined ? undefined : exactValue(id, notification.bytes, subscriptionIdPath);
}

/** @param id of the `subscriptions/listen` request. */
export function withSubscriptionId(notification: RpcNotification, id: RequestId): RpcNotification {
  return editMessage(notification, editPlan([[subscriptionIdPath, set(jsonOfId(id))]]));
}

/** The result that ends a subscription. @param id of the `subscriptions/listen` request. */
export function withEndedSubscriptionId(response: RpcResponse, id: RequestId): RpcResponse {
  if (response.failed) return response;
  return editMessage(response, editPlan([[['result', '_meta', subscriptionIdKey], set(jsonOfId(id))]]));
}

const untagged = editPlan([[subscriptionIdPath, remove]]);

export function withoutSubscriptionId(notification: RpcNotification): RpcNotification {
  return editMessage(notification, untagged);
}
