import { expect, test } from 'vitest';
import { Outbox } from '../../../src/bridge/restart/outbox.ts';
import { notification, request } from '../messages.ts';

const big = request('big', 'tools/call', { x: 'x'.repeat(16 * 1024 * 1024 - 200) });

test('messages come out in order, and what was put back comes first', () => {
  const waiting = new Outbox();
  const [first, second] = [request(1), notification('x')];
  waiting.push(first);
  waiting.push(second);
  expect(waiting.bytes).toBe(first.bytes.length + second.bytes.length);
  expect(waiting.shift()).toBe(first);
  waiting.putBack(first);
  expect([waiting.list(), waiting.bytes]).toEqual([[first, second], first.bytes.length + second.bytes.length]);
  expect([waiting.takeAll(), waiting.isEmpty, waiting.bytes, waiting.shift()]).toEqual([
    [first, second],
    true,
    0,
    undefined,
  ]);
});

test('a request is withdrawn by its id, and nothing else is', () => {
  const waiting = new Outbox();
  for (const message of [notification('x'), request(1), request('1')]) waiting.push(message);
  expect([waiting.withdraw('1'), waiting.withdraw('1'), waiting.withdraw(2)]).toEqual([true, false, false]);
  expect(waiting.list()).toMatchObject([{ kind: 'notification' }, { id: 1 }]);
  waiting.withdraw(1);
  waiting.shift();
  expect(waiting.bytes).toBe(0);
});

test('a thousand messages have room, and what was taken out makes room', () => {
  const waiting = new Outbox();
  for (let id = 0; id < 1000; id++) expect(waiting.push(request(id))).toBe(true);
  expect(waiting.push(request(1000))).toBe(false);
  waiting.shift();
  expect(waiting.push(request(1000))).toBe(true);
});

test('64 MiB have room', () => {
  const waiting = new Outbox();
  expect([1, 2, 3, 4, 5].map(() => waiting.push(big))).toEqual([true, true, true, true, false]);
  expect(waiting.push(request(1))).toBe(true);
});
