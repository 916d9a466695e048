import { beforeEach, describe, expect, test } from 'vitest';
import { Pipe } from '../../../../src/tunnel/relay/protocol/pipe.ts';
import { ReplayBuffer } from '../../../../src/tunnel/relay/protocol/replay-buffer.ts';
import { createFakeClock, type FakeClock } from '../../../harness/fake-clock.ts';
import { socketPair, type FakeSocket } from '../socket-pair.ts';

const kib = 1024;
let clock: FakeClock;
let near: FakeSocket;
let far: FakeSocket;
let pipe: Pipe;
let received: string[];
let writable: number;
const callbacks = {
  onReceived: (bytes: Buffer): void => void received.push(bytes.toString()),
  onWritable: (): void => void (writable += 1),
};
beforeEach(() => {
  clock = createFakeClock();
  received = [];
  writable = 0;
  [near, far] = socketPair();
  pipe = new Pipe(near, { isResumable: true, clock, ...callbacks });
});

/** What the other end was sent: binary messages by their length, text as it is. */
function sent(socket: FakeSocket): Array<number | string> {
  return socket.underWay.map(({ data }) => (typeof data === 'string' ? data : data.length));
}

function receive(bytes: number): void {
  far.send(Buffer.alloc(bytes), {});
  far.deliver();
}

/** Sends and delivers messages of this length while there is room. Returns how many. */
function fill(bytes: number): number {
  let count = 0;
  for (; pipe.isWritable; count += 1) {
    pipe.send(Buffer.alloc(bytes));
    near.deliver();
  }
  return count;
}

describe('acknowledgements', () => {
  test('come 200 ms after the first byte, or after 64 KiB', () => {
    receive(10);
    clock.advance(199);
    expect(sent(near)).toEqual([]);
    receive(10);
    clock.advance(1);
    expect(sent(near)).toEqual(['{"type":"ack","received":20}']);
    receive(64 * kib);
    expect(sent(near).at(-1)).toBe(`{"type":"ack","received":${20 + 64 * kib}}`);
    clock.advance(1_000);
    expect([sent(near).length, clock.pending]).toEqual([2, 0]);
  });

  test('of what was not sent are refused, and old ones do nothing', () => {
    pipe.send(Buffer.alloc(10));
    expect(pipe.acknowledge(11)).toBe(false);
    expect([pipe.acknowledge(10), pipe.acknowledge(3)]).toEqual([true, true]);
    expect(pipe.canAttach(3)).toBe(false);
  });

  test('of what was not sent again yet are refused', () => {
    for (let index = 0; index < 3; index += 1) {
      pipe.send(Buffer.alloc(60 * kib));
      near.deliver();
    }
    near.terminate();
    const [again] = socketPair();
    pipe.attach(again, 0);
    // The third does not fit into the socket.
    expect(sent(again)).toEqual([60 * kib, 60 * kib]);
    expect(pipe.acknowledge(120 * kib + 1)).toBe(false);
    expect(pipe.acknowledge(120 * kib)).toBe(true);
  });

  test('are not sent by a pipe that cannot resume', () => {
    const [one, other] = socketPair();
    const plain = new Pipe(one, { clock, ...callbacks });
    other.send(Buffer.alloc(100 * kib), {});
    other.deliver();
    expect([sent(one), clock.pending, plain.receivedBytes]).toEqual([[], 0, 100 * kib]);
  });

  test('are not sent while there is no socket; the resume says what was received', () => {
    receive(60 * kib);
    near.terminate();
    clock.advance(1_000);
    const [again, farAgain] = socketPair();
    pipe.attach(again, 0);
    clock.advance(1_000);
    expect([sent(again), pipe.receivedBytes, clock.pending]).toEqual([[], 60 * kib, 0]);
    farAgain.send(Buffer.alloc(10 * kib), {});
    farAgain.deliver();
    expect(sent(again)).toEqual([]);
    clock.advance(200);
    expect(sent(again)).toEqual([`{"type":"ack","received":${70 * kib}}`]);
  });
});

