import { describe, expect, test } from 'vitest';
import type { UpstreamMessage } from '../../../src/bridge/session/pending-request.ts';
import { createStandaloneStream, type StandaloneStream } from '../../../src/bridge/session/standalone-stream.ts';
import { createFakeClock, type FakeClock } from '../../harness/fake-clock.ts';
import { createFakeSink, methodsOf } from './fake-sink.ts';
import { notification, request } from '../messages.ts';

interface World {
  readonly stream: StandaloneStream;
  readonly clock: FakeClock;
  readonly dropped: UpstreamMessage[];
}

function world(): World {
  const clock = createFakeClock();
  const dropped: UpstreamMessage[] = [];
  return { stream: createStandaloneStream((message) => dropped.push(message), clock), clock, dropped };
}

const numbered = (number: number, filling = '') => notification(`n/${number}`, { filling });
const ask = (id: string, filling = '') => request(id, 'roots/list', { filling });

describe('while nobody listens', () => {
  test('messages wait, and reach the first listener in order', () => {
    const { stream, dropped } = world();
    expect(stream.isOpen()).toBe(false);
    for (const number of [1, 2, 3]) expect(stream.send(numbered(number))).toBe(true);
    const sink = createFakeSink();
    stream.attach(sink);
    stream.send(numbered(4));
    expect(methodsOf(sink)).toEqual(['n/1', 'n/2', 'n/3', 'n/4']);
    expect([stream.isOpen(), dropped]).toEqual([true, []]);
  });

  test('a thousand wait; of more, the oldest are dropped', () => {
    const { stream, dropped } = world();
    for (let number = 1; number <= 1003; number++) stream.send(numbered(number));
    expect(dropped.map(({ method }) => method)).toEqual(['n/1', 'n/2', 'n/3']);
    const sink = createFakeSink();
    stream.attach(sink);
    expect([sink.got.length, sink.got[0]?.method]).toEqual([1000, 'n/4']);
  });

  test('a mebibyte waits; of more, the oldest are dropped', () => {
    const { stream, dropped } = world();
    const quarter = 'x'.repeat(256 * 1024);
    for (const number of [1, 2, 3]) stream.send(numbered(number, quarter));
    expect(dropped).toEqual([]);
    stream.send(numbered(4, quarter));
    expect(dropped.map(({ method }) => method)).toEqual(['n/1']);
  });

  test('a message larger than that is dropped at once', () => {
    const { stream, dropped } = world();
    stream.send(numbered(1, 'x'.repeat(1024 * 1024)));
    expect(dropped).toHaveLength(1);
    stream.send(numbered(2));
    expect(dropped).toHaveLength(1);
  });

  test('what was delivered no longer counts', () => {
    const { stream, dropped } = world();
    const half = 'x'.repeat(600 * 1024);
    stream.send(numbered(1, half));
    const first = createFakeSink();
    stream.attach(first);
    first.open = false;
    stream.send(numbered(2, half));
    expect(dropped).toEqual([]);
    stream.send(numbered(3, half));
    expect(dropped.map(({ method }) => method)).toEqual(['n/2']);
  });

  test('asks that are dropped are told of like everything else, once', () => {
    const { stream, clock, dropped } = world();
    stream.send(ask('ask'));
    for (let number = 1; number <= 1000; number++) stream.send(numbered(number));
    expect([clock.pending, dropped]).toMatchObject([0, [{ kind: 'request', id: 'ask' }]]);
  });

  test('each ask waits for a minute, and everything else for ever', () => {
    const { stream, clock, dropped } = world();
    stream.send(numbered(1));
    stream.send(ask('early'));
    stream.send(numbered(2));
    clock.advance(30_000);
    stream.send(ask('late'));
    clock.advance(29_999);
    expect(dropped).toEqual([]);
    clock.advance(1);
    expect(dropped).toMatchObject([{ id: 'early' }]);
    clock.advance(29_999);
    expect(dropped).toHaveLength(1);
    clock.advance(600_000);
    expect(dropped).toMatchObject([{ id: 'early' }, { id: 'late' }]);
    const sink = createFakeSink();
    stream.attach(sink);
    expect(methodsOf(sink)).toEqual(['n/1', 'n/2']);
  });

  test('an ask that has waited for too long no longer counts', () => {
    const { stream, clock, dropped } = world();
    const half = 'x'.repeat(600 * 1024);
    stream.send(ask('ask', half));
    clock.advance(60_000);
    stream.send(numbered(1, half));
    expect(dropped).toMatchObject([{ id: 'ask' }]);
  });

  test('an ask that was delivered in time is not dropped', () => {
    const { stream, clock, dropped } = world();
    stream.send(ask('ask'));
    const sink = createFakeSink();
    stream.attach(sink);
    expect([methodsOf(sink), clock.pending]).toEqual([['roots/list'], 0]);
    sink.open = false;
    stream.send(numbered(1));
    clock.advance(60_000);
    expect(dropped).toEqual([]);
  });

  test('there is nothing to wait for', () => {
    let called = 0;
    world().stream.whenWritable(() => called++);
    expect(called).toBe(1);
  });
});

