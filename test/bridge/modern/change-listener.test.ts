import { describe, expect, test } from 'vitest';
import { ChangeListener } from '../../../src/bridge/modern/change-listener.ts';
import type { SubscriptionFilter } from '../../../src/bridge/translate/subscriptions.ts';
import { createFakeClock } from '../../harness/fake-clock.ts';
import { failedResponse, notification, response } from '../messages.ts';

function world() {
  const clock = createFakeClock();
  const sent: string[] = [];
  const missed: string[] = [];
  const settled: string[] = [];
  let lastId = 0;
  const listener = new ChangeListener({
    clock,
    nextId: () => ++lastId,
    send(message) {
      const { id, method, params } = JSON.parse(message.bytes.toString());
      const filter = params.notifications;
      const what =
        filter === undefined
          ? `cancel ${params.requestId}`
          : [
              id,
              ...Object.keys(filter).filter((name) => name.endsWith('Changed')),
              ...(filter.resourceSubscriptions ?? []),
            ].join(' ');
      sent.push(method === 'subscriptions/listen' ? `listen ${what}` : what);
      return true;
    },
    onMissed: ({ method }) => missed.push(method),
  });
  return {
    clock,
    listener,
    missed,
    settled,
    sent: () => sent.splice(0),
    subscribe: (uri: string) => listener.subscribe(uri, (failure) => settled.push(`${uri}: ${failure?.code ?? 'yes'}`)),
    unsubscribe: (uri: string) =>
      listener.unsubscribe(uri, (failure) => settled.push(`${uri}: ${failure?.code ?? 'no more'}`)),
    acknowledge: (id: number, notifications: SubscriptionFilter) =>
      listener.acknowledged(id, notification('notifications/subscriptions/acknowledged', { notifications })),
  };
}

describe('changes of what a client wants', () => {
  test('that come while a subscription is being opened make one more', () => {
    const { listener, sent, settled, subscribe, unsubscribe, acknowledge } = world();
    listener.begin({ toolsListChanged: true });
    subscribe('a');
    subscribe('b');
    expect(sent()).toEqual(['listen 1 toolsListChanged']);
    acknowledge(1, { toolsListChanged: true });
    expect(listener.isCurrent(1)).toBe(true);
    expect(sent()).toEqual(['listen 2 toolsListChanged a b']);
    unsubscribe('a');
    expect(settled).toEqual(['a: yes']);
    acknowledge(2, { toolsListChanged: true, resourceSubscriptions: ['a', 'b'] });
    expect([listener.isCurrent(1), listener.isCurrent(2)]).toEqual([false, true]);
    expect(settled).toEqual(['a: yes', 'b: yes']);
    expect(sent()).toEqual(['cancel 1', 'listen 3 toolsListChanged b']);
    acknowledge(3, { toolsListChanged: true, resourceSubscriptions: ['b'] });
    expect(settled).toEqual(['a: yes', 'b: yes', 'a: no more']);
    expect(sent()).toEqual(['cancel 2']);
  });

  test('to nothing end the subscription at once', () => {
    const { sent, settled, subscribe, unsubscribe, acknowledge } = world();
    subscribe('a');
    acknowledge(1, { resourceSubscriptions: ['a'] });
    unsubscribe('a');
    expect(sent()).toEqual(['listen 1 a', 'cancel 1']);
    expect(settled).toEqual(['a: yes', 'a: no more']);
  });

  test('beyond what a client may want are refused', () => {
    const { sent, settled, subscribe } = world();
    subscribe('x'.repeat(4_000_000));
    subscribe('y');
    expect(settled).toEqual(['y: -32603']);
    expect(sent()).toHaveLength(1);
    const other = world();
    for (let index = 0; index <= 10_000; index++) other.subscribe(`u${index}`);
    expect(other.settled).toEqual(['u10000: -32603']);
  });
});

describe('a subscription that ends', () => {
  test('is opened again, later each time, and the client looks again', () => {
    const { listener, clock, sent, missed, acknowledge } = world();
    listener.begin({ toolsListChanged: true });
    acknowledge(1, { toolsListChanged: true });
    expect(missed).toEqual([]);
    expect(listener.ended(response(1))).toBe(true);
    sent();
    clock.advance(249);
    expect(sent()).toEqual([]);
    clock.advance(1);
    expect(sent()).toEqual(['listen 2 toolsListChanged']);
    listener.withdrawn(2);
    clock.advance(500);
    expect(sent()).toEqual(['listen 3 toolsListChanged']);
    acknowledge(3, { toolsListChanged: true });
    expect(missed).toEqual(['notifications/tools/list_changed']);
    for (let id = 3; id < 7; id++) {
      listener.ended(failedResponse(id, { code: -32603, message: '' }));
      clock.advance(8000);
    }
    expect(sent()).toHaveLength(4);
    listener.ended(response(7));
    clock.advance(59_999);
    expect(sent()).toEqual([]);
    clock.advance(1);
    expect(sent()).toEqual(['listen 8 toolsListChanged']);
  });

  test('is left alone where the server knows no subscriptions', () => {
    const { listener, clock, sent, settled, subscribe } = world();
    subscribe('a');
    listener.ended(failedResponse(1, { code: -32601, message: '' }));
    expect(settled).toEqual(['a: -32603']);
    clock.advance(120_000);
    expect(sent()).toEqual(['listen 1 a']);
    expect(clock.pending).toBe(0);
  });

  test('is left alone where the server has nothing to tell', () => {
    const { listener, clock, sent, acknowledge } = world();
    listener.begin({ toolsListChanged: true });
    acknowledge(1, {});
    expect(listener.ended(response(1))).toBe(false);
    clock.advance(120_000);
    expect(sent()).toEqual(['listen 1 toolsListChanged']);
  });

  test('of which the server says nothing is given up, and the one before it stays', () => {
    const { listener, clock, sent, settled, subscribe, acknowledge } = world();
    listener.begin({ toolsListChanged: true });
    acknowledge(1, { toolsListChanged: true });
    subscribe('a');
    clock.advance(30_000);
    expect(settled).toEqual(['a: -32603']);
    expect(sent()).toEqual(['listen 1 toolsListChanged', 'listen 2 toolsListChanged a', 'cancel 2']);
    expect(listener.isCurrent(1)).toBe(true);
    // What is wanted meanwhile waits for the next try.
    subscribe('b');
    expect(sent()).toEqual([]);
    clock.advance(250);
    expect(sent()).toEqual(['listen 3 toolsListChanged b']);
  });
});

test('a server that comes back gets what is wanted now, but not at once: it may be lost again and again', () => {
  const { listener, clock, sent, missed, settled, subscribe, acknowledge } = world();
  listener.lost();
  expect(clock.pending).toBe(0);
  listener.begin({ promptsListChanged: true });
  acknowledge(1, { promptsListChanged: true });
  listener.lost();
  subscribe('a');
  listener.lost();
  expect(sent()).toEqual(['listen 1 promptsListChanged']);
  clock.advance(250);
  expect(sent()).toEqual(['listen 2 promptsListChanged a']);
  listener.lost();
  clock.advance(499);
  expect(sent()).toEqual([]);
  clock.advance(1);
  acknowledge(3, { promptsListChanged: true, resourceSubscriptions: ['a'] });
  expect(settled).toEqual(['a: yes']);
  expect(missed).toEqual(['notifications/prompts/list_changed']);
  expect(clock.pending).toBe(0);
});
