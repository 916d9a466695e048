import { expect, test } from 'vitest';
import { createHeadStart, type HeadStart } from '../../src/bridge/head-start.ts';
import type { UpstreamEnd } from '../../src/bridge/upstream/upstream.ts';
import type { RpcMessage } from '../../src/mcp/json-rpc.ts';
import { createFakeUpstream, type FakeUpstream } from './fake-upstream.ts';
import { agreement, initialize } from './messages.ts';

function world(): { headStart: HeadStart; made: FakeUpstream[] } {
  const made: FakeUpstream[] = [];
  const headStart = createHeadStart(() => {
    const upstream = createFakeUpstream();
    made.push(upstream);
    return upstream;
  });
  return { headStart, made };
}

function taken(headStart: HeadStart): {
  messages: RpcMessage[];
  ends: UpstreamEnd[];
  send: (message: RpcMessage) => boolean;
} {
  const messages: RpcMessage[] = [];
  const ends: UpstreamEnd[] = [];
  const upstream = headStart.take();
  upstream.start({ onMessage: (message) => messages.push(message), onClose: (end) => ends.push(end) });
  return { messages, ends, send: upstream.send };
}

test('one is started ahead, unread, and sent nothing', () => {
  const { headStart, made } = world();
  headStart.begin();
  expect(made.map(({ started, paused, sent }) => [started, paused, sent])).toEqual([[true, true, []]]);
});

test('the first who asks gets it, and it is read from then on', () => {
  const { headStart, made } = world();
  headStart.begin();
  const { messages, ends, send } = taken(headStart);
  expect([made.length, made[0]?.paused]).toEqual([1, false]);
  expect(send(initialize)).toBe(true);
  made[0]?.say(agreement());
  made[0]?.die();
  expect([messages.length, ends.length, made[0]?.sent.length]).toEqual([1, 1, 1]);
});

test('everybody after that gets a new one, not yet started', () => {
  const { headStart, made } = world();
  headStart.begin();
  headStart.take();
  headStart.take();
  headStart.take();
  expect(made.map(({ started }) => started)).toEqual([true, false, false]);
});

test('one that has died before anybody came is replaced', () => {
  const { headStart, made } = world();
  headStart.begin();
  made[0]?.die();
  const { ends } = taken(headStart);
  expect([made.length, made[1]?.started, ends]).toEqual([2, true, []]);
});

test('without a beginning there are only new ones', () => {
  const { headStart, made } = world();
  headStart.take();
  expect(made.map(({ started }) => started)).toEqual([false]);
});

test('closing ends one that nobody has taken', async () => {
  const { headStart, made } = world();
  headStart.begin();
  await headStart.close();
  expect(made[0]?.closeCalls).toBe(1);
});

test('closing leaves one that was taken to its taker', async () => {
  const { headStart, made } = world();
  headStart.begin();
  taken(headStart);
  await headStart.close();
  expect(made[0]?.closeCalls).toBe(0);
});

test('closing before the beginning does nothing', async () => {
  const { headStart, made } = world();
  await headStart.close();
  expect(made).toEqual([]);
});
