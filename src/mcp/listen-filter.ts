import { inOnePiece } from '../platform/bytes.ts';
import { spanOf } from './json/locate-members.ts';
import { isObject, memberOf, type RpcRequest } from './rpc-message.ts';

const lists = ['toolsListChanged', 'promptsListChanged', 'resourcesListChanged'];

/**
 * The filter of a `subscriptions/listen` request, of whatever type it is. It is read whole: what is parsed of a large message lacks
 * its long strings.
 */
export function listenFilterOf({ bytes }: RpcRequest): unknown {
  const span = spanOf(bytes, ['params', 'notifications']);
  return span && JSON.parse(inOnePiece(bytes).toString('utf8', span.start, span.end));
}

/** What is wrong with that filter (MCP 2026-07-28, `SubscriptionFilter`); undefined if nothing is. Members that nobody knows may be anything. */
export function listenFilterProblem(request: RpcRequest): string | undefined {
  const filter = listenFilterOf(request);
  if (!isObject(filter)) return 'params.notifications, the filter of the subscription, is not an object';
  const wrong = lists.find((name) => !['boolean', 'undefined'].includes(typeof memberOf(filter, name)));
  if (wrong !== undefined) return `params.notifications.${wrong} is not a boolean`;
  const uris = memberOf(filter, 'resourceSubscriptions') ?? [];
  const areUris = Array.isArray(uris) && uris.every((uri) => typeof uri === 'string');
  return areUris ? undefined : 'params.notifications.resourceSubscriptions is not a list of URIs';
}
