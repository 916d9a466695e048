import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import { EventStream } from '../../../src/http/responses/event-stream.ts';
import type { HttpResponse } from '../../../src/http/message.ts';
import { commentBeats } from '../../../src/http/responses/keep-alive-timer.ts';
import { within } from '../../harness/eventually.ts';
import { connections, type Connected } from './streams-world.ts';
import { protocols } from '../web.ts';

/** So many beats of the keep-alive timer. Default: until a comment is due. */
function beat(stream: EventStream, beats = commentBeats): void {
  for (let at = 0; at < beats; at++) stream.keepAlive();
}

const large = Buffer.from(`: ${'x'.repeat(64 * 1024)}\n\n`);

describe.each(protocols)('an event stream over %s', (protocol) => {
  const begin = async (): Promise<Connected> => (await connections(protocol))();

  test('goes out with headers that keep proxies from holding it back, until it is ended', async () => {
    const { ours, theirs } = await begin();
    expect(ours.isOpen()).toBe(true);
    expect(ours.write(': one\n\n')).toBe(true);
    ours.end(Buffer.from(': two\n\n'));
    expect(ours.isOpen()).toBe(false);
    expect(ours.write(': three\n\n')).toBe(true);
    ours.end();
    const { status, headers, body } = await theirs;
    expect([status, await body()]).toEqual([200, ': one\n\n: two\n\n']);
    expect(headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
  });

  test('is kept alive when nothing was said for some beats', async () => {
    const { ours, theirs } = await begin();
    beat(ours, commentBeats - 1);
    ours.write(': x\n\n');
    beat(ours, commentBeats - 1);
    ours.keepAlive();
    beat(ours, commentBeats - 1);
    ours.end();
    ours.keepAlive();
    expect((await (await theirs).body()).match(/: keep-alive\n\n/g)).toHaveLength(1);
  });

  test('is closed when its client has gone, and everything that comes later is harmless', async () => {
    const { ours, theirs, closed } = await begin();
    ours.write(': x\n\n');
    (await theirs).hangUp();
    await within(15_000, 'the end of the response', closed);
    expect([ours.isOpen(), ours.isWritable(), ours.write(': y\n\n')]).toEqual([false, true, true]);
    ours.keepAlive();
    ours.end();
  });

  test('whose client takes nothing for six looks is cut off', async () => {
    const { ours, theirs, closed } = await begin();
    // More than any buffer on the way holds, and nobody reads.
    for (let sent = 0; sent < 400; sent++) ours.write(large);
    (await theirs).stream.on('error', () => {});
    let looks = 0;
    while (ours.isOpen() && looks++ < 10_000) {
      ours.keepAlive();
      // oxlint-disable-next-line no-await-in-loop -- what can be sent is sent between the looks
      await new Promise(setImmediate);
    }
    expect(looks).toBeGreaterThan(5);
    await within(15_000, 'the end', closed);
  });

  test('tells when its client does not read, and when it reads again', async () => {
    const { ours, theirs } = await begin();
    let sent = 0;
    while (ours.write(large) && sent < 10_000) sent++;
    expect([sent < 10_000, ours.isWritable()]).toEqual([true, false]);
    const writable = new Promise<void>((resolve) => ours.whenWritable(resolve));
    const { stream } = await theirs;
    stream.resume();
    await within(15_000, 'the client to be writable', writable);
    ours.end();
  });
});

describe('keeping alive more often than it is looked', () => {
  /** A response whose client takes nothing. */
  class StalledResponse extends EventEmitter implements HttpResponse {
    readonly headersSent = true;
    readonly writableLength = 1_000_000;
    readonly written: string[] = [];
    isCut = false;
    setHeader(): void {}
    writeHead(): void {}
    write(chunk: Buffer | string): boolean {
      this.written.push(chunk.toString());
      return false;
    }
    end(): void {}
    cork(): void {}
    uncork(): void {}
    destroy(): void {
      this.isCut = true;
    }
  }

  test('breaks silence all the same, and counts only looks against a client that takes nothing', () => {
    const response = new StalledResponse();
    const stream = new EventStream(response);
    for (let at = 0; at < 10 * commentBeats; at++) stream.keepAlive(false);
    expect([response.isCut, response.written.length]).toEqual([false, 10]);
    // The first look has nothing to compare with.
    for (let look = 0; look < 6; look++) stream.keepAlive(true);
    expect(response.isCut).toBe(false);
    stream.keepAlive(false);
    expect(response.isCut).toBe(false);
    stream.keepAlive(true);
    expect(response.isCut).toBe(true);
  });
});

function fakeResponse() {
  const written: string[] = [];
  const response: HttpResponse = {
    headersSent: false,
    writableLength: 0,
    setHeader() {},
    writeHead() {},
    write: (chunk: Buffer | string, encoding: BufferEncoding = 'utf8') =>
      written.push((typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk).toString()) > 0,
    end: (chunk?: Buffer | string) => written.push(`end ${chunk?.toString() ?? ''}`),
    cork() {},
    uncork() {},
    destroy() {},
    on() {},
    once() {},
  };
  return { response, written };
}

async function turn(): Promise<void> {
  await new Promise<void>((resolve) => queueMicrotask(resolve));
}

describe('what is written in one turn', () => {
  test('goes out in one piece, in order', async () => {
    const { response, written } = fakeResponse();
    const stream = new EventStream(response);
    // In text each character is a byte.
    for (const chunk of ['a', Buffer.from('é'), Buffer.from('é').toString('latin1'), 'c']) stream.write(chunk);
    expect(written).toEqual([]);
    await turn();
    stream.write('d');
    await turn();
    for (const chunk of [Buffer.from('é').toString('latin1'), 'e']) stream.write(chunk);
    await turn();
    expect(written).toEqual(['aééc', 'd', 'ée']);
  });

  test('goes out before what ends the stream, or breaks its silence', () => {
    const { response, written } = fakeResponse();
    const stream = new EventStream(response);
    stream.write('a');
    beat(stream);
    stream.write('b');
    stream.end(Buffer.from('c'));
    expect(written).toEqual(['a', ': keep-alive\n\n', 'b', 'end c']);
  });

  test('is sent at once when it is much, so that a slow client is noticed', () => {
    const { response, written } = fakeResponse();
    const stream = new EventStream(response);
    for (let sent = 0; sent < 16; sent++) stream.write('x'.repeat(1024));
    expect(written.map(({ length }) => length)).toEqual([16_384]);
  });
});
