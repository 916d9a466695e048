import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { Pipe } from '../../../../src/tunnel/relay/protocol/pipe.ts';
import { eventually, portOf } from '../world.ts';

const kib = 1024;
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

/** A pipe, what it has received, and how often it said that there is room. */
function pipeOver(socket: WebSocket) {
  const received: Buffer[] = [];
  const state = { received, bytes: 0, writable: 0, onWritable: () => {} };
  const pipe = new Pipe(socket, {
    onReceived(bytes) {
      received.push(bytes);
      state.bytes += bytes.length;
    },
    onWritable() {
      state.writable += 1;
      state.onWritable();
    },
  });
  return Object.assign(state, { pipe });
}

test('messages arrive whole and in order, in both directions', async () => {
  const [one, other] = [pipeOver(near), pipeOver(far)];
  const sent = [1, 9, 20_000, 3, 40_000, 1].map((size, at) => Buffer.alloc(size, at + 1));
  for (const message of sent) {
    expect(one.pipe.isWritable).toBe(true);
    one.pipe.send(message);
    other.pipe.send(message);
  }
  await eventually(() => one.received.length === 6 && other.received.length === 6, 'the messages');
  expect(other.received.map((message, at) => message.equals(sent[at] ?? message.subarray(1)))).not.toContain(false);
  expect(Buffer.concat(one.received).equals(Buffer.concat(sent))).toBe(true);
  const total = 60_014;
  expect([one.pipe.receivedBytes, other.pipe.receivedBytes]).toEqual([total, total]);
});

test('a message is one binary message of the WebSocket', async () => {
  const messages: Array<[string, boolean]> = [];
  far.on('message', (data: Buffer, isBinary) => messages.push([data.toString(), isBinary]));
  pipeOver(near).pipe.send(Buffer.from('{"type":"goaway"}'));
  await eventually(() => messages.length > 0, 'the message');
  expect(messages).toEqual([['{"type":"goaway"}', true]]);
});

test('text messages are not bytes of the pipe', async () => {
  const { pipe, received } = pipeOver(far);
  near.send('{"type":"notice"}');
  pipeOver(near).pipe.send(Buffer.from('data'));
  await eventually(() => received.length > 0, 'the bytes');
  expect([Buffer.concat(received).toString(), pipe.receivedBytes]).toEqual(['data', 4]);
});

test('a peer that does not read: at most 128 KiB wait in the socket, and there is room again when it reads', async () => {
  far.pause();
  const writer = pipeOver(near);
  const total = 400;
  let sent = 0;
  let most = 0;
  writer.onWritable = () => {
    for (; writer.pipe.isWritable && sent < total; sent += 1) {
      writer.pipe.send(Buffer.alloc(64 * kib, sent));
      most = Math.max(most, near.bufferedAmount);
    }
  };
  writer.onWritable();
  let last = -1;
  await eventually(() => {
    const isStill = sent === last && !writer.pipe.isWritable;
    last = sent;
    return isStill;
  }, 'the socket to be full');
  const { writable } = writer;
  expect(sent).toBeLessThan(total);
  // 14 bytes of WebSocket header per message.
  expect(most).toBeLessThanOrEqual(128 * kib + 64);
  expect(most).toBeGreaterThan(64 * kib);
  const reader = pipeOver(far);
  far.resume();
  await eventually(() => reader.bytes === total * 64 * kib, 'the rest');
  expect(writer.writable).toBeGreaterThan(writable);
  expect(reader.received.every((message, at) => message[0] === at % 256)).toBe(true);
});

test('this end reads while it has no room to write', async () => {
  far.pause();
  const { pipe, received } = pipeOver(near);
  while (pipe.isWritable) pipe.send(Buffer.alloc(64 * kib));
  far.send(Buffer.from('from the peer'));
  await eventually(() => received.length === 1, 'the bytes');
  expect(Buffer.concat(received).toString()).toBe('from the peer');
});

test.each([1000, 1001, 4002])('a pipe that cannot resume is over with its socket, here with %i', async (code) => {
  const { pipe } = pipeOver(near);
  far.close(code);
  await once(near, 'close');
  expect([pipe.isWritable, pipe.canAttach(0)]).toEqual([false, false]);
});

test('a socket that is closing is not written to', () => {
  const { pipe } = pipeOver(near);
  near.close();
  expect(pipe.isWritable).toBe(false);
});

test('close passes nothing on any more, and leaves the socket to its owner', async () => {
  const { pipe, received, ...state } = pipeOver(near);
  const peer = pipeOver(far);
  pipe.close();
  expect(pipe.isWritable).toBe(false);
  pipe.send(Buffer.from('late'));
  peer.pipe.send(Buffer.from('also late'));
  const behind = [near, far].map(
    async (socket) =>
      await new Promise<void>((resolve) => {
        socket.on('message', (_data, isBinary) => (isBinary ? undefined : resolve()));
      }),
  );
  near.send('{"type":"goaway"}');
  far.send('{"type":"goaway"}');
  await Promise.all(behind);
  expect([near.readyState, received, peer.received, state.writable]).toEqual([near.OPEN, [], [], 0]);
});
