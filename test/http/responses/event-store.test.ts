import { describe, expect, test } from 'vitest';
import { gather, piecesOf } from '../../../src/platform/bytes.ts';
import {
  EventStore,
  type EventOwner,
  type KeptEvent,
  type SessionBuffer,
} from '../../../src/http/responses/event-store.ts';

/** What an event is counted with beside its message. */
const overheadBytes = 512;

interface Recorder extends EventOwner {
  readonly dropped: number[];
}

function recorder(): Recorder {
  const dropped: number[] = [];
  return { dropped, onDropped: (number) => void dropped.push(number) };
}

/** An event that counts with `size` bytes. */
function keep(buffer: SessionBuffer, owner: EventOwner, number: number, size = 1000): KeptEvent | undefined {
  return buffer.keep(Buffer.alloc(size - overheadBytes, 'x'), owner, number);
}

describe('a session', () => {
  test('keeps its newest events, and tells of the oldest that make room', () => {
    const buffer = new EventStore({ maxSessionBytes: 3000 }).openBuffer();
    const owner = recorder();
    for (const number of [1, 2, 3]) keep(buffer, owner, number);
    expect(owner.dropped).toEqual([]);
    keep(buffer, owner, 4);
    expect(owner.dropped).toEqual([1]);
    keep(buffer, owner, 5, 2500);
    expect(owner.dropped).toEqual([1, 2, 3, 4]);
  });

  test('drops what is larger than all that it may keep at once, and keeps the rest', () => {
    const buffer = new EventStore({ maxSessionBytes: 3000 }).openBuffer();
    const owner = recorder();
    keep(buffer, owner, 1);
    expect(keep(buffer, owner, 2, 3001)).toBeUndefined();
    expect(owner.dropped).toEqual([2]);
    keep(buffer, owner, 3, 2000);
    expect(owner.dropped).toEqual([2]);
    keep(buffer, owner, 4);
    expect(owner.dropped).toEqual([2, 1]);
  });

  test('has room again for what it was told to forget, wherever that stood', () => {
    const buffer = new EventStore({ maxSessionBytes: 3000 }).openBuffer();
    const owner = recorder();
    const [, second] = [1, 2, 3].map((number) => keep(buffer, owner, number));
    second?.forget();
    second?.forget();
    keep(buffer, owner, 4);
    expect(owner.dropped).toEqual([]);
    keep(buffer, owner, 5);
    keep(buffer, owner, 6);
    expect(owner.dropped).toEqual([1, 3]);
  });

  test('counts an event even when its message is small', () => {
    const buffer = new EventStore({ maxSessionBytes: 10 * overheadBytes }).openBuffer();
    const owner = recorder();
    for (let number = 1; number <= 20; number++) buffer.keep(Buffer.from('{}'), owner, number);
    expect(owner.dropped.length).toBeGreaterThanOrEqual(10);
  });

  test('that is over keeps nothing, now or later, and leaves the room to the others', () => {
    const store = new EventStore({ maxBytes: 3000 });
    const [over, other] = [store.openBuffer(), store.openBuffer()];
    const owner = recorder();
    keep(over, owner, 1);
    keep(over, owner, 2);
    over.clear();
    expect(owner.dropped).toEqual([]);
    expect(keep(over, owner, 3)).toBeUndefined();
    const survivor = recorder();
    for (const number of [1, 2, 3]) keep(other, survivor, number);
    expect(survivor.dropped).toEqual([]);
  });
});

test('of all sessions together the oldest event goes first, whosever it is', () => {
  const store = new EventStore({ maxBytes: 4000, maxSessionBytes: 4000 });
  const [a, b] = [store.openBuffer(), store.openBuffer()];
  const [ownerA, ownerB] = [recorder(), recorder()];
  keep(a, ownerA, 1);
  keep(b, ownerB, 1);
  keep(a, ownerA, 2);
  keep(b, ownerB, 2);
  keep(b, ownerB, 3);
  expect([ownerA.dropped, ownerB.dropped]).toEqual([[1], []]);
  keep(b, ownerB, 4);
  expect([ownerA.dropped, ownerB.dropped]).toEqual([[1], [1]]);
});

test('an event larger than the whole store is dropped at once, and no other event makes room for it', () => {
  const store = new EventStore({ maxBytes: 3000, maxSessionBytes: 9000 });
  const [buffer, other] = [store.openBuffer(), store.openBuffer()];
  const [owner, neighbour] = [recorder(), recorder()];
  keep(buffer, owner, 1);
  keep(other, neighbour, 1);
  expect(keep(buffer, owner, 2, 3001)).toBeUndefined();
  expect([owner.dropped, neighbour.dropped]).toEqual([[2], []]);
});

test('the bounds are 8 MiB a session and 64 MiB in all', () => {
  const store = new EventStore();
  const half = 4 * 1024 * 1024;
  const owners = Array.from({ length: 9 }, () => {
    const buffer = store.openBuffer();
    const owner = recorder();
    for (const number of [1, 2]) keep(buffer, owner, number, half);
    return { buffer, owner };
  });
  expect(owners.map(({ owner }) => owner.dropped)).toEqual([[1, 2], [], [], [], [], [], [], [], []]);
  const last = owners.at(-1);
  if (last !== undefined) keep(last.buffer, last.owner, 3, half);
  expect(last?.owner.dropped).toEqual([1]);
});

test('a message shares its memory with the store, unless it would hold on to much more than itself', () => {
  const buffer = new EventStore().openBuffer();
  const read = Buffer.alloc(100_000, 'x');
  const [large, small] = [read.subarray(0, 50_000), read.subarray(50_000, 55_000)];
  const [keptLarge, keptSmall] = [large, small].map((message, at) => buffer.keep(message, recorder(), at));
  const shares = (event: KeptEvent | undefined): boolean[] =>
    event === undefined || typeof event.message === 'string'
      ? []
      : piecesOf(event.message).map((piece) => piece.buffer === read.buffer);
  expect([keptLarge, keptSmall].map(shares)).toEqual([[true], [false]]);
  expect(keptSmall?.message).toEqual(small);
  const inPieces = buffer.keep(gather([large, small, large], 105_000), recorder(), 2);
  expect(shares(inPieces)).toEqual([true, false, true]);
  expect(inPieces?.message.toString()).toBe('x'.repeat(105_000));
});

test('a hundred thousand events cost as little each as a thousand', () => {
  costOf(1000);
  // Were each to cost as much as there are events, it would be a hundred times as much.
  expect(costOf(100_000)).toBeLessThan(Math.max(costOf(1000), 0.002) * 20);
});

/** Milliseconds that each of so many events costs. */
function costOf(events: number): number {
  const buffer = new EventStore().openBuffer();
  const owner = recorder();
  const message = Buffer.alloc(2000);
  const started = performance.now();
  for (let number = 1; number <= events; number++) buffer.keep(message, owner, number);
  return (performance.now() - started) / events;
}
