import { expect, test } from 'vitest';
import { DeferredUpstream } from '../../../src/bridge/era/deferred-upstream.ts';
import { gate } from '../../harness/gate.ts';
import { createFakeUpstream } from '../fake-upstream.ts';
import { agreement, initialize, notification } from '../messages.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function world() {
  const { opened, open } = gate();
  const [chosen, got] = [createFakeUpstream(), [] as string[]];
  let choices = 0;
  const upstream = new DeferredUpstream(opened, () => {
    choices++;
    return chosen;
  });
  upstream.start({
    onMessage: (message) => got.push(message.kind),
    onClose: ({ reason }) => got.push(reason),
  });
  return { upstream, chosen, got, open, choices: () => choices };
}

test('what is sent waits for the choice, and reaches it in order', async () => {
  const { upstream, chosen, got, open, choices } = world();
  expect([upstream.send(initialize), upstream.send(notification('x/y')), choices()]).toEqual([true, true, 0]);
  open();
  await turn();
  upstream.send(notification('x/z'));
  expect(chosen.sent.map((line): unknown => JSON.parse(line).method)).toEqual(['initialize', 'x/y', 'x/z']);
  chosen.say(agreement());
  expect(got).toEqual(['response']);
});

test('back-pressure is that of the choice, once there is one', async () => {
  const { upstream, chosen, open } = world();
  let writable = 0;
  upstream.whenWritable(() => writable++);
  expect([upstream.isWritable(), writable]).toEqual([true, 1]);
  open();
  await turn();
  chosen.fill();
  upstream.pause();
  upstream.whenWritable(() => writable++);
  expect([upstream.isWritable(), chosen.paused, writable]).toEqual([false, true, 1]);
  chosen.drain();
  upstream.resume();
  expect([upstream.isWritable(), chosen.paused, writable]).toEqual([true, false, 2]);
});

test('one that is closed before chooses nothing, and says once that it is over', async () => {
  const { upstream, got, open, choices } = world();
  upstream.send(initialize);
  await Promise.all([upstream.close(), upstream.close()]);
  open();
  await turn();
  expect([choices(), got, upstream.send(initialize)]).toEqual([0, ['the connection was closed'], false]);
});

test('one that is closed afterwards ends with its choice', async () => {
  const { upstream, chosen, got, open } = world();
  open();
  await turn();
  await upstream.close();
  expect([chosen.closeCalls, got]).toEqual([1, ['the server was ended by SIGTERM']]);
});

test('who reads nothing before the choice is not read for afterwards', async () => {
  const { upstream, chosen, open } = world();
  upstream.pause();
  open();
  await turn();
  expect(chosen.paused).toBe(true);
  upstream.resume();
  expect(chosen.paused).toBe(false);
});

test('what has waited and is not taken then fails', async () => {
  const { upstream, chosen, got, open } = world();
  chosen.accepting = false;
  upstream.send(notification('x/y'));
  upstream.send(initialize);
  open();
  await turn();
  expect([chosen.sent, got]).toEqual([[], ['response']]);
});
