import { expect, test } from 'vitest';
import {
  honouredFilter,
  isSubscribed,
  listChangesOf,
  listNotificationsOf,
  matchesSubscription,
  subscriptionIdOf,
  taskIdsIn,
  withoutSubscriptionId,
  withSubscriptionId,
} from '../../../src/bridge/translate/subscriptions.ts';
import { readNotification, readRequest, written } from './read.ts';

const all = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
};

test.each([
  [{ toolsListChanged: true, promptsListChanged: false, taskIds: ['t'] }, all, { toolsListChanged: true }],
  [{ toolsListChanged: 'yes', resourcesListChanged: true }, all, { resourcesListChanged: true }],
  [
    { toolsListChanged: true, promptsListChanged: true },
    { tools: {}, prompts: { listChanged: true } },
    { promptsListChanged: true },
  ],
  [{ resourceSubscriptions: ['a', 7, 'b', 'a'] }, all, { resourceSubscriptions: ['a', 'b'] }],
  [{ resourceSubscriptions: ['a'] }, { resources: { listChanged: true } }, {}],
  [{ resourceSubscriptions: [] }, all, {}],
  [undefined, all, {}],
])('of the filter %j, %j honours %j', (filter, capabilities, honoured) => {
  expect(honouredFilter(filter, capabilities)).toEqual(honoured);
});

test.each([
  ['{"notifications":{"taskIds":["a",7,"b","a"]}}', ['a', 'b']],
  ['{"notifications":{"taskIds":"a"}}', []],
  ['{}', []],
])('in %s, the tasks are %j', (params, ids) => {
  expect(taskIdsIn(readRequest(`"id":1,"method":"subscriptions/listen","params":${params}`))).toEqual(ids);
});

test('a large request is read whole for its tasks', () => {
  const ids = ['a', 'b'.repeat(100_000)];
  const params = JSON.stringify({ notifications: { taskIds: ids } });
  expect(taskIdsIn(readRequest(`"id":1,"method":"subscriptions/listen","params":${params}`))).toEqual(ids);
});

test('all lists of whose changes a server tells', () => {
  const filter = listChangesOf({ tools: { listChanged: true }, resources: { listChanged: true } });
  expect(filter).toEqual({ toolsListChanged: true, resourcesListChanged: true });
  expect(listNotificationsOf(filter)).toEqual([
    'notifications/tools/list_changed',
    'notifications/resources/list_changed',
  ]);
});

test.each([
  ['file:///a', 'file:///a', true],
  ['file:///a', 'file:///a/b', true],
  ['file:///a/', 'file:///a/b', true],
  ['file:///a', 'file:///a#b', true],
  ['file:///a', 'file:///ab', false],
  ['file:///a/b', 'file:///a', false],
  ['file:///a', 'file:///A', false],
])('a subscription to %s brings an update of %s: %s', (subscribed, updated, expected) => {
  expect(matchesSubscription(subscribed, updated)).toBe(expected);
});

test.each([
  ['"method":"notifications/tools/list_changed"', true],
  ['"method":"notifications/prompts/list_changed"', false],
  ['"method":"notifications/resources/updated","params":{"uri":"file:///a/b"}', true],
  ['"method":"notifications/resources/updated","params":{"uri":"file:///c"}', false],
  ['"method":"notifications/resources/updated"', false],
  ['"method":"notifications/message"', false],
])('%s belongs on it: %s', (members, expected) => {
  const filter = { toolsListChanged: true, resourceSubscriptions: ['file:///a'] } as const;
  expect(isSubscribed(filter, readNotification(members))).toBe(expected);
});

test('a notification on a subscription says on which', () => {
  const plain = readNotification('"method":"notifications/resources/updated","params":{"uri":"a","n":1.0}');
  const tagged = withSubscriptionId(plain, '\u00001.0');
  expect(written(tagged)).toBe(
    '"method":"notifications/resources/updated","params":{"uri":"a","n":1.0,"_meta":{"io.modelcontextprotocol/subscriptionId":1.0}}',
  );
  expect(subscriptionIdOf(tagged)).toBe('\u00001.0');
  expect(written(withoutSubscriptionId(tagged))).toBe(
    '"method":"notifications/resources/updated","params":{"uri":"a","n":1.0,"_meta":{}}',
  );
  expect(subscriptionIdOf(plain)).toBeUndefined();
  expect(withoutSubscriptionId(plain)).toBe(plain);
});
