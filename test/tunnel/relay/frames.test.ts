import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { frameSplitter, frameTypes } from './hostile-agent.ts';
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

test('a small call is one message in each direction, of a head and the data that ends it', async () => {
  const { url } = await world.agent((request, response) => {
    request.on('data', () => undefined);
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{}');
    });
  });
  const body = 'a call';
  const send = vi.spyOn(WebSocket.prototype, 'send');
  await ask(url, { method: 'POST', body, headers: { 'content-length': String(body.length) } });

  const messages = send.mock.calls.flatMap(([data]) => {
    if (!Buffer.isBuffer(data)) return [];
    const frames: string[] = [];
    frameSplitter(({ type, isEnd, payload }) => {
      frames.push(`${type === frameTypes.data ? payload.toString() : `type ${type}`}${isEnd ? ', end' : ''}`);
    })(data);
    return [frames];
  });
  expect(messages).toEqual([
    ['type 1', `${body}, end`],
    ['type 1', '{}, end'],
  ]);
});