describe('bounds', () => {
  test('a peer that acknowledges nothing is sent 4 MiB; what it acknowledges makes room', () => {
    // 64 of them would be 4 MiB, and each counts 256 bytes more.
    expect(fill(64 * kib)).toBe(63);
    const before = writable;
    expect(pipe.acknowledge(10 * 64 * kib - 1)).toBe(true);
    expect(writable).toBe(before + 1);
    expect(fill(64 * kib)).toBe(9);
    expect(pipe.acknowledge(73 * 64 * kib)).toBe(false);
    expect(pipe.acknowledge(72 * 64 * kib)).toBe(true);
    expect(fill(64 * kib)).toBe(63);
  });

  test('small messages count 256 bytes more', () => {
    const buffer = new ReplayBuffer();
    let count = 0;
    for (; buffer.hasRoomFor(9); count += 1) buffer.add(Buffer.alloc(9));
    expect(count).toBe(Math.floor((4 * kib * kib) / (9 + 256)));
  });

  test('128 KiB wait in a socket at most, which has room again when one message has left', () => {
    let count = 0;
    for (; pipe.isWritable; count += 1) pipe.send(Buffer.alloc(64 * kib));
    expect([count, writable]).toEqual([2, 0]);
    near.deliver();
    expect([pipe.isWritable, writable]).toEqual([true, 1]);
  });

  test('a pipe without room reads on: the acknowledgement that ends the wait comes behind other bytes', () => {
    fill(64 * kib);
    for (let index = 0; index < 300; index += 1) receive(64 * kib);
    expect([received.length, pipe.receivedBytes]).toEqual([300, 300 * 64 * kib]);
    expect(pipe.isWritable).toBe(false);
    pipe.acknowledge(64 * kib);
    expect(pipe.isWritable).toBe(true);
  });
});

describe('a lost socket', () => {
  test('takes nothing more, and the next one continues in the middle of a message', () => {
    pipe.send(Buffer.from('one'));
    pipe.send(Buffer.from('two'));
    near.terminate();
    expect(pipe.isWritable).toBe(false);
    const [again] = socketPair();
    pipe.attach(again, 1);
    expect(again.underWay.map(({ data }) => data.toString())).toEqual(['ne', 'two']);
    expect([pipe.isWritable, writable]).toEqual([true, 1]);
  });

  test('continues at each byte', () => {
    const text = 'the bytes of several messages';
    for (const part of text.match(/.{1,7}/g) ?? []) pipe.send(Buffer.from(part));
    for (let at = 0; at <= text.length; at += 1) {
      const [again] = socketPair();
      expect(pipe.canAttach(at)).toBe(true);
      pipe.attach(again, at);
      expect(again.underWay.map(({ data }) => data.toString()).join('')).toBe(text.slice(at));
    }
    expect(pipe.canAttach(text.length - 1)).toBe(false);
  });

  test('has no room before all that was lost has been sent again', () => {
    for (let index = 0; index < 4; index += 1) {
      pipe.send(Buffer.alloc(60 * kib));
      near.deliver();
    }
    near.terminate();
    const [again] = socketPair();
    writable = 0;
    pipe.attach(again, 0);
    const leave = (): void => again.underWay.shift()?.callback?.();
    expect([sent(again).length, writable]).toEqual([2, 0]);
    leave();
    leave();
    expect([sent(again).length, pipe.isWritable, writable]).toEqual([2, false, 0]);
    leave();
    expect([sent(again).length, pipe.isWritable, writable]).toEqual([1, true, 1]);
  });

  test.each([1001, 1006, 1011, 1012, 1013, 1014])('may have been closed with %i', (code) => {
    near.close(code);
    expect(pipe.canAttach(0)).toBe(true);
  });

  test('that is not known to be lost is terminated when another one comes', () => {
    const [again, farAgain] = socketPair();
    pipe.attach(again, 0);
    expect(near.readyState).toBe(near.CLOSED);
    expect(pipe.canAttach(0)).toBe(true);
    near.emit('message', Buffer.from('from the old one'), true);
    farAgain.send(Buffer.from('from the new one'), {});
    farAgain.deliver();
    expect(received).toEqual(['from the new one']);
  });

  test('does not take room from the next one when its callbacks come late', () => {
    pipe.send(Buffer.alloc(64 * kib));
    const late = near.underWay[0]?.callback;
    near.terminate();
    const [again] = socketPair();
    pipe.attach(again, 64 * kib);
    pipe.send(Buffer.alloc(64 * kib));
    pipe.send(Buffer.alloc(64 * kib));
    late?.(new Error('the socket was closed'));
    late?.();
    expect(pipe.isWritable).toBe(false);
  });

  test('cannot be replaced for a peer that has received more than was sent, or less than it acknowledged', () => {
    pipe.send(Buffer.alloc(100));
    pipe.send(Buffer.alloc(100));
    pipe.acknowledge(100);
    near.terminate();
    expect([0, 99, 100, 150, 200, 201].map((bytes) => pipe.canAttach(bytes))).toEqual([
      false,
      false,
      true,
      true,
      true,
      false,
    ]);
    const [again] = socketPair();
    expect(() => pipe.attach(again, 201)).toThrow('bytes from 201 on are not kept');
  });

  test.each([1000, 1002, 4000, 4002])('that was closed with %i is the end of the pipe', (code) => {
    near.close(code);
    expect([pipe.isWritable, pipe.canAttach(0)]).toEqual([false, false]);
  });

  test('cannot be replaced once the pipe is closed', () => {
    receive(1);
    near.terminate();
    pipe.close();
    expect([pipe.canAttach(0), clock.pending]).toEqual([false, 0]);
  });
});
