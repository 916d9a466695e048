import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { createFrameReader, frameTypes } from '../../../src/tunnel/relay/protocol/frame-reader.ts';
import type { World } from './world.ts';
import { ask, startWorld } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await world.end();
});

const endStreamFlag = 0x1;

test('a small call is one DATA frame in each direction, which ends the stream', async () => {
  const { url } = await world.agent((request, response) => {
    request.on('data', () => undefined);
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{}');
    });
  });
  const body = 'a call';
  const call = async (): Promise<unknown> =>
    await ask(url, { method: 'POST', body, headers: { 'content-length': String(body.length) } });
  // Settings and windows are exchanged with the first.
  await call();

  const frames: string[] = [];
  const readers = new Map<WebSocket, (bytes: Buffer) => void>();
  const send = vi.spyOn(WebSocket.prototype, 'send');
  await call();
  for (const [at, [data]] of send.mock.calls.entries()) {
    const socket = send.mock.contexts[at];
    if (!(socket instanceof WebSocket) || !Buffer.isBuffer(data)) continue;
    let read = readers.get(socket);
    if (read === undefined) {
      read = createFrameReader(({ type, flags, length }) => {
        if (type === frameTypes.data) frames.push(`${length} bytes${(flags & endStreamFlag) === 0 ? '' : ', end'}`);
      });
      readers.set(socket, read);
    }
    read(data);
  }
  expect(frames).toEqual([`${body.length} bytes, end`, '2 bytes, end']);
});
