import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { Pipe } from '../../../../src/tunnel/relay/protocol/pipe.ts';
import { ReplayBuffer } from '../../../../src/tunnel/relay/protocol/replay-buffer.ts';
import { createFakeClock, type FakeClock } from '../../../harness/fake-clock.ts';
import { socketPair, type FakeSocket } from '../socket-pair.ts';
import { eventually, inTurn } from '../world.ts';

const kib = 1024;
let clock: FakeClock;
let near: FakeSocket;
let far: FakeSocket;
let pipe: Pipe;
beforeEach(() => {
  clock = createFakeClock();
  [near, far] = socketPair();
  pipe = new Pipe(near, { isResumable: true, clock });
});

/** What the other end was sent: binary messages by their length, text as it is. */
function sent(socket: FakeSocket): Array<number | string> {
  return socket.underWay.map(({ data }) => (typeof data === 'string' ? data : data.length));
}

function receive(bytes: number): void {
  far.send(Buffer.alloc(bytes), {});
  far.deliver();
}

describe('acknowledgements', () => {
  test('come 200 ms after the first byte, or after 64 KiB', () => {
    pipe.resume();
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
    pipe.write(Buffer.alloc(10));
    expect(pipe.acknowledge(11)).toBe(false);
    expect([pipe.acknowledge(10), pipe.acknowledge(3)]).toEqual([true, true]);
  });

  test('of what was not sent again yet are refused', () => {
    for (let index = 0; index < 3; index += 1) {
      pipe.write(Buffer.alloc(60 * kib));
      near.deliver();
    }
    near.terminate();
    const [again] = socketPair();
    pipe.attach(again, 0);
    // The third does not fit into the socket.
    expect(sent(again)).toEqual([60 * kib, 60 * kib]);
    expect(pipe.acknowledge(120 * kib + 1)).toBe(false);
  });

  test('are not sent by a pipe that cannot resume', () => {
    const [one, other] = socketPair();
    new Pipe(one, { clock }).resume();
    other.send(Buffer.alloc(100 * kib), {});
    other.deliver();
    expect([sent(one), clock.pending]).toEqual([[], 0]);
  });
});

describe('bounds', () => {
  test('a peer that acknowledges nothing is sent 4 MiB; then the writer waits', async () => {
    for (let index = 0; index < 100; index += 1) pipe.write(Buffer.alloc(64 * kib));
    let delivered = 0;
    const drain = (): number => {
      while (near.deliver()) delivered += 1;
      return delivered;
    };
    // 64 of them would be 4 MiB, and each counts 256 bytes more.
    await eventually(() => drain() === 63, 'all that is sent');
    await nextTurn();
    expect([drain(), pipe.writableNeedDrain]).toEqual([63, true]);
    expect(pipe.acknowledge(10 * 64 * kib)).toBe(true);
    expect(drain()).toBe(73);
  });

  test('small messages count more than their bytes', () => {
    const buffer = new ReplayBuffer();
    let count = 0;
    for (; buffer.hasRoomFor(9); count += 1) buffer.add(Buffer.alloc(9));
    expect(count).toBe(Math.floor((4 * kib * kib) / (9 + 256)));
  });

  test('while a write waits, reading goes on: the acknowledgement that ends the wait comes behind other bytes', async () => {
    for (let index = 0; index < 70; index += 1) pipe.write(Buffer.alloc(64 * kib));
    await eventually(() => !near.deliver() && near.underWay.length === 0, 'the writer to wait');
    // As node:http2 does while it writes.
    pipe.pause();
    await inTurn(Array.from({ length: 20 }), async () => {
      receive(64 * kib);
      await nextTurn();
    });
    expect([near.isPaused, pipe.readableLength]).toEqual([false, 20 * 64 * kib]);
    pipe.acknowledge(63 * 64 * kib);
    await eventually(() => !near.deliver() && pipe.writableLength === 0, 'the write to end');
  });

  test('a peer that sends on and acknowledges nothing is read up to 16 MiB', async () => {
    pipe.write(Buffer.alloc(5_000 * kib));
    pipe.pause();
    for (let index = 0; index < 1_000 && !near.isPaused; index += 1) receive(64 * kib);
    expect([near.isPaused, pipe.readableLength]).toEqual([true, 16 * kib * kib]);
    pipe.resume();
    await eventually(() => !near.isPaused && pipe.readableLength === 0, 'the bytes to be read');
  });
});

describe('a lost socket', () => {
  test('is no error, and writes wait for the next', async () => {
    const errors: Error[] = [];
    pipe.on('error', (error) => errors.push(error));
    pipe.write('one');
    near.terminate();
    let isWritten = false;
    pipe.write('two', () => (isWritten = true));
    await nextTurn();
    expect([isWritten, pipe.destroyed, errors]).toEqual([false, false, []]);
    const [again] = socketPair();
    pipe.attach(again, 1);
    await eventually(() => isWritten, 'the write');
    expect(again.underWay.map(({ data }) => data.toString())).toEqual(['ne', 'two']);
  });

  test.each([1001, 1011, 1012, 1013, 1014])('may also be one that a proxy closed with %i', async (code) => {
    near.close(code);
    await nextTurn();
    expect(pipe.canAttach(0)).toBe(true);
  });

  test('that is not known to be lost is terminated when another one comes', () => {
    const [again] = socketPair();
    pipe.attach(again, 0);
    expect(near.readyState).toBe(near.CLOSED);
    expect(pipe.destroyed).toBe(false);
  });

  test('cannot be replaced for a peer that has received more than was sent, or less than it acknowledged', () => {
    pipe.write(Buffer.alloc(100));
    pipe.write(Buffer.alloc(100));
    pipe.acknowledge(100);
    near.terminate();
    expect([0, 99, 100, 150, 200, 201].map((received) => pipe.canAttach(received))).toEqual([
      false,
      false,
      true,
      true,
      true,
      false,
    ]);
  });

  test.each([1002, 4000, 4002])('that was closed with %i is an error', async (code) => {
    const errors: Error[] = [];
    pipe.on('error', (error) => errors.push(error));
    near.close(code, 'why');
    await eventually(() => errors.length > 0, 'the error');
    expect(errors.map(({ message }) => message)).toEqual([`the link was closed with ${code} why`]);
    expect(pipe.canAttach(0)).toBe(false);
  });

  test('fails the write that waits when the pipe is destroyed', async () => {
    pipe.on('error', () => undefined);
    near.terminate();
    const failed = new Promise((resolve) => {
      pipe.write('x', resolve);
    });
    pipe.destroy(new Error('expired'));
    expect(await failed).toMatchObject({ message: 'expired' });
  });
});
