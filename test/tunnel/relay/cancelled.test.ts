import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { heldBytes } from '../../harness/collect-garbage.ts';
import type { World } from './world.ts';
import { ask, eventually, headOf, inTurn, startWorld, within } from './world.ts';

const mib = 1024 * 1024;

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(async () => {
  await world.end();
});

test('clients that give up large responses cost the others nothing', async () => {
  let closed = 0;
  const { url } = await world.agent((request, response) => {
    if (request.url === '/large') response.on('close', () => (closed += 1));
    response.end(request.url === '/large' ? Buffer.alloc(8 * mib) : 'ok');
  });
  await ask(`${url}/small`);
  const before = heldBytes();
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
  await eventually(() => closed === 30, 'the handlers to notice');
  await eventually(() => heldBytes() - before < 8 * mib, 'the memory of the start');
});
