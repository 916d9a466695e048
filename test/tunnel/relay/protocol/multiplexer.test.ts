import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { muxPair, type OpenRecorder } from './mux-pair.ts';
import { rawFrame } from './raw-frame.ts';

const kib = 1024;

/** Responds to each request with what it was sent, when it has ended. */
function echo(request: OpenRecorder, pair: () => ReturnType<typeof muxPair>): void {
  request.onEvent = (event) => {
    if (event !== 'end') return;
    pair().agent.respond(request.stream, Buffer.from('{"status":200}'));
    request.stream.write(request.body);
    request.stream.end();
  };
}

describe('a request and its response', () => {
  test('with bodies: what each end is told, and what is sent', () => {
    const { relay, agent, toAgent, toRelay, open, requests, faults } = muxPair();
    const call = open('{"method":"POST"}');
    call.stream.write(Buffer.from('ques'));
    call.stream.write(Buffer.from('tion'));
    call.stream.end();
    relay.flush();
    expect(toAgent.messages).toEqual([
      Buffer.concat([rawFrame(1, 1, '{"method":"POST"}'), rawFrame(0x82, 1, 'question')]),
    ]);
    for (const message of toAgent.take()) agent.receive(message);
    const [request] = requests;
    expect(request?.events).toEqual(['request {"method":"POST"}', 'data', 'end']);
    expect(request?.body.toString()).toBe('question');
    const stream = request?.stream;
    if (stream === undefined) throw new Error('no stream');
    agent.respond(stream, Buffer.from('{"status":200}'));
    stream.write(Buffer.from('answer'));
    stream.end();
    agent.flush();
    expect(toRelay.messages).toEqual([Buffer.concat([rawFrame(1, 1, '{"status":200}'), rawFrame(0x82, 1, 'answer')])]);
    expect([request?.events.at(-1), stream.isClosed, agent.size, relay.size]).toEqual(['close', true, 0, 1]);
    for (const message of toRelay.take()) relay.receive(message);
    expect(call.events).toEqual(['head {"status":200}', 'data', 'end', 'close']);
    expect([call.body.toString(), call.stream.isClosed, relay.size, faults]).toEqual(['answer', true, 0, []]);
  });

  test('without bodies', () => {
    const { relay, agent, toAgent, toRelay, open, requests, settle } = muxPair();
    const call = open('{"method":"GET"}', true);
    relay.flush();
    expect(toAgent.messages).toEqual([rawFrame(0x81, 1, '{"method":"GET"}')]);
    settle();
    expect(requests[0]?.events).toEqual(['request {"method":"GET"}', 'end']);
    const stream = requests[0]?.stream;
    if (stream === undefined) throw new Error('no stream');
    agent.respond(stream, Buffer.from('{"status":204}'));
    stream.end();
    agent.flush();
    expect(toRelay.messages).toEqual([Buffer.concat([rawFrame(1, 1, '{"status":204}'), rawFrame(0x82, 1)])]);
    settle();
    expect(call.events).toEqual(['head {"status":204}', 'end', 'close']);
  });

  test('of an agent that ends with the head', () => {
    const { relay, open } = muxPair();
    const call = open('{}', true);
    relay.receive(rawFrame(0x81, 1, '{"status":204}'));
    expect([call.events, relay.size]).toEqual([['head {"status":204}', 'end', 'close'], 0]);
  });

  test('that ends while the request goes on: the rest of the request is not sent, and what was is ignored', () => {
    const { agent, relay, toAgent, toRelay, openBoth, settle, faults } = muxPair();
    const [call, request] = openBoth('{}', false);
    call.stream.write(Buffer.alloc(1_000));
    relay.flush();
    call.stream.write(Buffer.alloc(100 * kib));
    agent.respond(request.stream, Buffer.from('{"status":413}'));
    request.stream.end();
    agent.flush();
    expect(request.events).toEqual(['request {}', 'close']);
    for (const message of toRelay.take()) relay.receive(message);
    expect(call.events).toEqual(['head {"status":413}', 'end', 'close']);
    expect([call.stream.write(Buffer.alloc(100)), call.stream.pendingBytes]).toEqual([true, 0]);
    call.stream.end();
    relay.flush();
    expect(toAgent.messages).toEqual([rawFrame(2, 1, Buffer.alloc(1_000))]);
    settle();
    expect([request.bytes, faults, relay.size, agent.size]).toEqual([0, [], 0, 0]);
  });

  test('ids rise from 1', () => {
    const { open } = muxPair();
    expect([open(), open(), open()].map(({ stream }) => stream.id)).toEqual([1, 2, 3]);
  });
});

