import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { createDoorbell, ringHeader, type Doorbell } from '../../../src/tunnel/self-probe/doorbell.ts';
import { listenOnLoopback } from '../../harness/loopback-server.ts';
import { send } from '../../harness/raw-http.ts';

async function start(): Promise<{ doorbell: Doorbell; ask: (nonce?: string) => Promise<[number, string]> }> {
  const doorbell = createDoorbell((request, response) => {
    request.resume();
    response.statusCode = 401;
    response.end('handler');
  });
  const port = await listenOnLoopback(createServer(doorbell.handler));
  return {
    doorbell,
    async ask(nonce) {
      const headers: [string, string][] = nonce === undefined ? [] : [[ringHeader, nonce]];
      const { status, body } = await send(`http://127.0.0.1:${port}/`, { headers });
      return [status, body];
    },
  };
}

test('a request that is expected is noticed, and handled as any other', async () => {
  const { doorbell, ask } = await start();
  const ring = doorbell.expect();
  expect([ring.hasArrived(), ring.answered()]).toEqual([false, undefined]);
  expect(await ask(ring.nonce)).toEqual([401, 'handler']);
  expect([ring.hasArrived(), ring.answered()]).toEqual([true, 401]);
});

test('what it has carried is known, each time that it was there', async () => {
  const { doorbell } = await start();
  const port = await listenOnLoopback(createServer(doorbell.handler));
  const ring = doorbell.expect();
  expect(ring.carried('authorization')).toEqual([]);
  const headers: [string, string][] = [
    [ringHeader, ring.nonce],
    ['Authorization', 'Bearer one'],
    ['authorization', 'Bearer two'],
    ['x-other', 'authorization'],
  ];
  await send(`http://127.0.0.1:${port}/`, { headers });
  expect(ring.carried('authorization')).toEqual(['Bearer one', 'Bearer two']);
});

test('one of somebody else is not', async () => {
  const { doorbell, ask } = await start();
  const ring = doorbell.expect((_request, response) => void response.end('probe'));
  expect(await ask()).toEqual([401, 'handler']);
  expect(await ask('0'.repeat(32))).toEqual([401, 'handler']);
  expect(ring.hasArrived()).toBe(false);
});

test('the answer of a ring takes the place of the handler’s, until it is not waited for any more', async () => {
  const { doorbell, ask } = await start();
  const ring = doorbell.expect((request, response) => {
    request.resume();
    response.end('probe');
  });
  expect(await ask(ring.nonce)).toEqual([200, 'probe']);
  ring.forget();
  expect(await ask(ring.nonce)).toEqual([401, 'handler']);
  expect(ring.answered()).toBe(200);
});

test('nobody can know which one comes next', async () => {
  const { doorbell } = await start();
  const nonces = Array.from({ length: 100 }, () => doorbell.expect().nonce);
  expect(new Set(nonces).size).toBe(100);
  expect(nonces.every((nonce) => /^[0-9a-f]{32}$/.test(nonce))).toBe(true);
});
