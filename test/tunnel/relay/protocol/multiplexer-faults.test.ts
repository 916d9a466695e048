import { describe, expect, test } from 'vitest';
import { Multiplexer } from '../../../../src/tunnel/relay/protocol/multiplexer.ts';
import { MemoryCarrier, muxPair, Recorder } from './mux-pair.ts';
import { rawFrame } from './raw-frame.ts';

const windowBytes = 512 * 1024;
const head = (id: number): Buffer => rawFrame(1, id, '{}');

describe('an agent ends the connection when its relay', () => {
  test.each<[string, Buffer[], string]>([
    [
      'sends data for a stream that it has not opened',
      [rawFrame(2, 1, 'x')],
      'a frame for the stream 1, which was not opened',
    ],
    ['sends data for the stream 0', [rawFrame(2, 0, 'x')], 'a frame for the stream 0, which was not opened'],
    ['opens the stream 0', [head(0)], 'the stream 0 was opened twice'],
    [
      'resets a stream that it has not opened',
      [head(1), rawFrame(3, 2, 0)],
      'a frame for the stream 2, which was not opened',
    ],
    ['sends a window for one', [head(1), rawFrame(4, 2, 1)], 'a frame for the stream 2, which was not opened'],
    ['opens a stream twice', [head(1), head(1)], 'the stream 1 was opened twice'],
    ['opens a stream below the last one', [head(5), head(4)], 'the stream 4 was opened twice'],
    ['opens a stream that was reset', [head(1), rawFrame(3, 1, 0), head(1)], 'the stream 1 was opened twice'],
    [
      'sends data behind the end',
      [head(1), rawFrame(0x82, 1, 'x'), rawFrame(2, 1, 'y')],
      'data outside the body of the stream 1',
    ],
    [
      'sends data behind a head that ends',
      [rawFrame(0x81, 1, '{}'), rawFrame(2, 1)],
      'data outside the body of the stream 1',
    ],
    [
      'sends more than a window',
      [head(1), rawFrame(2, 1, Buffer.alloc(windowBytes)), rawFrame(2, 1, 'x')],
      'more data in the stream 1 than its window allows',
    ],
    ['allows more than was sent', [head(1), rawFrame(4, 1, 1)], 'the window of the stream 1 is larger than it can be'],
    [
      'allows as much as a number can say',
      [head(1), rawFrame(4, 1, 4_294_967_295)],
      'the window of the stream 1 is larger than it can be',
    ],
    ['sends a reset of 3 bytes', [head(1), rawFrame(3, 1, 'abc')], 'a frame of type 3 has 3 bytes'],
  ])('%s', (_what, frames, fault) => {
    const { agent, requests, faults } = muxPair((request) => (request.consumes = false));
    agent.receive(Buffer.concat([...frames, head(9), head(10)]));
    expect(faults).toEqual([`agent: ${fault}`]);
    expect(requests.map(({ stream }) => stream?.id)).not.toContain(9);
    agent.receive(head(11));
    expect([faults.length, agent.size, agent.isClosed]).toEqual([1, 0, true]);
  });
});

