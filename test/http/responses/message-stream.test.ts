import { afterEach, describe, expect, test, vi } from 'vitest';
import { EventStore, type SessionBuffer } from '../../../src/http/responses/event-store.ts';
import { MessageStream, type StreamIdentity } from '../../../src/http/responses/message-stream.ts';
import { notification, request, response } from '../../bridge/messages.ts';
import { within } from '../../harness/eventually.ts';
import { connections, linesIn } from './streams-world.ts';
import { protocols, readUntil } from '../web.ts';

const graceMs = 5000;
const note = (progress: number) => notification('notifications/progress', { progressToken: 1, progress });
const text = (progress: number): string => note(progress).bytes.toString();
const answer = response(7, { content: [] });
const filling = (n: number) => notification('notifications/message', { n, filling: 'x'.repeat(60 * 1024) });

interface Kept {
  readonly stream: MessageStream;
  readonly buffer: SessionBuffer;
  readonly changes: () => number;
}

function keptStream(more: Partial<StreamIdentity> = {}, maxSessionBytes = 8_000_000): Kept {
  let changes = 0;
  const buffer = new EventStore({ maxSessionBytes }).openBuffer();
  const onChange = (): void => void changes++;
  const stream = new MessageStream({ name: '3', buffer, retryMs: 1000, graceMs, onChange, ...more });
  return { stream, buffer, changes: () => changes };
}

afterEach(() => void vi.useRealTimers());

