import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { World } from './world.ts';
import { ask, headOf, inTurn, startWorld, within } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(async () => {
  await world.end();
});

// node:http2 never forgets what a stream had not sent when it was reset: it counts towards maxSessionMemory.
test('clients that give up large responses cost the others nothing', async () => {
  const large = Buffer.alloc(8 * 1024 * 1024);
  const { url } = await world.agent((request, response) => {
    response.end(request.url === '/large' ? large : 'ok');
  });
  await inTurn(Array.from({ length: 30 }), async () => {
    const request = httpRequest(`${url}/large`, { agent: false });
    request.on('error', () => undefined);
    request.end();
    const response = await headOf(request);
    response.on('error', () => undefined);
    await within(once(response, 'data'), 'the first bytes');
    request.destroy();
  });
  expect((await ask(`${url}/small`)).body).toBe('ok');
});
