import { describe, expect, test } from 'vitest';
import { muxPair } from './mux-pair.ts';
import { rawFrame } from './raw-frame.ts';

const kib = 1024;
const windowBytes = 512 * kib;

test('a receiver that processes nothing is sent 512 KiB, and stops nothing but its own stream', () => {
  const { agent, openBoth, settle } = muxPair();
  const [slow, slowRequest] = openBoth('{}', true);
  const [fast, fastRequest] = openBoth('{}', true);
  slow.consumes = false;
  for (const { stream } of [slowRequest, fastRequest]) {
    agent.respond(stream, Buffer.from('{}'));
    stream.write(Buffer.alloc(3_000 * kib));
    stream.end();
  }
  settle();
  expect([slow.bytes, slow.events, slowRequest.stream.isSent]).toEqual([windowBytes, ['head {}', 'data'], false]);
  expect([fast.bytes, fast.events]).toEqual([3_000 * kib, ['head {}', 'data', 'end', 'close']]);
  slow.consume();
  settle();
  expect(slow.bytes).toBe(2 * windowBytes);
  slow.consumes = true;
  slow.consume();
  settle();
  expect([slow.bytes, slow.events.at(-1)]).toEqual([3_000 * kib, 'close']);
});

test('the same holds for requests', () => {
  const { openBoth, settle } = muxPair();
  const [slow, slowRequest] = openBoth();
  const [fast, fastRequest] = openBoth();
  slowRequest.consumes = false;
  for (const { stream } of [slow, fast]) {
    stream.write(Buffer.alloc(3_000 * kib));
    stream.end();
  }
  settle();
  expect([slowRequest.bytes, slowRequest.events, slow.stream.isSent]).toEqual([
    windowBytes,
    ['request {}', 'data'],
    false,
  ]);
  expect([fastRequest.bytes, fastRequest.events.at(-1), fast.stream.isSent]).toEqual([3_000 * kib, 'end', true]);
});

test('both directions of a stream have a window', () => {
  const { agent, openBoth, settle } = muxPair();
  const [call, request] = openBoth();
  request.consumes = false;
  call.stream.write(Buffer.alloc(windowBytes + 1));
  agent.respond(request.stream, Buffer.from('{}'));
  request.stream.write(Buffer.alloc(2_000 * kib));
  settle();
  expect([request.bytes, call.bytes]).toEqual([windowBytes, 2_000 * kib]);
});

test('while many receivers process nothing, other streams are served', () => {
  const { agent, openBoth, settle } = muxPair();
  const stalled = Array.from({ length: 100 }, () => {
    const [call, request] = openBoth('{}', true);
    call.consumes = false;
    agent.respond(request.stream, Buffer.from('{}'));
    request.stream.write(Buffer.alloc(600 * kib));
    return call;
  });
  settle();
  const [call, request] = openBoth('{}', true);
  agent.respond(request.stream, Buffer.from('{}'));
  request.stream.write(Buffer.alloc(1_000 * kib));
  request.stream.end();
  settle();
  expect(stalled.every(({ bytes }) => bytes === windowBytes)).toBe(true);
  expect([call.bytes, call.events.at(-1)]).toEqual([1_000 * kib, 'close']);
});

describe('window frames', () => {
  test('are sent for each half of a window that was processed', () => {
    const { agent, toRelay, openBoth, settle } = muxPair();
    const [call, request] = openBoth();
    request.consumes = false;
    call.stream.write(Buffer.alloc(windowBytes));
    settle();
    request.consume(windowBytes / 2 - 1);
    agent.flush();
    expect(toRelay.messages).toEqual([]);
    request.consume(1_001);
    agent.flush();
    expect(toRelay.take()).toEqual([rawFrame(4, 1, windowBytes / 2 + 1_000)]);
    request.consume(1_000);
    agent.flush();
    expect(toRelay.messages).toEqual([]);
  });

  test('are not sent to an end that has sent all', () => {
    const { agent, toRelay, openBoth, settle } = muxPair();
    const [call, request] = openBoth();
    request.consumes = false;
    call.stream.write(Buffer.alloc(windowBytes));
    call.stream.end();
    settle();
    expect(request.events).toEqual(['request {}', 'data', 'end']);
    request.consume();
    agent.flush();
    expect(toRelay.messages).toEqual([]);
  });

  test('of any number add up to what was sent', () => {
    const { relay, toAgent, openBoth } = muxPair();
    const [call] = openBoth();
    call.stream.write(Buffer.alloc(windowBytes + 1_000));
    relay.flush();
    toAgent.take();
    relay.receive(rawFrame(4, 1, 0));
    relay.receive(rawFrame(4, 1, 1));
    relay.receive(rawFrame(4, 1, 9));
    relay.flush();
    expect(Buffer.concat(toAgent.take())).toEqual(rawFrame(2, 1, Buffer.alloc(10)));
  });
});

test('an end needs no window', () => {
  const { openBoth, settle } = muxPair();
  const [call, request] = openBoth();
  request.consumes = false;
  call.stream.write(Buffer.alloc(windowBytes));
  settle();
  call.stream.end();
  settle();
  expect([request.bytes, request.events.at(-1)]).toEqual([windowBytes, 'end']);
});