describe.each(protocols)('over %s', (protocol) => {
  describe('a stream that ends with its connection', () => {
    test('has no ids, and is gone at once when its client goes', async () => {
      const connect = await connections(protocol);
      const { ours, theirs, closed } = await connect();
      const stream = new MessageStream();
      stream.connect(ours);
      stream.send(note(1));
      let gone = 0;
      stream.whenGone(() => gone++);
      const { stream: body, hangUp } = await theirs;
      expect(linesIn(await readUntil(body, '"progress":1}}\n\n'))).toEqual([': listening', text(1)]);
      hangUp();
      await within(15_000, 'the end', closed);
      expect([gone, stream.isConnected(), stream.canReturn(), stream.absence()]).toEqual([1, false, false, undefined]);
      expect(stream.recall(request('ask'))).toBe(true);
      expect([stream.send(note(2)), stream.finish(answer.bytes, 7)]).toEqual([true, true]);
    });
  });

  describe('a stream that outlives its connection', () => {
    test('begins with an id and the time to wait, and numbers what follows', async () => {
      const connect = await connections(protocol);
      const { ours, theirs } = await connect();
      const { stream } = keptStream();
      stream.connect(ours);
      stream.send(note(1));
      stream.send(note(2));
      stream.finish(answer.bytes, 7);
      expect(linesIn(await (await theirs).body())).toEqual([
        '3-0 1000 ',
        `3-1 ${text(1)}`,
        `3-2 ${text(2)}`,
        `3-3 ${answer.bytes.toString()}`,
      ]);
    });

    test('spares clients of older revisions the event without data, and numbers all the same', async () => {
      const connect = await connections(protocol);
      const { ours, theirs } = await connect();
      const { stream } = keptStream({ retryMs: undefined });
      stream.connect(ours);
      expect(stream.canReturn()).toBe(false);
      stream.send(note(1));
      expect(stream.canReturn()).toBe(true);
      stream.finish();
      expect(linesIn(await (await theirs).body())).toEqual([': listening', `3-1 ${text(1)}`]);
    });

    test('sends what its client has missed, goes on, and ends with the last', async () => {
      const connect = await connections(protocol);
      const first = await connect();
      const { stream } = keptStream();
      stream.connect(first.ours);
      stream.send(note(1));
      await readUntil((await first.theirs).stream, text(1));
      (await first.theirs).hangUp();
      await within(15_000, 'the end', first.closed);
      expect([stream.isConnected(), stream.absence()]).toEqual([false, 'short']);
      stream.send(note(2));
      const second = await connect();
      stream.connect(second.ours, 1);
      expect([stream.isConnected(), stream.absence()]).toEqual([true, undefined]);
      stream.send(note(3));
      stream.finish(answer.bytes, 7);
      expect(linesIn(await (await second.theirs).body())).toEqual([
        '3-1 1000 ',
        `3-2 ${text(2)}`,
        `3-3 ${text(3)}`,
        `3-4 ${answer.bytes.toString()}`,
      ]);
    });

    test('that is finished can be read again from any place, as often as one likes', async () => {
      const connect = await connections(protocol);
      const { stream } = keptStream();
      const first = await connect();
      stream.connect(first.ours);
      (await first.theirs).hangUp();
      await within(15_000, 'the end', first.closed);
      stream.send(note(1));
      stream.finish(answer.bytes, 7);
      for (const after of [0, 1, 0]) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const again = await connect();
        stream.connect(again.ours, after);
        // oxlint-disable-next-line no-await-in-loop -- as above
        const lines = linesIn(await (await again.theirs).body());
        expect(lines).toHaveLength(3 - after);
        expect(lines.at(-1)).toBe(`3-2 ${answer.bytes.toString()}`);
      }
    });

    test('ends the older connection when a newer one takes its place', async () => {
      const connect = await connections(protocol);
      const [older, newer] = [await connect(), await connect()];
      const { stream } = keptStream();
      stream.connect(older.ours);
      stream.send(note(1));
      stream.connect(newer.ours, 0);
      expect(linesIn(await (await older.theirs).body())).toEqual(['3-0 1000 ', `3-1 ${text(1)}`]);
      await within(15_000, 'the end', older.closed);
      expect(stream.isConnected()).toBe(true);
      stream.send(note(2));
      stream.finish();
      expect(linesIn(await (await newer.theirs).body())).toEqual(['3-0 1000 ', `3-1 ${text(1)}`, `3-2 ${text(2)}`]);
    });

    test('sends what was missed no faster than the client takes it, and lets its server wait until then', async () => {
      const connect = await connections(protocol);
      const { stream } = keptStream({}, 100_000_000);
      const count = 200;
      for (let n = 1; n <= count; n++) stream.send(filling(n));
      const { ours, theirs } = await connect();
      stream.connect(ours, 0);
      expect(ours.isWritable()).toBe(false);
      expect(stream.send(filling(count + 1))).toBe(false);
      let released = false;
      const writable = new Promise<void>((resolve) => {
        stream.whenWritable(() => {
          released = true;
          resolve();
        });
      });
      const { body } = await theirs;
      await new Promise(setImmediate);
      expect(released).toBe(false);
      const everything = body();
      await within(15_000, 'the client to have caught up', writable);
      stream.finish();
      const lines = linesIn(await everything);
      expect(lines.slice(1).map((line) => line.slice(0, line.indexOf(' ')))).toEqual(
        Array.from({ length: count + 1 }, (_, at) => `3-${at + 1}`),
      );
    });

    test('lets go on who waits for a client that goes in the middle of what it has missed', async () => {
      const connect = await connections(protocol);
      const { stream } = keptStream({}, 100_000_000);
      for (let n = 1; n <= 200; n++) stream.send(filling(n));
      const { ours, theirs } = await connect();
      stream.connect(ours, 0);
      const writable = new Promise<void>((resolve) => stream.whenWritable(resolve));
      (await theirs).hangUp();
      await within(15_000, 'the wait to end', writable);
      let called = 0;
      stream.whenWritable(() => called++);
      expect(called).toBe(1);
    });

    test('answers with an error where the answer was not kept, and leaves out what else was not', async () => {
      const connect = await connections(protocol);
      const { stream } = keptStream({}, 10_000);
      stream.send(note(1));
      for (let n = 2; n <= 30; n++) stream.send(note(n));
      stream.finish(response(7, { filling: 'x'.repeat(10_000) }).bytes, 7);
      const { ours, theirs } = await connect();
      stream.connect(ours, 0);
      const lines = linesIn(await (await theirs).body());
      expect(lines).not.toContain(`3-1 ${text(1)}`);
      expect(lines).toContain(`3-30 ${text(30)}`);
      expect(lines.at(-1)).toBe(
        '3-31 {"jsonrpc":"2.0","id":7,"error":{"code":-32603,' +
          '"message":"the answer was not kept until the client came back for it","data":{"reason":"answer_not_kept"}}}',
      );
    });

    test('does not hold on to an id that is a message of its own', async () => {
      const { stream } = keptStream({}, 10_000);
      stream.finish(Buffer.alloc(20_000), 'x'.repeat(1025));
      expect(stream.hasMore(0)).toBe(false);
      const short = keptStream({}, 10_000).stream;
      short.finish(Buffer.alloc(20_000), 'x'.repeat(1024));
      expect(short.hasMore(0)).toBe(true);
    });

    test('that nobody wants any more forgets what it has said', async () => {
      const connect = await connections(protocol);
      const { ours, theirs } = await connect();
      const { stream, changes } = keptStream();
      stream.connect(ours);
      stream.send(note(1));
      stream.abandon();
      expect([stream.isFinished(), stream.isKept(), stream.hasMore(0), changes()]).toEqual([true, false, false, 1]);
      expect(linesIn(await (await theirs).body())).toEqual(['3-0 1000 ', `3-1 ${text(1)}`]);
      expect([stream.send(note(2)), stream.finish(answer.bytes, 7), stream.hasMore(0)]).toEqual([true, true, false]);
    });

    test('takes back a server request that its client has not received, and no other', async () => {
      const connect = await connections(protocol);
      const first = await connect();
      const { stream } = keptStream();
      const [got, lost] = [request('a', 'roots/list'), request('b', 'roots/list')];
      stream.connect(first.ours);
      stream.send(got);
      stream.send(lost);
      (await first.theirs).hangUp();
      await within(15_000, 'the end', first.closed);
      const second = await connect();
      stream.connect(second.ours, 1);
      (await second.theirs).hangUp();
      await within(15_000, 'the end', second.closed);
      expect([stream.recall(got), stream.recall(lost)]).toEqual([false, true]);
      stream.finish(answer.bytes, 7);
      const third = await connect();
      stream.connect(third.ours, 1);
      expect(linesIn(await (await third.theirs).body())).toEqual(['3-1 1000 ', `3-3 ${answer.bytes.toString()}`]);
    });

    test('gives its client a while to come back before it is taken for gone', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const connect = await connections(protocol);
      const { stream } = keptStream();
      let gone = 0;
      stream.whenGone(() => gone++);
      const leave = async (): Promise<void> => {
        const { ours, theirs, closed } = await connect();
        stream.connect(ours);
        (await theirs).hangUp();
        await closed;
      };
      await leave();
      vi.advanceTimersByTime(graceMs - 1);
      await leave();
      vi.advanceTimersByTime(graceMs - 1);
      expect([gone, stream.absence()]).toEqual([0, 'short']);
      vi.advanceTimersByTime(1);
      expect([gone, stream.absence()]).toEqual([1, 'long']);
      await leave();
      stream.finish(answer.bytes, 7);
      vi.advanceTimersByTime(graceMs);
      expect([gone, stream.absence()]).toEqual([1, undefined]);
    });
  });
});