describe('with a listener', () => {
  test('messages go to the newest alone; when it has gone, to the one before', () => {
    const { stream } = world();
    const [old, fresh] = [createFakeSink(), createFakeSink()];
    stream.attach(old);
    stream.attach(fresh);
    stream.send(numbered(1));
    fresh.open = false;
    stream.send(numbered(2));
    expect([old.ends, methodsOf(old), methodsOf(fresh)]).toEqual([0, ['n/2'], ['n/1']]);
  });

  test('of nine, the oldest is ended', () => {
    const { stream } = world();
    const sinks = Array.from({ length: 9 }, createFakeSink);
    for (const sink of sinks) stream.attach(sink);
    expect(sinks.map(({ ends }) => ends)).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  test('asks wait for no time-out', () => {
    const { stream, clock } = world();
    stream.attach(createFakeSink());
    stream.send(ask('ask'));
    expect(clock.pending).toBe(0);
  });

  test('an old one that is not read holds nobody up once there is a new one', () => {
    const { stream } = world();
    const stalled = createFakeSink();
    stalled.fast = false;
    stream.attach(stalled);
    expect(stream.send(numbered(1))).toBe(false);
    let resumed = 0;
    stream.whenWritable(() => resumed++);
    expect(resumed).toBe(0);
    stream.attach(createFakeSink());
    stalled.drain();
    expect([resumed, stalled.ends]).toEqual([1, 0]);
  });

  test('one that has gone is no listener: messages wait for the next', () => {
    const { stream } = world();
    const [gone, next] = [createFakeSink(), createFakeSink()];
    stream.attach(gone);
    gone.open = false;
    stream.send(numbered(1));
    expect([stream.isOpen(), gone.got.length]).toEqual([false, 0]);
    stream.attach(next);
    expect(methodsOf(next)).toEqual(['n/1']);
  });

  test('its slowness is told on', () => {
    const { stream } = world();
    const slow = createFakeSink();
    slow.fast = false;
    stream.attach(slow);
    expect(stream.send(numbered(1))).toBe(false);
    let called = 0;
    stream.whenWritable(() => called++);
    expect(called).toBe(0);
    slow.drain();
    expect(called).toBe(1);
  });

  test('the end ends it', () => {
    const { stream } = world();
    const sink = createFakeSink();
    stream.attach(sink);
    stream.end();
    expect(sink.ends).toBe(1);
  });
});

test('after the end nothing waits any more', () => {
  const { stream, clock, dropped } = world();
  for (const id of ['a', 'b']) stream.send(ask(id));
  expect(clock.pending).toBe(2);
  stream.end();
  expect(clock.pending).toBe(0);
  for (let number = 0; number <= 1000; number++) expect(stream.send(ask(`${number}`))).toBe(true);
  expect([clock.pending, dropped]).toEqual([0, []]);
});
