import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { connectThroughProxy } from '../../../src/platform/net/proxy-connection.ts';
import { eventually, portOf } from '../../tunnel/relay/world.ts';

test('a proxy that resets its connection right after CONNECT throws nothing', async () => {
  const thrown: unknown[] = [];
  const onThrown = (error: unknown): void => void thrown.push(error);
  process.on('uncaughtException', onThrown);
  const proxy = createServer();
  proxy.on('connect', (_request, near: Socket) => {
    near.write('HTTP/1.1 200 OK\r\n\r\n', () => setTimeout(() => near.resetAndDestroy(), 20));
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const socket = await connectThroughProxy(
    new URL(`http://127.0.0.1:${portOf(proxy)}`),
    new URL('ws://relay.test'),
    new AbortController().signal,
  );
  socket.resume();
  await eventually(() => socket.closed, 'the reset');
  proxy.close();
  process.off('uncaughtException', onThrown);
  expect(thrown).toEqual([]);
});