describe('messages', () => {
  test('carry all that one turn sends, heads first', async () => {
    const { relay, toAgent, open } = muxPair();
    const calls = Array.from({ length: 10 }, (_, at) => open(`{"at":${at}}`));
    for (const { stream } of calls) stream.write(Buffer.from('body'));
    expect(toAgent.messages).toEqual([]);
    await nextTurn();
    const heads = calls.map((_, at) => rawFrame(1, at + 1, `{"at":${at}}`));
    const bodies = calls.map((_, at) => rawFrame(2, at + 1, 'body'));
    expect(toAgent.messages).toEqual([Buffer.concat([...heads, ...bodies])]);
    relay.flush();
    expect(toAgent.messages).toHaveLength(1);
  });

  test('wait until the carrier has room', async () => {
    const { relay, toAgent, open } = muxPair();
    toAgent.isWritable = false;
    const call = open();
    call.stream.write(Buffer.from('body'));
    await nextTurn();
    expect([toAgent.messages, call.stream.pendingBytes]).toEqual([[], 4]);
    toAgent.isWritable = true;
    relay.flush();
    expect([toAgent.messages.length, call.stream.pendingBytes]).toEqual([1, 0]);
  });

  test('have at most 64 KiB: a body is cut into full ones, and a head of 65,528 bytes is one', () => {
    const { relay, toAgent, open } = muxPair();
    const call = open('x'.repeat(65_528));
    call.stream.write(Buffer.alloc(100_000));
    call.stream.write(Buffer.alloc(50_000));
    call.stream.end();
    open('{}');
    relay.flush();
    expect(toAgent.messages.map(({ length }) => length)).toEqual([
      65_536,
      65_536,
      65_536,
      150_000 - 65_518 - 65_528 + 8,
    ]);
    expect(() => open('x'.repeat(65_529))).toThrow(new RangeError('a head of 65529 bytes'));
  });
});

describe('turns', () => {
  test('a small response overtakes large ones: at most one message of each goes before it', () => {
    const { agent, toRelay, openBoth } = muxPair();
    const large = Array.from({ length: 4 }, () => openBoth('{}', true)[1]);
    const [, small] = openBoth('{}', true);
    for (const { stream } of large) {
      agent.respond(stream, Buffer.from('{}'));
      stream.write(Buffer.alloc(400 * kib));
      stream.end();
    }
    // The carrier has room for one message at a time.
    const next = (): Buffer => {
      toRelay.isWritable = true;
      const send = toRelay.send.bind(toRelay);
      toRelay.send = (message) => {
        send(message);
        toRelay.isWritable = false;
      };
      agent.flush();
      toRelay.send = send;
      return toRelay.take()[0] ?? Buffer.alloc(0);
    };
    next();
    next();
    agent.respond(small.stream, Buffer.from('{}'));
    small.stream.write(Buffer.from('the small one'));
    small.stream.end();
    const before = Array.from({ length: 5 }, next).findIndex((message) => message.includes('the small one'));
    expect(before).toBe(4);
  });

  test('heads that do not fit into one message go before the data of others', () => {
    const { relay, toAgent, open } = muxPair();
    const heads = ['a', 'b'].map((letter) => letter.repeat(40_000));
    for (const head of heads) open(head).stream.write(Buffer.from('body'));
    relay.flush();
    expect(toAgent.messages.map((message) => message.includes('body'))).toEqual([false, true]);
    expect(toAgent.messages.map((message) => message.readUInt32BE(4))).toEqual([1, 2]);
  });

  test('a head overtakes all data', () => {
    const { agent, toRelay, openBoth } = muxPair();
    const [, first] = openBoth('{}', true);
    const [, second] = openBoth('{}', true);
    first.stream.write(Buffer.alloc(400 * kib));
    agent.respond(second.stream, Buffer.from('{"status":200}'));
    agent.flush();
    expect(toRelay.messages[0]?.includes('{"status":200}')).toBe(true);
  });

  test('large responses go on in turn', () => {
    const { agent, toRelay, openBoth } = muxPair();
    const streams = Array.from({ length: 3 }, () => openBoth('{}', true)[1].stream);
    for (const stream of streams) stream.write(Buffer.alloc(150 * kib));
    agent.flush();
    const ids = toRelay.messages.slice(0, 6).map((message) => message.readUInt32BE(4));
    expect(ids).toEqual([1, 2, 3, 1, 2, 3]);
  });
});

describe('a writer', () => {
  test('is told to wait at 64 KiB, and once when there is room again', () => {
    const { relay, toAgent, openBoth } = muxPair();
    const [call] = openBoth();
    toAgent.isWritable = false;
    expect(call.stream.write(Buffer.alloc(64 * kib - 1))).toBe(true);
    expect(call.stream.write(Buffer.alloc(1))).toBe(false);
    expect(call.stream.write(Buffer.alloc(10))).toBe(false);
    expect([call.stream.pendingBytes, call.events]).toEqual([64 * kib + 10, []]);
    toAgent.isWritable = true;
    relay.flush();
    expect([call.stream.pendingBytes, call.events]).toEqual([0, ['drain']]);
    call.stream.write(Buffer.alloc(10));
    relay.flush();
    expect(call.events).toEqual(['drain']);
  });

  test('may write in the moment in which it is told so, and end', () => {
    const { openBoth, settle } = muxPair();
    const [call, request] = openBoth();
    let left = 20;
    const write = (): void => {
      while (left > 0) {
        left -= 1;
        if (!call.stream.write(Buffer.alloc(50 * kib, left))) return;
      }
      call.stream.end();
    };
    call.onEvent = (event) => (event === 'drain' ? write() : undefined);
    write();
    settle();
    expect([request.bytes, request.events.at(-1), call.stream.isSent]).toEqual([20 * 50 * kib, 'end', true]);
    const expected = Array.from({ length: 20 }, (_, at) => Buffer.alloc(50 * kib, 19 - at));
    expect(request.body.equals(Buffer.concat(expected))).toBe(true);
  });

  test('writes nothing behind the end', () => {
    const { openBoth, settle } = muxPair();
    const [call, request] = openBoth();
    call.stream.end();
    call.stream.end();
    expect(call.stream.write(Buffer.from('late'))).toBe(true);
    settle();
    expect(request.events).toEqual(['request {}', 'end']);
  });
});