describe('a relay ends the connection when its agent', () => {
  test.each<[string, Buffer[], string]>([
    ['responds to a request that there was not', [head(2)], 'a frame for the stream 2, which was not opened'],
    ['sends data for one', [rawFrame(2, 2, 'x')], 'a frame for the stream 2, which was not opened'],
    ['resets one', [rawFrame(3, 2, 0)], 'a frame for the stream 2, which was not opened'],
    [
      'sends a window for one',
      [rawFrame(4, 4_294_967_295, 0)],
      'a frame for the stream 4294967295, which was not opened',
    ],
    ['sends something in the stream 0', [rawFrame(3, 0, 0)], 'a frame for the stream 0, which was not opened'],
    ['sends a second head', [head(1), head(1)], 'a second head in the stream 1'],
    ['sends data before the head', [rawFrame(2, 1, 'x')], 'data outside the body of the stream 1'],
    ['ends before the head', [rawFrame(0x82, 1)], 'data outside the body of the stream 1'],
    [
      'sends more than a window',
      [head(1), rawFrame(2, 1, Buffer.alloc(windowBytes + 1))],
      'more data in the stream 1 than its window allows',
    ],
    ['allows more than was sent', [head(1), rawFrame(4, 1, 1)], 'the window of the stream 1 is larger than it can be'],
    [
      'sends a head that is too large',
      [rawFrame(1, 1, Buffer.alloc(65_529))],
      'a frame of 65529 bytes that is not data',
    ],
  ])('%s', (_what, frames, fault) => {
    const { relay, open, faults } = muxPair();
    const call = open();
    call.consumes = false;
    relay.receive(Buffer.concat([...frames, rawFrame(3, 1, 2)]));
    expect([faults, call.events.at(-1), relay.size]).toEqual([[`relay: ${fault}`], 'close lost', 0]);
  });

  test('sends a frame of which the owner says so', () => {
    const seen: Array<[number, number]> = [];
    const faults: string[] = [];
    const relay = new Multiplexer({
      carrier: new MemoryCarrier(),
      objectTo(type, length) {
        seen.push([type, length]);
        return type === 99 ? 'too much' : undefined;
      },
      onFault: (reason) => faults.push(reason),
    });
    const call = new Recorder();
    relay.open(Buffer.from('{}'), true, call);
    const frames = [head(1), rawFrame(2, 1, 'abc'), rawFrame(4, 1, 0), rawFrame(0xe3, 1, '12345'), rawFrame(3, 1, 2)];
    relay.receive(Buffer.concat(frames));
    expect(faults).toEqual(['too much']);
    expect(seen).toEqual([
      [1, 2],
      [2, 3],
      [4, 4],
      [99, 5],
    ]);
    expect(call.events).toEqual(['head {}', 'data']);
  });
});

test('a window may be full, whatever the pieces', () => {
  const { relay, open, faults } = muxPair();
  const call = open();
  call.consumes = false;
  relay.receive(head(1));
  const bytes = Buffer.concat([
    rawFrame(2, 1, Buffer.alloc(100_000)),
    rawFrame(2, 1, Buffer.alloc(windowBytes - 100_000)),
  ]);
  for (let at = 0; at < bytes.length; at += 999) relay.receive(bytes.subarray(at, at + 999));
  expect([call.bytes, faults]).toEqual([windowBytes, []]);
  relay.receive(rawFrame(2, 1));
  expect(faults).toEqual([]);
});

test('streams that were open once may get anything', () => {
  const { relay, agent, openBoth, faults, settle } = muxPair();
  const [call, request] = openBoth();
  agent.respond(request.stream, Buffer.from('{}'));
  request.stream.end();
  settle();
  expect(call.events.at(-1)).toBe('close');
  const late = [rawFrame(2, 1, Buffer.alloc(windowBytes + 1)), rawFrame(0x82, 1), rawFrame(3, 1, 0), rawFrame(4, 1, 9)];
  agent.receive(Buffer.concat(late));
  relay.receive(Buffer.concat([...late, head(1), head(1)]));
  expect(faults).toEqual([]);
});

test('an agent that skips ids says nothing about those between', () => {
  const { agent, faults, requests } = muxPair();
  agent.receive(Buffer.concat([head(7), rawFrame(3, 3, 0), head(4_294_967_295)]));
  expect([faults, requests.length]).toEqual([[], 2]);
});

describe('the number of streams', () => {
  test('is limited to 1,024: more are refused, until one has ended', () => {
    const { agent, toRelay, requests, faults } = muxPair();
    agent.receive(Buffer.concat(Array.from({ length: 1_026 }, (_, at) => head(at + 1))));
    agent.flush();
    expect(toRelay.take()).toEqual([Buffer.concat([rawFrame(3, 1_025, 1), rawFrame(3, 1_026, 1)])]);
    expect([requests.length, agent.size, faults]).toEqual([1_024, 1_024, []]);
    agent.receive(Buffer.concat([rawFrame(3, 500, 0), head(1_027), head(1_028)]));
    agent.flush();
    expect([toRelay.take(), requests.length, agent.size]).toEqual([[rawFrame(3, 1_028, 1)], 1_025, 1_024]);
    // What was sent into a refused stream is ignored.
    agent.receive(rawFrame(0x82, 1_028, 'body'));
    expect(faults).toEqual([]);
  });
});
