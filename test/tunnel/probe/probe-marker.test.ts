import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { createProbeMarker, markerHeader, type ProbeMarker } from '../../../src/tunnel/probe/probe-marker.ts';
import { listenOnLoopback } from '../../harness/loopback-server.ts';
import { send } from '../../harness/raw-http.ts';

async function start(): Promise<{ marker: ProbeMarker; ask: (nonce?: string) => Promise<[number, string]> }> {
  const marker = createProbeMarker((request, response) => {
    request.resume();
    response.statusCode = 401;
    response.end('handler');
  });
  const port = await listenOnLoopback(createServer(marker.handler));
  return {
    marker,
    async ask(nonce) {
      const headers: [string, string][] = nonce === undefined ? [] : [[markerHeader, nonce]];
      const { status, body } = await send(`http://127.0.0.1:${port}/`, { headers });
      return [status, body];
    },
  };
}

test('a request that is expected is noticed, and handled as any other', async () => {
  const { marker, ask } = await start();
  const mark = marker.expect();
  expect([mark.hasArrived(), mark.answered()]).toEqual([false, undefined]);
  expect(await ask(mark.nonce)).toEqual([401, 'handler']);
  expect([mark.hasArrived(), mark.answered()]).toEqual([true, 401]);
});

test('what it has carried is known, each time that it was there', async () => {
  const { marker } = await start();
  const port = await listenOnLoopback(createServer(marker.handler));
  const mark = marker.expect();
  expect(mark.carried('authorization')).toEqual([]);
  const headers: [string, string][] = [
    [markerHeader, mark.nonce],
    ['Authorization', 'Bearer one'],
    ['authorization', 'Bearer two'],
    ['x-other', 'authorization'],
  ];
  await send(`http://127.0.0.1:${port}/`, { headers });
  expect(mark.carried('authorization')).toEqual(['Bearer one', 'Bearer two']);
});

test('one of somebody else is not', async () => {
  const { marker, ask } = await start();
  const mark = marker.expect((_request, response) => void response.end('probe'));
  expect(await ask()).toEqual([401, 'handler']);
  expect(await ask('0'.repeat(32))).toEqual([401, 'handler']);
  expect(mark.hasArrived()).toBe(false);
});

test('the answer of a ring takes the place of the handler’s, until it is not waited for any more', async () => {
  const { marker, ask } = await start();
  const mark = marker.expect((request, response) => {
    request.resume();
    response.end('probe');
  });
  expect(await ask(mark.nonce)).toEqual([200, 'probe']);
  mark.forget();
  expect(await ask(mark.nonce)).toEqual([401, 'handler']);
  expect(mark.answered()).toBe(200);
});

test('of several requests with the same nonce, the first is the expected one', async () => {
  const seen: boolean[] = [];
  const marker: ProbeMarker = createProbeMarker((request, response) => {
    seen.push(marker.isExpected(request));
    request.resume();
    response.end();
  });
  const port = await listenOnLoopback(createServer(marker.handler));
  const mark = marker.expect();
  for (const nonce of ['0'.repeat(32), mark.nonce, mark.nonce]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await send(`http://127.0.0.1:${port}/`, { headers: [[markerHeader, nonce]] });
  }
  mark.forget();
  await send(`http://127.0.0.1:${port}/`, { headers: [[markerHeader, mark.nonce]] });
  expect(seen).toEqual([false, true, false, false]);
});

test('nobody can know which one comes next', async () => {
  const { marker } = await start();
  const nonces = Array.from({ length: 100 }, () => marker.expect().nonce);
  expect(new Set(nonces).size).toBe(100);
  expect(nonces.every((nonce) => /^[0-9a-f]{32}$/.test(nonce))).toBe(true);
});
