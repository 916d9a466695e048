import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { Pipe } from '../../../../src/tunnel/relay/protocol/pipe.ts';
import { eventually, pause, portOf, within } from '../world.ts';

let server: WebSocketServer;
let near: WebSocket;
let far: WebSocket;
beforeEach(async () => {
  server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
  await once(server, 'listening');
  near = new WebSocket(`ws://127.0.0.1:${portOf(server)}`);
  const accepted = new Promise<WebSocket>((resolve) => {
    server.once('connection', resolve);
  });
  await once(near, 'open');
  far = await accepted;
});
afterEach(() => {
  near.terminate();
  far.terminate();
  server.close();
});

/** The clean-up cuts the sockets, which is an error of every pipe that is still there. */
function pipeOver(socket: WebSocket): Duplex {
  return new Pipe(socket).on('error', () => undefined);
}

async function readAll(pipe: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of pipe as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('bytes arrive in order and end with the end', async () => {
  const writer = pipeOver(near).resume();
  const reader = pipeOver(far);
  const received = readAll(reader);
  const sent: Buffer[] = [];
  for (const size of [1, 9, 70_000, 3, 200_000, 65_536]) {
    const chunk = Buffer.alloc(size, sent.length + 1);
    sent.push(chunk);
    writer.write(chunk);
  }
  writer.end();
  expect((await within(received, 'the bytes')).equals(Buffer.concat(sent))).toBe(true);
  await eventually(() => writer.destroyed && reader.destroyed, 'both pipes to be gone');
});

test('a reader that pauses while it writes, as node:http2 does, reads on when that is written', async () => {
  const received: string[] = [];
  const pipe = pipeOver(near).on('data', (chunk: Buffer) => received.push(chunk.toString()));
  const peer = pipeOver(far).resume();
  pipe.pause();
  peer.write('from the peer');
  await eventually(() => pipe.readableLength > 0, 'the bytes to wait');
  pipe.write('from here');
  await eventually(() => received.length === 1, 'the bytes to be read');
  expect(received).toEqual(['from the peer']);
});

test('no message is larger than 64 KiB, and small writes travel together', async () => {
  const sizes: number[] = [];
  far.on('message', (data: Buffer) => sizes.push(data.length));
  const writer = pipeOver(near);
  writer.cork();
  for (let index = 0; index < 10; index += 1) writer.write(Buffer.alloc(9));
  writer.write(Buffer.alloc(150_000));
  writer.uncork();
  await eventually(() => sizes.reduce((sum, size) => sum + size, 0) === 150_090, 'all bytes');
  expect(sizes).toEqual([90, 65_536, 65_536, 18_928]);
});

test('text messages are not bytes of the pipe', async () => {
  const writer = pipeOver(near);
  const received = readAll(pipeOver(far));
  near.send('{"type":"notice"}');
  writer.end('data');
  expect((await within(received, 'the bytes')).toString()).toBe('data');
});

test('a peer that does not read: at most 128 KiB wait in the socket and writes stop completing', async () => {
  far.pause();
  const writer = pipeOver(near);
  let completed = 0;
  const chunk = Buffer.alloc(64 * 1024);
  let most = 0;
  for (let index = 0; index < 1000; index += 1) {
    writer.write(chunk, () => {
      completed += 1;
    });
    most = Math.max(most, near.bufferedAmount);
  }
  let last = -1;
  await eventually(async () => {
    most = Math.max(most, near.bufferedAmount);
    const before = completed;
    await pause(100);
    const still = completed === before && last === completed;
    last = completed;
    return still;
  }, 'the writer to stall');
  expect(completed).toBeLessThan(1000);
  // 14 bytes of WebSocket header per message.
  expect(most).toBeLessThanOrEqual(128 * 1024 + 64);
  far.resume();
  await eventually(() => completed === 1000, 'the rest');
});

test('a reader that is full pauses the socket, and reading resumes it', async () => {
  const reader = pipeOver(far);
  const writer = pipeOver(near);
  const chunk = Buffer.alloc(64 * 1024, 1);
  for (let index = 0; index < 20; index += 1) writer.write(chunk);
  await eventually(() => far.isPaused, 'the pause');
  expect(reader.readableLength).toBeLessThan(512 * 1024);
  let bytes = 0;
  reader.on('data', (part: Buffer) => {
    bytes += part.length;
  });
  await eventually(() => bytes === 20 * chunk.length, 'all bytes');
});

test('a lost carrier is an error, never an end', async () => {
  const reader = pipeOver(far);
  const errors: Error[] = [];
  let ended = false;
  reader.on('error', (error) => errors.push(error));
  reader.on('end', () => {
    ended = true;
  });
  reader.resume();
  near.terminate();
  await eventually(() => reader.closed, 'the close');
  expect(ended).toBe(false);
  expect(errors.map((error) => error.message)).toEqual(['the link was closed with 1006']);
});

test('a close code other than 1000 is an error that names it', async () => {
  const reader = pipeOver(far);
  reader.resume();
  near.close(4002, 'taken over');
  await expect(within(once(reader, 'end'), 'an end')).rejects.toThrow('the link was closed with 4002 taken over');
});

test('destroy cuts the socket and fails the writes that wait', async () => {
  far.pause();
  const writer = pipeOver(near);
  writer.on('error', () => undefined);
  const failed = new Promise((resolve) => {
    writer.write(Buffer.alloc(50_000_000), resolve);
  });
  writer.destroy(new Error('enough'));
  expect(await within(failed, 'the failure')).toBeInstanceOf(Error);
  await eventually(() => near.readyState === near.CLOSED, 'the socket to close');
});