describe('resets', () => {
  test('of the relay reach the agent, and end what it sends', () => {
    const { relay, agent, toRelay, toAgent, openBoth, settle, faults } = muxPair();
    const [call, request] = openBoth();
    agent.respond(request.stream, Buffer.from('{"status":200}'));
    request.stream.write(Buffer.alloc(200 * kib));
    agent.flush();
    call.stream.write(Buffer.from('not sent'));
    call.reset(0);
    relay.flush();
    expect(toAgent.messages).toEqual([rawFrame(3, 1, 0)]);
    // What the agent has sent is under way, and is ignored.
    expect(toRelay.messages.length).toBeGreaterThan(0);
    settle();
    expect(request.events).toEqual(['request {}', 'drain', 'close 0']);
    expect([request.stream.write(Buffer.from('late')), request.stream.pendingBytes]).toEqual([true, 0]);
    agent.respond(request.stream, Buffer.from('{}'));
    request.stream.end();
    request.stream.reset(2);
    request.stream.consumed(512 * kib);
    agent.flush();
    expect([toRelay.messages, call.events, relay.size, agent.size, faults]).toEqual([[], [], 0, 0, []]);
  });

  test('of the agent reach the relay, with their number', () => {
    const { relay, agent, toRelay, openBoth, settle, faults } = muxPair();
    const [call, request] = openBoth();
    call.stream.write(Buffer.alloc(300 * kib));
    relay.flush();
    request.reset(2);
    agent.flush();
    expect(toRelay.messages).toEqual([rawFrame(3, 1, 2)]);
    settle();
    expect([call.events.at(-1), request.events, relay.size, agent.size]).toEqual(['close 2', ['request {}'], 0, 0]);
    expect(faults).toEqual([]);
  });

  test('that cross do nothing', () => {
    const { openBoth, settle, faults, relay, agent } = muxPair();
    const [call, request] = openBoth();
    call.reset(0);
    request.reset(2);
    settle();
    expect([call.events, request.events, faults, relay.size, agent.size]).toEqual([[], ['request {}'], [], 0, 0]);
  });

  test('of other numbers are passed on', () => {
    const { openBoth, relay } = muxPair();
    const [call] = openBoth();
    relay.receive(rawFrame(3, 1, 4_294_967_295));
    expect(call.events).toEqual(['close 4294967295']);
  });

  test('in the moment of a request, before its receiver is known', () => {
    const { open, settle, requests } = muxPair((request) => request.reset(2));
    const call = open('{}', true);
    settle();
    expect([call.events, requests[0]?.events]).toEqual([['close 2'], ['request {}']]);
  });

  test('in the moment in which something arrives end what follows', () => {
    const { relay, openBoth, settle, requests, faults } = muxPair();
    const [first] = openBoth();
    first.onEvent = (event) => (event.startsWith('head') ? first.reset(0) : undefined);
    const [second] = openBoth();
    second.onEvent = (event) => (event === 'data' ? second.reset(0) : undefined);
    const [third] = openBoth();
    third.onEvent = (event) => (event === 'data' ? third.reset(0) : undefined);
    relay.receive(Buffer.concat([rawFrame(1, 3, '{}'), rawFrame(0x82, 3, 'all')]));
    for (const id of [1, 2]) {
      relay.receive(Buffer.concat([rawFrame(1, id, '{}'), rawFrame(2, id, 'a'), rawFrame(0x82, id, 'b')]));
    }
    settle();
    const calls = [first, second, third];
    expect(calls.map(({ events }) => events)).toEqual([['head {}'], ['head {}', 'data'], ['head {}', 'data']]);
    expect(requests.map(({ events }) => events.at(-1))).toEqual(['close 0', 'close 0', 'close 0']);
    expect(faults).toEqual([]);
  });
});

test('ten thousand streams leave nothing behind', () => {
  const pair = muxPair((request) => echo(request, () => pair));
  for (let at = 0; at < 100; at += 1) {
    const calls = Array.from({ length: 100 }, () => {
      const call = pair.open();
      call.stream.write(Buffer.from(`body ${at}`));
      call.stream.end();
      return call;
    });
    pair.settle();
    if (!calls.every(({ body }) => body.toString() === `body ${at}`)) throw new Error(`round ${at}`);
  }
  expect([pair.relay.size, pair.agent.size, pair.requests.length, pair.faults]).toEqual([0, 0, 10_000, []]);
});
