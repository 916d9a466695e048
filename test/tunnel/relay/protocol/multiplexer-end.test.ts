import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { muxPair } from './mux-pair.ts';
import { rawFrame } from './raw-frame.ts';

describe('an agent that finishes', () => {
  test('refuses new streams, and is idle when the last one has ended', () => {
    const { agent, open, openBoth, requests, settle } = muxPair();
    const [call, request] = openBoth();
    let idle = 0;
    agent.finish(() => (idle += 1));
    const late = open('{"late":1}');
    settle();
    expect([late.events, requests.length, idle]).toEqual([['close 1'], 1, 0]);
    agent.respond(request.stream, Buffer.from('{}'));
    request.stream.write(Buffer.from('body'));
    request.stream.end();
    settle();
    expect([call.events.at(-1), call.body.toString(), idle]).toEqual(['close', 'body', 1]);
    settle();
    agent.close();
    expect(idle).toBe(1);
  });

  test('is idle in a later turn when no stream is open', async () => {
    const { agent } = muxPair();
    let idle = 0;
    agent.finish(() => (idle += 1));
    expect(idle).toBe(0);
    await nextTurn();
    expect(idle).toBe(1);
  });

  test('is not idle before all has left', () => {
    const { agent, toRelay, openBoth } = muxPair();
    const [, request] = openBoth('{}', true);
    toRelay.isWritable = false;
    agent.respond(request.stream, Buffer.from('{}'));
    request.stream.end();
    let idle = 0;
    agent.finish(() => (idle += 1));
    agent.flush();
    expect(idle).toBe(0);
    toRelay.isWritable = true;
    agent.flush();
    expect([toRelay.messages.length, idle]).toEqual([1, 1]);
  });

  test('is not idle before it has refused what came', () => {
    const { agent, toRelay } = muxPair();
    let idle = 0;
    toRelay.isWritable = false;
    agent.finish(() => (idle += 1));
    agent.receive(rawFrame(0x81, 1, '{}'));
    agent.flush();
    expect(idle).toBe(0);
    toRelay.isWritable = true;
    agent.flush();
    expect([toRelay.messages, idle]).toEqual([[rawFrame(3, 1, 1)], 1]);
  });

  test.each(['relay', 'agent'])('is idle when the last stream was reset by the %s', async (by) => {
    const { agent, openBoth } = muxPair();
    const [, request] = openBoth();
    let idle = 0;
    agent.finish(() => (idle += 1));
    await nextTurn();
    if (by === 'agent') request.reset(2);
    else agent.receive(rawFrame(3, 1, 0));
    await nextTurn();
    expect(idle).toBe(1);
  });

  test('is idle when the connection is gone', () => {
    const { agent, openBoth } = muxPair();
    const [, request] = openBoth();
    let idle = 0;
    agent.finish(() => (idle += 1));
    agent.close();
    expect([request.events.at(-1), idle]).toEqual(['close lost', 1]);
  });
});

describe('close', () => {
  test('loses all streams, at both ends', () => {
    const { relay, agent, openBoth } = muxPair();
    const pairs = Array.from({ length: 3 }, () => openBoth());
    for (const [call] of pairs) call.stream.write(Buffer.from('body'));
    for (const [, request] of pairs) agent.respond(request.stream, Buffer.from('{}'));
    relay.close();
    agent.close();
    relay.close();
    for (const [call, request] of pairs) {
      expect([call.events, request.events]).toEqual([['close lost'], ['request {}', 'close lost']]);
      expect([call.stream.isClosed, call.stream.pendingBytes]).toEqual([true, 0]);
    }
    expect([relay.size, agent.size, relay.isClosed]).toEqual([0, 0, true]);
  });

  test('sends nothing more and ignores what still arrives', async () => {
    const { relay, agent, toAgent, toRelay, openBoth, faults } = muxPair();
    const [call, request] = openBoth();
    agent.respond(request.stream, Buffer.from('{}'));
    request.stream.write(Buffer.from('body'));
    agent.flush();
    call.stream.write(Buffer.from('body'));
    relay.close();
    call.stream.write(Buffer.from('body'));
    call.stream.end();
    call.stream.reset(0);
    call.stream.consumed(1_000_000);
    for (const message of toRelay.take()) relay.receive(message);
    relay.receive(rawFrame(9, 0, 'x'));
    relay.receive(rawFrame(3, 77, 0));
    await nextTurn();
    expect([toAgent.messages, call.events, faults]).toEqual([[], ['close lost'], []]);
  });

  test('in the moment in which something arrives ends what follows', () => {
    const pair = muxPair(
      (request) => (request.onEvent = (event) => (event === 'data' ? pair.agent.close() : undefined)),
    );
    pair.agent.receive(Buffer.concat([rawFrame(1, 1, '{}'), rawFrame(2, 1, 'x'), rawFrame(1, 2, '{}')]));
    expect(pair.requests.map(({ events }) => events)).toEqual([['request {}', 'data', 'close lost']]);
    expect([pair.agent.size, pair.faults]).toEqual([0, []]);
  });

  test('in the moment in which there is room ends what would be sent', () => {
    const { relay, toAgent, openBoth } = muxPair();
    const [call] = openBoth();
    openBoth()[0].stream.write(Buffer.alloc(300_000));
    call.stream.write(Buffer.alloc(65_600));
    call.onEvent = (event) => (event === 'drain' ? relay.close() : undefined);
    relay.flush();
    expect([call.events, toAgent.messages.length]).toEqual([['drain', 'close lost'], 2]);
  });

  test('lets a receiver reset other streams in its onClose', () => {
    const { relay, openBoth } = muxPair();
    const [first] = openBoth();
    const [second] = openBoth();
    first.onEvent = (event) => (event.startsWith('close') ? second.reset(0) : undefined);
    relay.close();
    expect([first.events, second.events, relay.size]).toEqual([['close lost'], [], 0]);
  });
});

test('requests that are given up before they could be sent leave nothing behind', () => {
  const { agent, relay, toAgent, open, requests, settle } = muxPair();
  toAgent.isWritable = false;
  for (let count = 0; count < 1_000; count += 1) open('{"head":"of a request"}').reset(0);
  expect(relay.size).toBe(0);
  toAgent.isWritable = true;
  relay.flush();
  expect(toAgent.messages).toEqual([]);
  const call = open('{"head":"of the next"}', true);
  settle();
  expect([call.stream.id, requests.map(({ events }) => events.at(-1)), agent.size]).toEqual([1_001, ['end'], 1]);
});
